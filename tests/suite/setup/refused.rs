//! What is said before a person is asked for anything, and what is kept when a store refuses later.

use super::{claude, everything, setup};
use crate::support::{Pty, Run, Sandbox, Session, needs_root, root_or_skip};

/// Nothing was started: it would have said so.
const NEVER: &str = "say never-started";

#[track_caller]
fn refused(run: Run, parts: &[&str]) {
    refused_through(run, |run| run, parts);
}

/// `last`: what becomes the binary, with the terminal open already.
#[track_caller]
fn refused_through(run: Run, last: impl Fn(Run) -> Run, parts: &[&str]) {
    let pty = Pty::new();
    let live = last(pty.leads(run)).start();
    let shown = pty.all();
    live.wait().code(125);
    for part in parts.iter().chain(&["agent-init: error: ", "\r\n  hint: "]) {
        assert!(shown.contains(part), "{part:?}: {shown}");
    }
    assert!(!shown.contains("never-started"), "{shown}");
}

#[test]
fn setup_without_a_terminal_is_refused() {
    let sandbox = Sandbox::new();
    let hints = ["docker run -it", "docker compose run", "run --sync live --"];
    claude(&sandbox, NEVER, "-").run().refuses(&["standard input is not one"]).says(&hints).prints_no(&["never"]);
    claude(&sandbox, NEVER, "-").stdin(None).run().refuses(&["standard input is not one"]);
    for (redirect, what) in [(">/dev/null", "standard output is not one"), ("</dev/null", "standard input is not one")]
    {
        let line = format!("exec \"$@\" {redirect}");
        let redirected = |run: Run| run.through(["sh", "-c", &line, "sh"]);
        refused_through(claude(&sandbox, NEVER, "-"), redirected, &[what, hints[0], hints[1]]);
    }
}

#[test]
fn conflicting_options_are_refused() {
    let sandbox = Sandbox::new();
    let rows: [(&[&str], &str); 9] = [
        (&["--auto", "--token"], "--auto and --token"),
        (&["--auto", "--", "claude"], "--auto and a COMMAND"),
        (&["--auto"], "exactly one agent"),
        (&["--agent", "gh", "--auto"], "GitHub CLI has no mode without permission prompts"),
        (&["--agent", "codex", "--token"], "Codex has no long-lived token"),
        (&["--agent", "none"], "--agent none"),
        (&["--agent", "nosuch"], "unknown agent 'nosuch'"),
        (&["--user", "a", "--user-from", "b"], "--user and --user-from"),
        (&["--auth", "sync"], "unknown option --auth"),
    ];
    for (arguments, part) in rows {
        refused(setup(&sandbox, []).arguments(arguments.iter().copied()), &[part]);
    }
    refused(setup(&sandbox, []).env("AGENT_INIT_TOKEN", "perhaps"), &["AGENT_INIT_TOKEN", "yes or no"]);
    refused(setup(&sandbox, []).env("AGENT_INIT_STORE", "exec:/vault"), &["AGENT_INIT_STORE names a store"]);
}

#[test]
fn setup_without_a_capture_is_refused() {
    if std::path::Path::new("/capture").exists() || std::path::Path::new("/auth-output").exists() {
        println!("skipped: this machine has a capture of its own");
        return;
    }
    let sandbox = Sandbox::new();
    let run = || claude(&sandbox, NEVER, "-");
    refused(run().unset("AGENT_INIT_CAPTURE"), &["no capture is mounted", "-v LOGINS:/capture", "--capture"]);
    refused(run().env("AGENT_INIT_CAPTURE", "/nonexistent"), &["/nonexistent"]);
    refused(run().env("AGENT_INIT_CAPTURE", "/etc/hostname"), &["/etc/hostname", "not a directory"]);
    let elsewhere = format!("codex={}", sandbox.text("capture"));
    refused(run().env("AGENT_INIT_CAPTURE", elsewhere), &["no capture for claude"]);
}

#[test]
fn a_capture_that_cannot_be_written_is_refused() {
    needs_root!();
    let sandbox = Sandbox::new();
    let capture = sandbox.path("capture");
    sandbox.captured("claude", ".credentials.json", &Session::new("old").json());
    let before = everything(&capture);
    let run = || claude(&sandbox, NEVER, "-");
    refused(run().pid1().bind_read_only(&capture, &capture), &["capture/claude", "Read-only", "without :ro"]);
    // Another user's, closed and open.
    sandbox.give("capture", 1001);
    sandbox.give("state", 1000);
    let as_1000 = |run: Run| run.uid(1000);
    refused_through(run(), as_1000, &["capture/claude", "uid 1000", "its owner is uid 1001"]);
    sandbox.chmod("capture", 0o777);
    sandbox.chmod("capture/claude", 0o777);
    refused_through(run(), as_1000, &["belongs to uid 1001", "1001 could not read the login", "--user 1001"]);
    sandbox.give("capture", 0);
    sandbox.chmod("capture", 0o755);
    sandbox.chmod("capture/claude", 0o700);
    assert_eq!(everything(&capture), before);
}

#[test]
fn a_full_disk_is_seen_before_the_login() {
    needs_root!();
    let sandbox = Sandbox::new();
    let capture = sandbox.path("capture");
    let run = claude(&sandbox, NEVER, "-").setup(format!(
        "mount -t tmpfs -o size=64k tmpfs {0}; mkdir {0}/claude; head -c 40000 /dev/zero >{0}/claude/x",
        capture.display()
    ));
    refused(run, &["capture/claude", "No space left", "free space"]);
}

/// The person has logged in by then: the login is kept, and where it is stands on the screen.
#[test]
fn a_disk_that_fills_later_loses_no_login() {
    needs_root!();
    let sandbox = Sandbox::new();
    let capture = sandbox.text("capture");
    let script = "cat /dev/zero >\"$1/fill\" 2>/dev/null; refresh new; say made";
    let mut pty = Pty::new();
    let run = claude(&sandbox, script, &capture).setup(format!("mount -t tmpfs -o size=256k tmpfs {capture}"));
    let live = pty.leads(run).start();
    pty.shows("made");
    let shown = pty.all();
    live.wait().code(1);
    for part in [
        "error: Claude Code: you are logged in, and the login could not be stored",
        "state/recovery/claude/.credentials.json",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(sandbox.read("state/recovery/claude/.credentials.json"), Session::new("new").json());
}

/// Room for a note, and none for a login: a capture that is a volume of another's.
#[test]
fn an_ordinary_user_needs_a_capture_of_its_own() {
    if !root_or_skip("setup as another uid") {
        return;
    }
    let sandbox = Sandbox::new();
    for name in ["capture", "state", "home", "cwd"] {
        sandbox.give(name, 12345);
    }
    let mut pty = Pty::new();
    let run = claude(&sandbox, "refresh new; : >\"$(tty)\" && say own-terminal", "-");
    let live = pty.leads(run).uid(12345).start();
    pty.shows("own-terminal");
    pty.shows("captured the login of Claude Code");
    live.wait().ok();
    for (path, (_, uid, _)) in everything(&sandbox.path("capture")) {
        assert_eq!(uid, 12345, "{path}");
    }
}
