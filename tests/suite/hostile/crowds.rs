//! Directories that another has filled: a start looks at a bounded part of them.

use crate::support::{Outcome, Sandbox, Session};

/// More entries than are looked at, each with some calls.
const CROWD: usize = 3000;

/// The system calls by which a start looks at entries.
const LOOKS: &str = "trace=openat,openat2,flock,unlinkat,renameat,newfstatat,statx,readlinkat,faccessat2";

/// Directories of a sandbox that others than the operator may fill, and what is said of such a crowd.
const DIRECTORIES: &[(&str, Option<&str>)] = &[
    ("capture/claude/.agent-init/leases", Some("has more marks of containers than agent-init reads")),
    ("capture/claude/.agent-init/conflicts", None),
    ("capture/claude/.agent-init", None),
    ("capture/claude", None),
    ("capture", None),
    ("secrets", None),
    ("home/.claude", None),
    ("home", None),
    ("state/recovery/claude", None),
];

fn start(sandbox: &Sandbox) -> (Outcome, usize) {
    let (log, program) = (sandbox.text("log"), sandbox.text("bin/agent-init"));
    let words = ["-qq", "-o", &log, "-e", LOOKS, &program, "--", "claude", "say started"];
    let outcome = sandbox.raw(words).program("strace").run().ok().prints(&["started"]);
    (outcome, sandbox.read("log").lines().count())
}

#[test]
fn a_start_examines_a_bounded_number_of_files() {
    let sandbox = |directory: &str, crowd: usize| {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
        let directory = sandbox.mkdir(directory);
        (0..crowd).for_each(|number| std::fs::write(directory.join(format!("x{number}")), "").unwrap());
        sandbox
    };
    for (directory, said) in DIRECTORIES {
        let (_, alone) = start(&sandbox(directory, 0));
        let (outcome, crowded) = start(&sandbox(directory, CROWD));
        assert!(crowded <= alone + CROWD, "{directory}: {crowded} looks, and {alone} without the crowd");
        outcome.says(said.as_slice());
    }
}
