//! What the command can learn of its init, and what the init costs while nothing happens.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use super::{Behaviour, How, PEERS, Scene, all_differ, check};
use crate::support::{Gate, Live, Run, Sandbox, Session, needs_root};

const DUMPABLE: &str = "stays dumpable: a process of its user reads what it was given";

pub const TABLE: &[Behaviour] = &[
    Behaviour {
        what: "the init's environment, to its own user",
        how: How::Pid1,
        see: |scene| reads(scene, "grep -qs FAKE-secret /proc/1/environ"),
        expected: "closed",
        differences: &all_differ("open", DUMPABLE),
    },
    Behaviour {
        what: "the init's memory and descriptors",
        how: How::Pid1,
        see: |scene| reads(scene, "ls /proc/1/fd/ >/dev/null || dd if=/proc/1/mem count=0"),
        expected: "closed",
        differences: &all_differ("open", DUMPABLE),
    },
    Behaviour {
        what: "tracing the init",
        how: How::Pid1,
        see: |scene| reads(scene, "timeout -s INT 0.3 strace -p 1 2>&1 | grep -q attached"),
        expected: "closed",
        differences: &all_differ("open", DUMPABLE),
    },
];

/// Init and command as one ordinary user.
fn reads(scene: &Scene, how: &str) -> String {
    for directory in ["home", "state"] {
        scene.sandbox.give(directory, 1000);
    }
    // The command's own variable is gone, so that only the init has it.
    let script = format!("unset SECRET; if {how}; then say open; else say closed; fi");
    let run = scene.agent(&script, &[]).env("SECRET", "FAKE-secret").uid(1000);
    run.run().ok().stdout.trim_end().to_owned()
}

#[test]
fn the_command_inherits_nothing_more_than_from_the_peers() {
    check(TABLE);
}

/// Everything that agent-init was given and the agent was not, looked for in all of /proc/1. The words to look for are
/// in two pieces, for /proc/1/cmdline has them too.
#[test]
fn nothing_secret_is_readable_in_proc() {
    needs_root!();
    let sandbox = Sandbox::new();
    for directory in ["home", "state"] {
        sandbox.give(directory, 1000);
    }
    let script = "find /proc/1/ -type f 2>/dev/null | while read -r file; do case $file in */pagemap | */mem | */kmsg) continue ;; esac
        timeout 5 grep -sl -e 'FAKE[-]refresh' -e \"$1$2\" \"$file\"; done; timeout 5 head -c 1 /proc/1/mem; say looked";
    let session = Session::new("one");
    let blob = session.b64();
    let run = sandbox.claude(script).arguments([&blob[..20], &blob[20..40]]);
    let outcome = run.env("CLAUDE_CREDENTIALS_B64", &blob).pid1().uid(1000).run().ok();
    assert_eq!(outcome.stdout, "looked\n", "{outcome}");
}

/// Soft limits of core files: ours becomes 0, the agent's stays.
#[test]
fn core_limits() {
    let sandbox = Sandbox::new();
    for limit in ["0:0", "4096:8192", "4096:unlimited"] {
        let soft = limit.split(':').next().unwrap();
        for pid1 in [false, crate::support::root_or_skip("core limits as PID 1")] {
            let mut gate = sandbox.gate(&format!("gate-{limit}-{pid1}"));
            let script = "trap 'say back' USR1; say \"agent $(grep '^Max core' /proc/self/limits)\"; hold \"$1\"";
            let run = sandbox.claude(script).arguments([gate.to_string()]).options(["--agent", "none"]);
            let run = run.through(["prlimit", &format!("--core={limit}")]);
            let mut live = if pid1 { run.pid1() } else { run }.start();
            let agents = live.line("agent ");
            // It lowers its own after the fork, and forwards signals after that.
            live.signal(10);
            live.line("back");
            let limits = fs::read_to_string(format!("/proc/{}/limits", live.pid())).unwrap();
            let ours = limits.lines().find(|line| line.starts_with("Max core")).unwrap();
            gate.open();
            live.wait().ok();
            let field = |line: &str| line.split_once("size").unwrap().1.split_whitespace().next().unwrap().to_owned();
            assert_eq!((field(ours).as_str(), field(&agents).as_str()), ("0", soft), "{limit}");
        }
    }
}

