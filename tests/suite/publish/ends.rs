//! Ends that become other directories while the agent runs: removed and made anew, renamed, mounted over.

use std::fs;

use super::{Captured, FILE, name_of};
use crate::support::{Live, Session, needs_root};

impl Captured {
    /// The capture is removed, as an operator or another machine may.
    fn remove_capture(&self) {
        fs::remove_dir_all(self.sandbox.path("capture/claude")).unwrap();
    }

    /// The agent, which waits, refreshes to `b` and waits twice: both ends notice.
    fn is_noticed_again(&mut self, live: Live) {
        self.gate.open();
        self.await_stored("b");
        self.store(&Session::new("c"));
        self.await_working("c");
        self.gate.open();
        self.gate.open();
        live.wait().ok();
    }
}

#[test]
fn a_capture_that_is_removed_and_made_again_is_used_again() {
    let mut captured = Captured::new();
    let mut live = captured.run("say ready; pause; refresh b; pause; pause").start();
    live.line("ready");
    captured.remove_capture();
    live.message("claude was removed, renamed or unmounted");
    captured.sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    captured.is_noticed_again(live);
}

/// While it is away the login is kept, and published when it is back.
#[test]
fn a_capture_that_comes_back_gets_what_was_kept() {
    let mut captured = Captured::new();
    let mut live = captured.run("say ready; pause; refresh b; pause").start();
    live.line("ready");
    let (there, away) = (captured.sandbox.path("capture"), captured.sandbox.path("away"));
    fs::rename(&there, &away).unwrap();
    captured.gate.open();
    // The handle that we have is the old directory's: the login is safe there.
    crate::support::await_path(&away.join("claude"), "login b", || {
        name_of(&fs::read_to_string(away.join("claude/.credentials.json")).unwrap_or_default()) == "b"
    });
    fs::rename(&away, &there).unwrap();
    captured.store(&Session::new("c"));
    captured.await_working("c");
    captured.gate.open();
    live.wait().ok();
}

/// A capture that was mounted over: the mount that is on top is the operator's.
#[test]
fn a_capture_that_is_mounted_over_is_followed() {
    needs_root!();
    let mut captured = Captured::new();
    captured.sandbox.write("other/claude/.credentials.json", Session::new("a").json());
    captured.sandbox.chmod("other/claude/.credentials.json", 0o600);
    let (capture, other) = (captured.sandbox.text("capture"), captured.sandbox.text("other"));
    let script = format!("mount --bind {other} {capture}; refresh b; say written; pause");
    let mut live = captured.run(&script).pid1().start();
    live.line("written");
    let file = captured.sandbox.path("other/claude/.credentials.json");
    crate::support::await_path(file.parent().unwrap(), "login b", || {
        name_of(&fs::read_to_string(&file).unwrap_or_default()) == "b"
    });
    assert_eq!(name_of(&captured.sandbox.read(FILE)), "a");
    captured.gate.open();
    live.wait().ok();
}

#[test]
fn a_config_directory_that_the_agent_replaces_is_followed() {
    let mut captured = Captured::new();
    let script =
        "cp -a \"$C\" \"$C.new\"; rm -r \"$C\"; mv \"$C.new\" \"$C\"; say moved; pause; refresh b; pause; pause";
    let mut live = captured.run(script).start();
    live.line("moved");
    captured.is_noticed_again(live);
}

/// A link in the place of its directory leads who knows where: neither is what it leads to published, nor is anything
/// written there.
#[test]
fn a_config_directory_that_becomes_a_link_is_not_followed() {
    let mut captured = Captured::new();
    captured.sandbox.write("elsewhere/.credentials.json", Session::new("x").json());
    let elsewhere = captured.sandbox.text("elsewhere");
    let script = format!("rm -r \"$C\"; ln -s {elsewhere} \"$C\"; say linked; pause");
    let mut live = captured.run(&script).start();
    live.line("linked");
    captured.store(&Session::new("c"));
    captured.gate.open();
    live.wait().ok();
    assert_eq!(captured.stored(), "c");
    assert_eq!(name_of(&captured.sandbox.read("elsewhere/.credentials.json")), "x");
}

/// A backup of the whole capture is put back under a container that has a newer login: the older one is spent.
#[test]
fn a_capture_that_is_restored_to_an_older_login_does_not_win() {
    let mut captured = Captured::new();
    let mut live = captured.run("say ready; pause; refresh b; pause; refresh c; pause").start();
    live.line("ready");
    let record = captured.sandbox.path("capture/claude/.agent-init/record.json");
    captured.gate.open();
    captured.await_stored("b");
    let backup = (captured.sandbox.read(FILE), fs::read_to_string(&record).unwrap());
    captured.gate.open();
    captured.await_stored("c");
    fs::write(&record, backup.1).unwrap();
    captured.store(&Session::new("b"));
    captured.await_stored("c");
    assert_eq!(name_of(&backup.0), "b");
    captured.gate.open();
    live.wait().ok();
    assert_eq!(captured.stored(), "c");
}

/// A lock that somebody holds for ever does not keep a login from being kept, nor a person from knowing.
#[test]
fn a_lock_that_is_never_released_does_not_hang_the_run() {
    let mut captured = Captured::new();
    let mut live = captured.run("say ready; pause; refresh b; pause").start();
    live.line("ready");
    let file = fs::File::create(captured.sandbox.path("capture/claude/.agent-init/lock")).unwrap();
    file.lock().unwrap();
    captured.gate.open();
    live.message("another process holds its lock for longer than any write takes");
    assert_eq!(name_of(&captured.sandbox.read("state/recovery/claude/.credentials.json")), "b");
    file.unlock().unwrap();
    captured.await_stored("b");
    captured.gate.open();
    live.wait().ok();
}

/// Whoever logs in by hand in a container that began without a login has it captured, and whoever is logged in elsewhere
/// brings it along.
#[test]
fn a_login_that_appears_while_the_agent_runs_is_adopted() {
    for from_inside in [true, false] {
        let mut captured = Captured::new();
        captured.remove_capture();
        let write = if from_inside { "refresh b" } else { ":" };
        let mut live = captured.run(&format!("say ready; pause; {write}; pause")).start();
        live.line("ready");
        // Nothing is made for nobody: another user may be the first to log in.
        let capture = captured.sandbox.path("capture");
        assert!(!capture.join("claude").exists());
        captured.gate.open();
        if from_inside {
            crate::support::await_path(&capture, "a capture", || capture.join("claude").exists());
            captured.await_stored("b");
        } else {
            captured.store(&Session::new("c"));
            captured.await_working("c");
        }
        captured.gate.open();
        let outcome = live.wait().ok();
        outcome.says(&["claude auth: none (not logged in)"]).quiet();
    }
}
