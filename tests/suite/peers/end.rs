//! How it ends: exit statuses, orphans, leftovers, a child that does not heed TERM, the init killed.

use super::{Behaviour, How, Scene, all_differ, check, differs, exit};

const ONE_FOR_ALL: &str = "has one status for every command that it cannot execute";

fn status(scene: &Scene, command: &[&str]) -> String {
    exit(scene.run(command).run().code)
}

fn shell(scene: &Scene, script: &str) -> String {
    status(scene, &["sh", "-c", script])
}

pub const STATUSES: &[Behaviour] = &[
    Behaviour {
        what: "success",
        how: How::Both,
        see: |scene| status(scene, &["true"]),
        expected: "exit 0",
        differences: &[],
    },
    Behaviour {
        what: "the command's own status",
        how: How::Both,
        see: |scene| shell(scene, "exit 7"),
        expected: "exit 7",
        differences: &[],
    },
    Behaviour {
        what: "the highest status",
        how: How::Both,
        see: |scene| shell(scene, "exit 255"),
        expected: "exit 255",
        differences: &[],
    },
    Behaviour {
        what: "ended by TERM",
        how: How::Both,
        see: |scene| shell(scene, "kill -TERM $$"),
        expected: "exit 143",
        differences: &[],
    },
    Behaviour {
        what: "ended by KILL",
        how: How::Both,
        see: |scene| shell(scene, "kill -KILL $$"),
        expected: "exit 137",
        differences: &[],
    },
    Behaviour {
        what: "ended by a fault",
        how: How::Both,
        see: |scene| shell(scene, "ulimit -c 0; kill -SEGV $$"),
        expected: "exit 139",
        differences: &[],
    },
    Behaviour {
        what: "ended by a real-time signal",
        how: How::Both,
        see: |scene| shell(scene, "kill -34 $$"),
        expected: "exit 162",
        differences: &[],
    },
    Behaviour {
        what: "not found",
        how: How::Both,
        see: |scene| status(scene, &["nosuch-command"]),
        expected: "exit 127",
        differences: &[differs("dumb-init", "exit 2", ONE_FOR_ALL), differs("catatonit", "exit 1", ONE_FOR_ALL)],
    },
    Behaviour {
        what: "not executable",
        how: How::Both,
        see: |scene| status(scene, &["/etc/passwd"]),
        expected: "exit 126",
        differences: &[differs("dumb-init", "exit 2", ONE_FOR_ALL), differs("catatonit", "exit 1", ONE_FOR_ALL)],
    },
    Behaviour {
        what: "a directory",
        how: How::Both,
        see: |scene| status(scene, &["/etc"]),
        expected: "exit 126",
        differences: &[differs("dumb-init", "exit 2", ONE_FOR_ALL), differs("catatonit", "exit 1", ONE_FOR_ALL)],
    },
    Behaviour {
        what: "an orphan's status is not the command's",
        how: How::Both,
        see: |scene| shell(scene, "(sh -c 'exit 9' &); (sh -c 'kill -9 $$' &); exit 4"),
        expected: "exit 4",
        differences: &[],
    },
    Behaviour {
        what: "many children end together with the command",
        how: How::Both,
        see: |scene| shell(scene, "for n in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; kill -KILL 0"),
        expected: "exit 137",
        differences: &[],
    },
    Behaviour {
        what: "the status when started with SIGCHLD ignored",
        how: How::NotPid1,
        see: sigchld_ignored,
        expected: "exit 7",
        differences: &[
            differs(
                "tini",
                "lost",
                "the kernel reaps the child itself: the init hangs, or ends with a status of its own",
            ),
            differs(
                "catatonit",
                "lost",
                "the kernel reaps the child itself: the init hangs, or ends with a status of its own",
            ),
        ],
    },
];

/// A hang shows in no other way than by time.
fn sigchld_ignored(scene: &Scene) -> String {
    let limit = if ["tini", "catatonit"].contains(&scene.peer.name) { "1" } else { "30" };
    let timeout = ["timeout", "--foreground", "-s", "KILL", limit, "env", "--ignore-signal=CHLD"];
    let code = scene.run(&["sh", "-c", "exit 7"]).through(timeout).run().code;
    if code == Some(7) { exit(code) } else { "lost".to_owned() }
}

#[test]
fn exit_statuses_are_those_of_the_peers() {
    check(STATUSES);
}

const LEAVES_AT_ONCE: &str = "leaves with its main child, and the kernel kills what is left";
const NO_ESCALATION: &str = "leaves a stop that is ignored to whoever kills the container";
const NO_PARENT_DEATH: &str = "sets no parent-death signal";

