//! The three-way table: base, working, stored.

use super::{Captured, FILE, name_of, ready};
use crate::support::{Sandbox, Session, needs_root};

#[test]
fn unchanged_is_not_written() {
    let captured = Captured::new();
    let inode = || std::os::unix::fs::MetadataExt::ino(&captured.sandbox.path(FILE).metadata().unwrap());
    let before = inode();
    captured.run("refresh a; touch \"$F\"").run().ok().quiet();
    assert_eq!(inode(), before);
}

#[test]
fn a_newer_login_in_the_capture_is_adopted() {
    let mut captured = Captured::new();
    let mut live = ready(captured.run("pause ready; say \"FILE=$(cat \"$F\")\""));
    captured.store(&Session::new("b"));
    captured.await_working("b");
    captured.gate.open();
    live.line("FAKE-refresh-b");
    live.wait().ok().quiet();
    assert_eq!(captured.stored(), "b");
}

#[test]
fn an_adopted_login_has_owner_and_mode_of_the_working_copy() {
    needs_root!();
    let mut captured = Captured::new();
    captured.sandbox.give("home", 1000);
    let run = captured.run("pause ready; stat -c '%a %u:%g' \"$F\"").options(["--user", "node"]);
    let live = ready(run.pid1());
    captured.store(&Session::new("b"));
    captured.await_working("b");
    captured.gate.open();
    live.wait().ok().prints(&["600 1000:1000"]);
}

#[test]
fn sync_exit_adopts_nothing_while_the_agent_runs_and_loses_nothing() {
    let mut captured = Captured::new();
    let live = ready(captured.run("pause ready").options(["--sync", "exit"]));
    captured.store(&Session::new("b"));
    captured.gate.open();
    live.wait().ok();
    assert_eq!(captured.stored(), "b");
}

/// Both changed, same account (no account is known): the fresher wins, the other is kept.
#[test]
fn of_two_changed_logins_the_fresher_wins() {
    let (early, late) = (4_102_444_800_001_u64, 4_102_444_800_002_u64);
    for (ours, theirs, winner, loser) in [(late, early, "ours", "theirs"), (early, late, "theirs", "ours")] {
        let mut captured = Captured::new();
        let live = ready(captured.run(&format!("pause ready; refresh ours {ours}")).options(["--sync", "exit"]));
        captured.store(&Session::new("theirs").expires_ms(theirs));
        captured.gate.open();
        let outcome = live.wait().ok();
        assert_eq!(captured.stored(), winner, "{outcome}");
        assert!(captured.conflicts().contains(&format!("FAKE-refresh-{loser}")), "{outcome}");
    }
}

#[test]
fn conflicts_are_kept_private() {
    needs_root!();
    let mut captured = Captured::new();
    captured.sandbox.give("capture", 4242);
    let live = ready(captured.run("pause ready; refresh ours 4102444800001").options(["--sync", "exit"]));
    captured.store(&Session::new("theirs").expires_ms(4_102_444_800_002));
    captured.sandbox.give("capture", 4242);
    captured.gate.open();
    live.wait().ok();
    let directory = captured.sandbox.path("capture/claude/.agent-init/conflicts");
    let mode = |path: &std::path::Path| std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap()) & 0o7777;
    assert_eq!(mode(&directory), 0o700);
    let files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

#[test]
fn a_blanked_login_is_never_published() {
    for script in ["blank", "rm \"$F\"", "rm -r \"$C\"", "blank; rm \"$F\"", "refresh a; blank"] {
        for sync in ["live", "exit"] {
            let captured = Captured::new();
            let before = captured.sandbox.read(FILE);
            let outcome = captured.run(script).options(["--sync", sync]).run().ok().says(&["agent-init: warning: "]);
            assert_eq!(captured.sandbox.read(FILE), before, "{sync}: {script}\n{outcome}");
        }
    }
}

#[test]
fn a_blanked_login_is_one_warning() {
    for sync in ["live", "exit"] {
        let captured = Captured::new();
        let outcome = captured.run("blank").options(["--sync", sync]).run().ok().says(&["\n  hint: "]);
        assert_eq!(outcome.warnings().len(), 1, "{sync}\n{outcome}");
    }
}

#[test]
fn a_blanked_login_is_not_restored() {
    let mut captured = Captured::new();
    let mut live = ready(captured.run("say ready; blank; pause; say \"FILE=$(cat \"$F\")\""));
    live.message("warning");
    captured.gate.open();
    live.wait().ok().prints(&["\"refreshToken\":\"\""]);
}

#[test]
fn a_blanked_login_is_replaced_by_a_fresher_one() {
    let mut captured = Captured::new();
    let mut live = ready(captured.run("blank; pause ready; say \"FILE=$(cat \"$F\")\""));
    live.message("warning");
    captured.store(&Session::new("b"));
    captured.await_working("b");
    captured.gate.open();
    live.wait().ok().prints(&["FAKE-refresh-b"]);
    assert_eq!(captured.stored(), "b");
}

