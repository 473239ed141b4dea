//! What is kept, what is said to be kept, and what killed writers leave.

use super::{Captured, FILE, name_of, ready};
use crate::support::{Sandbox, Session, needs_root};

/// A clock that was years ahead once, or is years behind now: names alone say nothing of what is newer.
#[test]
fn a_conflict_that_was_just_kept_is_there_whatever_the_clock_says() {
    let captured = Captured::new();
    for number in 0..16 {
        let name =
            format!("capture/claude/.agent-init/conflicts/2999-01-01T00:00:{number:02}.000000000Z-.credentials.json");
        captured.sandbox.write(&name, "FAKE-of-a-clock-that-was-ahead");
    }
    let outcome = captured.run(":").env("CLAUDE_CREDENTIALS", Session::new("new").json()).run().ok();
    assert_eq!(captured.stored(), "new", "{outcome}");
    assert!(captured.conflicts().contains("FAKE-refresh-a"), "{outcome}");
    let directory = captured.sandbox.path("capture/claude/.agent-init/conflicts");
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 16);
}

/// Neither the capture nor the state directory takes a byte: what is said then is what is so.
#[test]
fn nothing_is_said_to_be_kept_where_nothing_can_be_kept() {
    needs_root!();
    let captured = Captured::new();
    let sandbox = &captured.sandbox;
    sandbox.write("login", Session::new("a").json());
    let (capture, state, login) = (sandbox.text("capture"), sandbox.text("state"), sandbox.text("login"));
    let small = |path: &str| format!("mount -t tmpfs -o size=64k,mode=755 tmpfs {path}");
    let place = format!("mkdir {capture}/claude; cp -p {login} {capture}/claude/.credentials.json");
    let fill = "dd if=/dev/zero of=\"$1/fill\" 2>/dev/null; dd if=/dev/zero of=\"$2/fill\" 2>/dev/null; refresh b; pause ready";
    let run = captured.run(fill).arguments([capture.clone(), state.clone()]).limit(std::time::Duration::from_secs(120));
    let run = run.setup(small(&capture)).setup(place).setup(small(&state));
    let mut live = run.start();
    let nowhere = "exists only in";
    live.message(nowhere);
    live.line("ready");
    let mut gate = captured.gate;
    gate.open();
    let outcome = live.wait().ok();
    let outcome = outcome.says(&[
        "agent-init: error: ",
        "was not saved",
        "No space left on device",
        "home/.claude/.credentials.json",
    ]);
    let error = outcome.stderr.split("agent-init: error: ").nth(1).unwrap_or_default();
    assert!(error.contains(nowhere) && error.contains("home/.claude/.credentials.json"), "{outcome}");
    outcome.says_no(&["a copy is in", "is kept in", "os error"]);
}

/// A file that cannot be replaced: the direction, the file, and why.
#[test]
fn a_failed_adopt_is_reported_as_one() {
    for live in ["live", "exit"] {
        let mut captured = Captured::new();
        let run = captured.run("rm \"$F\"; mkdir \"$F\"; pause ready").options(["--sync", live]);
        let mut run = ready(run);
        let adopt = "cannot adopt the login of ";
        if live == "live" {
            run.message(adopt);
            let state = captured.sandbox.path("state");
            let last = || captured.sandbox.read("state/state.json").contains("\"not-adopted\"");
            crate::support::await_path(&state, "what it came to", last);
        }
        captured.gate.open();
        let outcome = run.wait().ok();
        let place = captured.sandbox.text("home/.claude/.credentials.json");
        let outcome =
            outcome.says(&[adopt, &captured.sandbox.text("capture/claude"), &format!("{place}: Is a directory")]);
        outcome.says_no(&["cannot save the login", "os error", "was not saved", "is kept in"]);
        assert_eq!(captured.stored(), "a");
    }
}

/// A mounted file is written in its own inode: what a killed writer left half is ended by the next start.
#[test]
fn a_mounted_file_that_was_left_half_written_is_completed() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.write("host.json", &Session::new("b").json()[..40]);
    sandbox.write("home/.claude/.credentials.json", "");
    sandbox.write("state/.agent-init/recovery", Session::new("b").json());
    sandbox.write("state/.agent-init/lock", "");
    let run = sandbox.claude("seen").bind(sandbox.path("host.json"), sandbox.path("home/.claude/.credentials.json"));
    let outcome = run.unset("AGENT_INIT_CAPTURE").run().ok();
    assert_eq!(name_of(outcome.variable("FILE").unwrap_or_default()), "b", "{outcome}");
    assert_eq!(name_of(&sandbox.read("host.json")), "b", "{outcome}");
    assert!(!sandbox.exists("state/.agent-init/recovery"), "{outcome}");
}

/// In every place where a killed writer leaves files with logins; a neighbour's that is being written stays.
#[test]
fn what_killed_writers_left_is_swept() {
    let captured = Captured::new();
    captured.run("refresh b").run().ok();
    let sandbox = &captured.sandbox;
    let places = [
        "home/.claude",
        "home/.claude/.agent-init/conflicts",
        "capture/claude",
        "capture/claude/.agent-init",
        "capture/claude/.agent-init/conflicts",
        "state",
        "state/recovery/claude",
        "state/conflicts",
        "state/store/claude",
        "state/store/claude/.agent-init/conflicts",
        "state/.agent-init",
    ];
    let age = |name: &str, seconds: u64| {
        let moment = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds);
        std::fs::File::open(sandbox.path(name)).unwrap().set_modified(moment).unwrap();
    };
    for place in places {
        for (name, old) in [("1887f", true), ("1887e", false)] {
            let name = format!("{place}/..credentials.json.{name}.1.0.tmp");
            sandbox.write(&name, Session::new("left").json());
            age(&name, if old { 60 } else { 0 });
        }
    }
    captured.run(":").run().ok();
    for place in places {
        let there = |name: &str| sandbox.exists(&format!("{place}/..credentials.json.{name}.1.0.tmp"));
        assert_eq!((there("1887f"), there("1887e")), (false, true), "{place}");
    }
    assert_eq!(name_of(&sandbox.read(FILE)), "b");
}
