//! What of a captured directory is copied, and hostile directories.

use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;

use super::captured;
use crate::support::{Sandbox, Session, needs_root};

/// The paths in the working copy.
fn copied(sandbox: &Sandbox) -> Vec<String> {
    let outcome = sandbox.claude("tree").run().ok();
    outcome.stdout.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn settings_are_copied_and_history_is_not() {
    let sandbox = captured();
    let come = ["CLAUDE.md", "settings.json", "commands/x.md", "agents/y.md", "skills/z/SKILL.md"];
    let stay = [
        "projects/-work/1.jsonl",
        "todos/1.json",
        "history.jsonl",
        "shell-snapshots/1.sh",
        "statsig/x",
        ".agent-init/record.json",
        "claude.tmp.1",
    ];
    for name in come.iter().chain(&stay) {
        sandbox.write(&format!("capture/claude/{name}"), "{}");
    }
    let copied = copied(&sandbox);
    for name in come {
        assert!(copied.iter().any(|path| path == name), "{name} is missing in {copied:?}");
    }
    for name in stay {
        assert!(!copied.iter().any(|path| path == name), "{name} is in {copied:?}");
    }
}

#[test]
fn executables_stay_executable_and_nothing_else_becomes_so() {
    let sandbox = captured();
    sandbox.write("capture/claude/skills/z/run.sh", "#!/bin/sh\n");
    sandbox.write("capture/claude/skills/z/SKILL.md", "");
    sandbox.chmod("capture/claude/skills/z/run.sh", 0o755);
    sandbox.chmod("capture/claude/skills/z/SKILL.md", 0o666);
    let outcome = sandbox.claude("stat -c '%a %n' \"$C\"/skills/z/*").run().ok();
    let home = sandbox.text("home/.claude/skills/z");
    assert_eq!(outcome.stdout, format!("600 {home}/SKILL.md\n700 {home}/run.sh\n"));
}

#[test]
fn links_within_the_source_are_resolved_and_none_leads_out() {
    let sandbox = captured();
    sandbox.write("outside/secret.md", "FAKE-outside");
    sandbox.write("capture/claude/..2026/commands/inside.md", "inside");
    symlink("..2026", sandbox.path("capture/claude/..data")).unwrap();
    symlink("..data/commands", sandbox.path("capture/claude/commands")).unwrap();
    sandbox.mkdir("capture/claude/agents");
    for (name, target) in [
        ("absolute.md", sandbox.text("outside/secret.md")),
        ("relative.md", "../../../outside/secret.md".into()),
        ("directory", sandbox.text("outside")),
        ("loop", "loop".into()),
        ("up", "..".into()),
        ("dangling", "nosuch".into()),
        ("proc", "/proc/self/root".into()),
    ] {
        symlink(target, sandbox.path("capture/claude/agents").join(name)).unwrap();
    }
    let outcome =
        sandbox.claude("cat \"$C/commands/inside.md\"; tree; grep -r FAKE-outside \"$C\" || say nothing").run().ok();
    outcome.prints(&["inside", "nothing"]).prints_no(&["secret.md", "absolute.md", "relative.md", " l "]);
}

#[test]
fn only_files_and_directories_are_copied() {
    needs_root!();
    let sandbox = captured();
    let commands = sandbox.mkdir("capture/claude/commands");
    mkfifo(&commands.join("fifo"), Mode::S_IRWXU).unwrap();
    mknod(&commands.join("device"), SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 5)).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(commands.join("socket")).unwrap();
    sandbox.write("capture/claude/commands/file.md", "x");
    let copied = copied(&sandbox);
    assert!(copied.contains(&"commands/file.md".to_owned()), "{copied:?}");
    for name in ["fifo", "device", "socket"] {
        assert!(!copied.contains(&format!("commands/{name}")), "{copied:?}");
    }
}

#[test]
fn a_deep_and_a_huge_tree_do_not_stop_the_start() {
    let sandbox = captured();
    let deep = format!("capture/claude/commands/{}", "d/".repeat(1000));
    sandbox.mkdir(&deep);
    let huge = fs::File::create(sandbox.path("capture/claude/commands/huge")).unwrap();
    huge.set_len(1 << 36).unwrap();
    for number in 0..2000 {
        fs::write(sandbox.path("capture/claude/commands").join(format!("{number}.md")), "x").unwrap();
    }
    sandbox.claude("say started; test ! -e \"$C/commands/huge\"").run().ok().prints(&["started"]);
}

#[test]
fn a_credential_file_that_leads_out_of_the_capture_is_not_read() {
    let sandbox = Sandbox::new();
    sandbox.write("outside.json", Session::new("outside").json());
    sandbox.mkdir("capture/claude");
    symlink(sandbox.path("outside.json"), sandbox.path("capture/claude/.credentials.json")).unwrap();
    let outcome = sandbox.claude("seen").run().ok().warns_once(&["capture/claude"]);
    assert_eq!(outcome.variable("FILE"), None, "{outcome}");
}

#[test]
fn a_credential_file_that_is_not_regular_is_not_read() {
    let cases: &[(&str, fn(&Sandbox))] = &[
        ("fifo", |s| mkfifo(&s.path("capture/claude/.credentials.json"), Mode::S_IRWXU).unwrap()),
        ("directory", |s| {
            s.mkdir("capture/claude/.credentials.json");
        }),
        ("hard link", |s| {
            s.write("outside.json", Session::new("outside").json());
            fs::hard_link(s.path("outside.json"), s.path("capture/claude/.credentials.json")).unwrap();
        }),
    ];
    for (what, plant) in cases {
        let sandbox = Sandbox::new();
        sandbox.mkdir("capture/claude");
        plant(&sandbox);
        let outcome = sandbox.claude("seen").run().ok().warns_once(&["capture/claude"]);
        assert_eq!(outcome.variable("FILE"), None, "{what}\n{outcome}");
    }
}