#[test]
fn a_new_login_after_a_logout_is_published() {
    let mut captured = Captured::new();
    let mut live = ready(captured.run("blank; pause ready; refresh b; pause"));
    live.message("warning");
    captured.gate.open();
    captured.await_stored("b");
    captured.gate.open();
    live.wait().ok();
}

#[test]
fn a_torn_file_is_never_published_and_the_stored_one_comes_back() {
    let mut captured = Captured::new();
    let before = captured.sandbox.read(FILE);
    let live = ready(captured.run("torn; pause ready"));
    captured.await_working("a");
    captured.gate.open();
    live.wait().ok();
    assert_eq!(captured.sandbox.read(FILE), before);
}

#[test]
fn a_file_written_in_two_pieces_is_published_whole() {
    let mut captured = Captured::new();
    let script = "torn; pause ready; inplace b; pause";
    let live = ready(captured.run(script));
    captured.gate.open();
    captured.await_stored("b");
    captured.gate.open();
    live.wait().ok();
}

#[test]
fn a_file_that_is_torn_at_the_end_is_never_published() {
    for sync in ["live", "exit"] {
        let captured = Captured::new();
        let before = captured.sandbox.read(FILE);
        for script in [
            "torn",
            ": >\"$F\"",
            "replace '[]'",
            "replace '{}'",
            "replace '{\"claudeAiOauth\":{\"accessToken\":\"FAKE\"}}'",
        ] {
            captured.run(script).options(["--sync", sync]).run().ok();
            assert_eq!(captured.sandbox.read(FILE), before, "{sync}: {script}");
        }
    }
}

#[test]
fn a_damaged_stored_login_is_not_adopted() {
    for content in ["", "torn", "[]", "{}"] {
        let mut captured = Captured::new();
        let live = ready(captured.run("pause ready; say \"FILE=$(cat \"$F\")\""));
        captured.sandbox.write(FILE, content);
        captured.gate.open();
        live.wait().ok().prints(&["FAKE-refresh-a"]);
    }
}

#[test]
fn a_working_copy_changed_over_a_broken_capture_is_published() {
    let mut captured = Captured::new();
    let live = ready(captured.run("pause ready; refresh b"));
    captured.sandbox.write(FILE, "torn");
    captured.gate.open();
    live.wait().ok();
    assert_eq!(captured.stored(), "b");
}

/// Another container on the same capture, while the first still runs.
#[test]
fn two_runs_on_one_capture_agree() {
    let mut captured = Captured::new();
    let first = ready(captured.run("pause ready; say \"FILE=$(cat \"$F\")\""));
    let sandbox = &captured.sandbox;
    let (home, state) = (sandbox.mkdir("home2").display().to_string(), sandbox.mkdir("state2").display().to_string());
    let mut seen = sandbox.gate("seen");
    let second = sandbox.claude(&format!("refresh b; hold '{seen}'")).env("AGENT_INIT_HOME", home);
    let second = second.env("AGENT_INIT_STATE_DIR", state).start();
    captured.await_working("b");
    seen.open();
    // The stand-in knows nothing of locks.
    assert_eq!(second.wait().ok().warns_once(&["not its turn"]).warnings().len(), 1);
    captured.gate.open();
    first.wait().ok().quiet().prints(&["FAKE-refresh-b"]);
    assert_eq!(name_of(&captured.sandbox.read(FILE)), "b");
}

/// Who shares a login and takes no turns is told, and nobody else.
#[test]
fn a_file_system_without_locks_is_a_warning() {
    let captured = Captured::new();
    let alone = captured.run("true").options(["--sync", "exit"]).run().ok();
    alone.quiet();
    let other = Sandbox::new();
    let mut gate = other.gate("gate");
    let run =
        other.claude(&format!("say ready; hold '{gate}'")).env("AGENT_INIT_CAPTURE", captured.sandbox.text("capture"));
    let live = ready(run);
    for options in [["--sync", "exit"], ["--sync", "off"], ["--auth", "copy"]] {
        captured.run("true").options(options).run().ok().says(&["1 other container(s) use this login", "--sync live"]);
    }
    captured.run("true").run().ok().quiet();
    gate.open();
    live.wait().ok();
}

/// Before Linux 5.6, and under a seccomp filter of those days, which says EPERM to what it does not know.
#[test]
fn it_works_without_newer_system_calls() {
    let calls = ["openat2", "renameat2", "faccessat2", "statx", "memfd_create", "close_range"];
    for fault in calls.iter().flat_map(|call| ["ENOSYS", "EPERM"].map(|error| format!("inject={call}:error={error}"))) {
        let mut captured = Captured::new();
        let run = captured.run("pause ready; say \"FILE=$(cat \"$F\")\"; refresh c");
        let mut live = ready(run.through(["strace", "-qq", "-o", "/dev/null", "-e", &fault]));
        captured.store(&Session::new("b"));
        captured.await_working("b");
        captured.gate.open();
        live.line("FAKE-refresh-b");
        live.wait().ok().quiet();
        assert_eq!(captured.stored(), "c", "{fault}");
    }
}
