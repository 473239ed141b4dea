//! The process contract: exit statuses, signals, orphans, the stop.

mod end;
mod signals;

use crate::support::{Sandbox, needs_root};

/// The COMMAND, then the exit status.
const STATUSES: &[(&[&str], i32)] = &[
    (&["true"], 0),
    (&["false"], 1),
    (&["sh", "-c", "exit 3"], 3),
    (&["sh", "-c", "exit 125"], 125),
    (&["sh", "-c", "exit 255"], 255),
    (&["sh", "-c", "kill -TERM $$"], 143),
    (&["sh", "-c", "kill -KILL $$"], 137),
    (&["sh", "-c", "kill -SEGV $$"], 139),
    (&["sh", "-c", "kill -34 $$"], 162),
    (&["nosuch-command"], 127),
    (&["/nosuch/command"], 127),
    (&["./nosuch-command"], 127),
    (&["/etc/passwd"], 126),
    (&["/etc"], 126),
    (&["./not-executable"], 126),
    (&["not-executable"], 126),
];

#[test]
fn exit_statuses_are_those_of_tini() {
    let root = crate::support::root_or_skip("exit statuses as PID 1");
    let sandbox = Sandbox::new();
    sandbox.write("cwd/not-executable", "x");
    sandbox.write("bin/not-executable", "x");
    for (command, expected) in STATUSES {
        let run = || sandbox.raw(["--agent", "none", "--"]).arguments(command.iter().copied());
        let outcome = run().run();
        assert_eq!(outcome.code, Some(*expected), "{command:?}\n{outcome}");
        if root {
            let outcome = run().pid1().run();
            assert_eq!(outcome.code, Some(*expected), "PID 1: {command:?}\n{outcome}");
        }
        if [126, 127].contains(expected) {
            outcome.says(&["agent-init: error: ", command[0]]);
        }
    }
}

#[test]
fn a_command_that_the_agents_user_may_not_execute() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.write("cwd/roots-own", "#!/bin/sh\n");
    sandbox.chmod("cwd/roots-own", 0o700);
    sandbox.raw(["--user", "node", "--", "./roots-own"]).pid1().run().code(126).says(&["./roots-own"]);
    sandbox.raw(["--", "./roots-own"]).pid1().run().ok();
}

#[test]
fn the_command_is_looked_up_as_a_shell_does() {
    let sandbox = Sandbox::new();
    sandbox.write("first/tool", "no program");
    std::fs::create_dir_all(sandbox.path("second")).unwrap();
    std::os::unix::fs::symlink("/bin/true", sandbox.path("second/tool")).unwrap();
    let path = format!("{}:{}:/usr/bin:/bin", sandbox.text("first"), sandbox.text("second"));
    sandbox.raw(["--", "tool"]).env("PATH", path).run().ok();
    sandbox.raw(["--", "true"]).unset("PATH").run().ok();
}

#[test]
fn standard_streams_are_passed_on() {
    let root = crate::support::root_or_skip("streams as PID 1");
    let sandbox = Sandbox::new();
    let both = |script: &str| {
        let run = || sandbox.raw(["--agent", "none", "--", "sh", "-c", script]);
        let mut runs = vec![run()];
        runs.extend(root.then(|| run().pid1()));
        runs
    };
    for run in both("cat; echo problem >&2") {
        let outcome = run.stdin(Some("text\n")).run().ok();
        assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("text\n", "problem\n"));
    }
    for run in both("test ! -e /proc/self/fd/0 && echo closed || echo open") {
        run.stdin(None).run().ok().quiet();
    }
    // Descriptors of ours must not reach the agent; ls itself holds one open on the directory.
    for run in both("cd /proc/self/fd && echo *") {
        let outcome = run
            .through(["sh", "-c", "for n in 3 4 5 6 7 8 9; do eval \"exec $n>&-\"; done; exec \"$@\"", "sh"])
            .run()
            .ok();
        let extra: Vec<&str> = outcome.stdout.split_whitespace().filter(|fd| fd.len() == 1 && *fd > "3").collect();
        assert!(extra.is_empty(), "{outcome}");
    }
}

#[test]
fn the_working_directory_and_environment_are_handed_on() {
    let sandbox = Sandbox::new();
    let run = sandbox
        .raw(["--agent", "none", "--", "sh", "-c", "pwd -P; env"])
        .env("GREETING", "two\nlines")
        .env("EMPTY", "");
    let outcome = run.run().ok().prints(&[&sandbox.text("cwd"), "GREETING=two\nlines\n", "EMPTY=\n"]);
    assert_eq!(outcome.stderr, "");
}

#[test]
fn it_runs_without_a_terminal_and_a_session() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.raw(["--", "true"]).pid1().through(["setsid"]).run().ok().quiet();
    sandbox.raw(["--", "true"]).pid1().through(["setsid"]).stdin(None).run().ok().quiet();
}

#[test]
fn the_agent_cannot_read_the_environment_of_pid_1() {
    needs_root!();
    let sandbox = Sandbox::new();
    let script = "cat /proc/1/environ >/dev/null 2>&1 && say readable || say closed; stat -c %u /proc/1/environ";
    let another = sandbox.claude(script).options(["--user", "node"]).pid1();
    another.run().ok().prints(&["closed\n0\n"]);
    for directory in ["home", "state"] {
        sandbox.give(directory, 1000);
    }
    // Not dumpable: /proc/1 belongs to root though the process does not.
    sandbox.claude(script).pid1().uid(1000).run().ok().prints(&["closed\n0\n"]);
}