pub const END: &[Behaviour] = &[
    Behaviour { what: "orphans are reaped", how: How::Pid1, see: zombies, expected: "none is left", differences: &[] },
    Behaviour {
        what: "orphans become the init's children",
        how: How::NotPid1,
        see: new_parent,
        expected: "the init",
        differences: &[differs("dumb-init", "another", "is no subreaper")],
    },
    Behaviour {
        what: "leftovers get the time that a TERM takes",
        how: How::Pid1,
        see: |scene| leftover(scene, ""),
        expected: "ended in peace",
        differences: &all_differ("killed", LEAVES_AT_ONCE),
    },
    Behaviour {
        what: "leftovers in a session of their own too",
        how: How::Pid1,
        see: |scene| leftover(scene, "setsid"),
        expected: "ended in peace",
        differences: &all_differ("killed", LEAVES_AT_ONCE),
    },
    Behaviour {
        what: "a stop that is ignored",
        how: How::Both,
        see: ignored_stop,
        expected: "exit 137",
        differences: &all_differ("outlived it, exit 0", NO_ESCALATION),
    },
    Behaviour {
        what: "the init is killed",
        how: How::NotPid1,
        see: killed_init,
        expected: "takes the command along",
        differences: &all_differ("leaves it running", NO_PARENT_DEATH),
    },
];

/// The substitution ends with the last orphan. Its reaping is another process's act, so look more than once.
fn zombies(scene: &Scene) -> String {
    let script = "
        orphans=$(i=0; while [ $i -lt 50 ]; do i=$((i+1)); sh -c 'sh -c \"echo x\" & exit'; done)
        look=0
        while grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null && [ $look -lt 500 ]; do look=$((look+1)); done >/dev/null
        [ $look -lt 500 ] && printf 'none is left'";
    scene.agent(script, &[]).run().ok().stdout
}

fn new_parent(scene: &Scene) -> String {
    let gate = scene.gate("gate");
    // The orphan looks only once its first parent is gone.
    let orphan = "read -r _ <\"$1\"; cut -d\" \" -f4 /proc/$$/stat";
    let script =
        "sh -c 'setsid sh -c \"$2\" sh \"$1\" &' sh \"$1\" \"$3\"; say \"init $PPID\"; echo go >\"$1\"; hold \"$2\"";
    let mut last = scene.gate("last");
    let mut live = scene.agent(script, &[&gate.to_string(), &last.to_string(), orphan]).start();
    let init = live.line("init ");
    let parent = live.line("");
    last.open();
    live.wait();
    if init == format!("init {parent}") { "the init".to_owned() } else { "another".to_owned() }
}

/// A leftover whose end takes a moment, in `session`.
fn leftover(scene: &Scene, session: &str) -> String {
    let up = scene.gate("up").to_string();
    let leftover = "trap 'sleep 0.3; echo ended in peace; exit' TERM; sleep 1000 >/dev/null & echo up >\"$1\"; wait";
    let script = "$1 sh -c \"$2\" sh \"$3\" & read -r _ <\"$3\"; exit 5";
    let outcome = scene.agent(script, &[session, leftover, &up]).run().code(5);
    if outcome.stdout.contains("ended in peace") { "ended in peace".to_owned() } else { "killed".to_owned() }
}

fn ignored_stop(scene: &Scene) -> String {
    let never = scene.gate("never").to_string();
    // Longer than the grace that agent-init is given.
    let script = "trap 'say got TERM; setsid sleep 1.5; say outlived it; exit 0' TERM; say ready; hold \"$1\"";
    let mut live = scene.agent(script, &[&never]).start();
    live.line("ready");
    live.stop();
    live.line("got TERM");
    let outcome = live.wait();
    let outlived = if outcome.stdout.contains("outlived") { "outlived it, " } else { "" };
    format!("{outlived}{}", exit(outcome.code))
}

/// The shell around the init opens the gate once the init is dead.
fn killed_init(scene: &Scene) -> String {
    let gate = scene.gate("gate");
    let path = gate.to_string();
    let around = "gate=$1; shift; \"$@\"; echo go >\"$gate\"";
    let script = "say \"init $PPID\"; hold \"$1\"; say still running";
    let mut live = scene.agent(script, &[&path]).through(["sh", "-c", around, "sh", &path]).start();
    let init = live.line("init ").trim_start_matches("init ").to_owned();
    let kill = std::process::Command::new("kill").args(["-9", &init]).status();
    assert!(kill.unwrap().success());
    let outcome = live.wait();
    if outcome.stdout.contains("still running") { "leaves it running" } else { "takes the command along" }.to_owned()
}

#[test]
fn the_end_of_the_command_is_handled_like_the_peers() {
    check(END);
}
