//! What is kept from run to run: an ancestor never wins, nothing newer is lost.

use super::{Captured, FILE, name_of};
use crate::support::{Run, Sandbox, Session, codex_auth, needs_root};

/// A run with the login "a" in a variable.
fn given(sandbox: &Sandbox, script: &str) -> Run {
    sandbox.claude(script).env("CLAUDE_CREDENTIALS_B64", Session::new("a").b64())
}

/// Forgets everything but the capture, as a new container does.
fn new_container(sandbox: &Sandbox) {
    for directory in ["home", "state"] {
        std::fs::remove_dir_all(sandbox.path(directory)).unwrap();
        sandbox.mkdir(directory);
    }
}

#[test]
fn a_spent_login_in_a_variable_gives_way_to_the_capture() {
    let sandbox = Sandbox::new();
    given(&sandbox, "refresh b; refresh c").run().ok();
    for _ in 0..2 {
        new_container(&sandbox);
        let outcome = given(&sandbox, "seen").run().ok().warns_once(&["CLAUDE_CREDENTIALS_B64"]);
        assert_eq!(name_of(outcome.variable("FILE").unwrap()), "c", "{outcome}");
        assert_eq!(name_of(&sandbox.read(FILE)), "c");
    }
}

#[test]
fn every_login_that_stood_in_the_capture_is_spent() {
    let mut captured = Captured::new();
    let live = captured.run("refresh b; pause; refresh c").start();
    captured.await_stored("b");
    captured.gate.open();
    live.wait().ok();
    for name in ["a", "b"] {
        new_container(&captured.sandbox);
        captured.sandbox.write("secrets/claude_credentials", Session::new(name).json());
        let outcome = captured.sandbox.claude("seen").run().ok();
        assert_eq!(name_of(outcome.variable("FILE").unwrap()), "c", "{name}\n{outcome}");
    }
}

#[test]
fn a_new_login_wins_and_becomes_the_captures() {
    let captured = Captured::new();
    let sandbox = &captured.sandbox;
    sandbox.claude("refresh b").run().ok();
    new_container(sandbox);
    let outcome = sandbox.claude("seen").env("CLAUDE_CREDENTIALS", Session::new("new").json()).run().ok();
    assert_eq!(name_of(outcome.variable("FILE").unwrap()), "new", "{outcome}");
    assert_eq!(captured.stored(), "new");
}

#[test]
fn a_restart_keeps_the_refreshed_working_copy() {
    let sandbox = Sandbox::new();
    let run = |script: &str| given(&sandbox, script).unset("AGENT_INIT_CAPTURE");
    run("refresh b").run().ok();
    let outcome = run("seen").run().ok();
    assert_eq!(name_of(outcome.variable("FILE").unwrap()), "b", "{outcome}");
}

#[test]
fn a_restart_publishes_what_a_killed_run_left() {
    let captured = Captured::new();
    let run = |script: &str| captured.run(script).options(["--sync", "exit"]);
    let live = super::ready(run("refresh b; pause ready"));
    live.signal(9);
    live.wait();
    assert_eq!(captured.stored(), "a");
    let outcome = run("seen").run().ok();
    assert_eq!(name_of(outcome.variable("FILE").unwrap()), "b", "{outcome}");
    assert_eq!(captured.stored(), "b");
}

#[test]
fn a_restart_adopts_what_another_container_published_meanwhile() {
    let captured = Captured::new();
    captured.run(":").run().ok();
    captured.store(&Session::new("b"));
    let outcome = captured.run("seen").run().ok();
    assert_eq!(name_of(outcome.variable("FILE").unwrap()), "b", "{outcome}");
}

#[test]
fn an_unknown_login_in_the_image_gives_way_to_the_source_and_is_kept() {
    let captured = Captured::new();
    let sandbox = &captured.sandbox;
    sandbox.write("home/.claude/.credentials.json", Session::new("image").json());
    let outcome = captured.run("seen").run().ok();
    assert_eq!(name_of(outcome.variable("FILE").unwrap()), "a", "{outcome}");
    assert!(captured.conflicts().contains("FAKE-refresh-image"), "{outcome}");
}

#[test]
fn the_only_login_is_that_of_the_home_and_is_published() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.claude/.credentials.json", Session::new("home").json());
    let outcome = sandbox.claude("seen").run().ok().says(&["home:"]);
    assert_eq!(name_of(outcome.variable("FILE").unwrap()), "home", "{outcome}");
    assert_eq!(name_of(&sandbox.read(FILE)), "home");
}

#[test]
fn a_read_only_capture_is_one_warning() {
    needs_root!();
    let captured = Captured::new();
    let capture = captured.sandbox.path("capture");
    let run = captured.run("refresh b; refresh c; refresh d").bind_read_only(&capture, &capture);
    let outcome = run.run().ok();
    assert_eq!(outcome.warnings().len(), 1, "{outcome}");
    assert_eq!(captured.stored(), "a");
    assert!(outcome.stderr.contains(&captured.sandbox.text("capture")), "{outcome}");
}

#[test]
fn what_could_not_be_published_is_published_by_the_next_start() {
    needs_root!();
    // Left in the working copy, or in the state directory alone.
    for lost in [None, Some("home/.claude")] {
        let captured = Captured::new();
        let capture = captured.sandbox.path("capture");
        captured.run("refresh b").bind_read_only(&capture, &capture).run().ok();
        if let Some(directory) = lost {
            std::fs::remove_dir_all(captured.sandbox.path(directory)).unwrap();
        }
        let outcome = captured.run("seen").run().ok();
        assert_eq!(name_of(outcome.variable("FILE").unwrap()), "b", "{lost:?}\n{outcome}");
        assert_eq!(captured.stored(), "b");
    }
}

#[test]
fn a_capture_that_goes_away_does_not_end_the_agent() {
    let mut captured = Captured::new();
    let live = super::ready(captured.run("pause ready; refresh b; say on"));
    std::fs::remove_dir_all(captured.sandbox.path("capture/claude")).unwrap();
    std::fs::remove_dir(captured.sandbox.path("capture")).unwrap();
    captured.gate.open();
    live.wait().ok().prints(&["on"]);
}

/// Two agents in one flat capture: what one has published says nothing of the other's login.
#[test]
fn each_agent_of_a_flat_capture_has_a_history_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.write("capture/.credentials.json", Session::new("a").json());
    sandbox.write("capture/auth.json", codex_auth("first"));
    sandbox.claude("refresh b").run().ok();
    let second = codex_auth("second");
    sandbox.codex(&format!("replace '{second}'")).run().ok();
    sandbox.claude("refresh c").run().ok();
    // The first logins are spent, whoever published last.
    let fresh = |name: &str| sandbox.mkdir(name).display().to_string();
    let run = sandbox.codex("seen").env("CODEX_CREDENTIALS", codex_auth("first"));
    let outcome = run.env("AGENT_INIT_HOME", fresh("h1")).env("AGENT_INIT_STATE_DIR", fresh("s1")).run().ok();
    assert!(outcome.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-second")), "{outcome}");
    let run = sandbox.claude("seen").env("CLAUDE_CREDENTIALS", Session::new("a").json());
    let outcome = run.env("AGENT_INIT_HOME", fresh("h2")).env("AGENT_INIT_STATE_DIR", fresh("s2")).run().ok();
    assert!(outcome.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-c")), "{outcome}");
}
