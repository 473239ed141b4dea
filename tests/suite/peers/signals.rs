//! Which signals are forwarded, to whom, and what happens when the kernel does not let them through.

use super::{BY_CHANCE, Behaviour, How, Scene, check, differs, exit};

const FAULTS: &str = "leaves fault signals and what it ignores itself out";

pub const TABLE: &[Behaviour] = &[
    Behaviour {
        what: "signals that do not reach the command",
        how: How::Pid1,
        see: missing,
        expected: "",
        differences: &[
            differs("tini", "4 5 6 7 8 11 21 22 31", FAULTS),
            differs("catatonit", "4 5 6 7 8 11 20 21 22 31", FAULTS),
        ],
    },
    Behaviour {
        what: "who gets a forwarded signal",
        how: How::Both,
        see: receivers,
        expected: "the whole group",
        differences: &[
            differs("tini", "the command", "forwards to the group only with -g"),
            differs("catatonit", "the command", "forwards to the group only with -g"),
        ],
    },
    Behaviour {
        what: "a command that may not be signalled",
        how: How::Pid1,
        see: forbidden,
        expected: "exit 0",
        differences: &[
            differs("tini", "exit 1", "EPERM from kill is fatal: the container dies"),
            differs("catatonit", BY_CHANCE, "EPERM from kill is fatal now and then: the container dies"),
        ],
    },
];

/// The signals that it is sent: all but KILL, STOP, CHLD (the init's own), TERM (the stop), and the C library's two.
fn sent(peer: &str) -> Vec<i32> {
    let numbers = (1..=31).chain([34, 35, 36, 37, 50, 63, 64]).filter(|number| ![9, 15, 17, 19].contains(number));
    // dumb-init turns TSTP, TTIN and TTOU into STOP, after which nobody continues its child, and looks real-time signals
    // up behind the end of a table.
    numbers.filter(|number| peer != "dumb-init" || !(20..=22).contains(number) && *number < 32).collect()
}

/// What did not reach the command. After each signal one that is known to arrive and is taken last: the init reads
/// signals of lower numbers, and synchronous ones, before it.
fn missing(scene: &Scene) -> String {
    let numbers = sent(scene.peer.name);
    let last = if scene.peer.name == "dumb-init" { 30 } else { 64 };
    let mut gate = scene.gate("gate");
    let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let script = "for n in $1; do trap \"say got $n.\" $n; done; say ready; hold \"$2\"; say end";
    let mut live = scene.agent(script, &[&list.join(" "), &gate.to_string()]).start();
    live.line("ready");
    for number in &numbers {
        live.signal(*number);
        if *number != last {
            live.signal(last);
        }
        live.line(&format!("got {last}."));
    }
    gate.open();
    let outcome = live.wait().ok();
    let came = |number: &i32| outcome.stdout.contains(&format!("got {number}."));
    let missing: Vec<String> = numbers.iter().filter(|number| !came(number)).map(ToString::to_string).collect();
    missing.join(" ")
}

fn receivers(scene: &Scene) -> String {
    let (mut gate, mut childs) = (scene.gate("gate"), scene.gate("childs"));
    let script =
        "(trap 'say child got it' USR1; say ready; hold \"$2\") & trap 'say agent got it' USR1; say ready; hold \"$1\"";
    let mut live = scene.agent(script, &[&gate.to_string(), &childs.to_string()]).start();
    live.line("ready");
    live.line("ready");
    live.signal(10);
    let group = !["tini", "catatonit"].contains(&scene.peer.name);
    live.line("got it");
    if group {
        live.line("got it");
    }
    childs.open();
    gate.open();
    let outcome = live.wait();
    let both = outcome.stdout.contains("child got it") && outcome.stdout.contains("agent got it");
    if both { "the whole group".to_owned() } else { "the command".to_owned() }
}

/// Another user's command under an init without `CAP_KILL`.
fn forbidden(scene: &Scene) -> String {
    let mut gate = scene.gate("gate");
    let other = ["setpriv", "--reuid=4207", "--regid=4207", "--clear-groups", "claude", "say ready; hold \"$1\""];
    let run = scene.run(&other).arguments([gate.to_string()]);
    let mut live = run.through(["setpriv", "--bounding-set=-kill", "--inh-caps=-kill"]).start();
    live.line("ready");
    live.signal(10);
    // Reaped after the signal was dealt with, for it came before.
    gate.open();
    exit(live.wait().code)
}

#[test]
fn signals_are_forwarded_like_the_peers() {
    check(TABLE);
}