/// The descriptors that are left of what was inherited are the three standard ones, and of those only the messages' way
/// out leads anywhere.
#[test]
fn inherited_descriptors_are_let_go() {
    let sandbox = Sandbox::new();
    for pid1 in [false, crate::support::root_or_skip("descriptors as PID 1")] {
        let mut gate = sandbox.gate(&format!("gate-{pid1}"));
        sandbox.write("file", "");
        let script =
            "trap 'say back' USR1; for fd in 3 9 40 200; do readlink /proc/$$/fd/$fd; done; say ready; hold \"$1\"";
        let opens =
            "file=$1; shift; exec 3<\"$file\" 9>>\"$file\"; exec bash -c 'exec 40<&3 200<&9; exec \"$@\"' bash \"$@\"";
        let run = sandbox.claude(script).arguments([gate.to_string()]).options(["--agent", "none"]);
        let run = run.through(["sh", "-c", opens, "sh", &sandbox.text("file")]);
        let mut live = if pid1 { run.pid1() } else { run }.start();
        live.line("ready");
        live.signal(10);
        live.line("back");
        let open = fs::read_dir(format!("/proc/{}/fd", live.pid())).unwrap().flatten();
        let open: Vec<(String, String)> = open
            .map(|fd| (fd.file_name().into_string().unwrap(), fs::read_link(fd.path()).unwrap().display().to_string()))
            .collect();
        gate.open();
        let outcome = live.wait().ok();
        assert_eq!(outcome.stdout.matches(&sandbox.text("file")).count(), 4, "the agent's own\n{outcome}");
        // Our own open of standard error beside the shared one: a write to it does not wait.
        let stderr = open.iter().find(|(fd, _)| fd == "2").map(|(_, target)| target.clone()).unwrap();
        for (fd, target) in open {
            let expected = match fd.as_str() {
                "0" | "1" => "/dev/null",
                "2" => "pipe:",
                _ if target == stderr => "pipe:",
                _ => "anon_inode:",
            };
            assert!(target.starts_with(expected), "PID 1 {pid1}: descriptor {fd} is {target}");
        }
    }
}

/// Wake-ups of a process that has nothing to do.
#[test]
fn idle_wake_ups() {
    needs_root!();
    let (sandbox, with_login) = (Sandbox::new(), Sandbox::new());
    with_login.captured("claude", ".credentials.json", &Session::new("one").json());
    let script = "trap 'say back' USR1; say ready; hold \"$1\"";
    let of = |peer: &'static super::Peer, pid1: bool, sandbox| Scene { peer, pid1, sandbox }.agent(script, &[]);
    let mut runs: Vec<(&str, Run)> = PEERS.iter().map(|peer| (peer.name, of(peer, true, &sandbox))).collect();
    runs.push(("agent-init", of(&PEERS[0], false, &sandbox)));
    // With a login to watch on both sides.
    runs.push(("agent-init", with_login.claude(script).pid1()));
    runs.push(("agent-init", with_login.claude(script)));
    let mut lives: Vec<(&str, Live, Gate)> = Vec::new();
    for (number, (name, run)) in runs.into_iter().enumerate() {
        let gate = sandbox.gate(&format!("gate-{number}"));
        let mut live = run.arguments([gate.to_string()]).start();
        live.line("ready");
        live.signal(10);
        live.line("back");
        lives.push((name, live, gate));
    }
    // This sleep is the measurement, the one before it lets start-up come to rest.
    sleep(Duration::from_millis(300));
    let before: Vec<u64> = lives.iter().map(|(_, live, _)| switches(live.pid())).collect();
    sleep(Duration::from_secs(2));
    let woken: Vec<_> =
        lives.iter().zip(before).map(|((name, live, _), n)| (*name, switches(live.pid()) - n)).collect();
    for (_, live, mut gate) in lives {
        gate.open();
        live.wait().ok();
    }
    for (name, wake_ups) in &woken {
        // Tini looks once a second whether it has a zombie.
        assert_eq!(*wake_ups > 0, *name == "tini", "{woken:?}");
    }
}

fn switches(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}
