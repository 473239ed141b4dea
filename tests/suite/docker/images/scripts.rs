//! The host's scripts: `scripts/setup`, `scripts/status`.

use super::super::container::client;
use super::super::engine::{CLIENT, Engine, root};
use super::{TAG, needs_images};
use crate::support::{Run, Sandbox, Session, vendor_file};

/// A script with its words. `name` is the capture.
fn script(sandbox: &Sandbox, name: &str, words: &[&str]) -> Run {
    let program = root().join("scripts").join(words[0]);
    sandbox
        .raw(words[1..].iter().copied())
        .program(program.to_str().unwrap())
        .env("DOCKER", CLIENT)
        .env("DOCKER_HOST", Engine::get().unwrap().host())
        .env("TAG", TAG)
        .env("CAPTURE", name)
        .env("TERM", "xterm")
}

/// A person at a terminal who sees a text and types.
fn person(run: Run, see: &str, keys: &str) -> Run {
    run.through(["python3", "-B", &vendor_file("terminal.py"), "--see", see, "--type", keys, "--"])
}

#[test]
fn setup_logs_in_and_status_shows_it() {
    needs_images!();
    let sandbox = Sandbox::new();
    let setup = person(script(&sandbox, "scripted", &["setup", "claude"]), "Paste code here", "one\\r").run().ok();
    setup
        .prints(&["1 agent is ready", "CAPTURE=scripted WORKSPACE=~/project docker compose run --rm agent claude"])
        .prints_no(&["FAKE"]);
    script(&sandbox, "", &["status", "scripted"])
        .run()
        .ok()
        .prints(&["== agent-logins-scripted\n", "login directory  /capture/claude"]);
    script(&sandbox, "", &["status"]).run().ok().prints(&["== agent-logins-scripted\n"]);
    client(&sandbox, ["volume", "rm", "agent-logins-scripted"]).run().ok();
}

#[test]
fn a_directory_keeps_its_owner() {
    needs_images!();
    let sandbox = Sandbox::new();
    sandbox.mkdir("logins");
    sandbox.give("logins", 4242);
    sandbox.chmod("logins", 0o700);
    let directory = sandbox.text("logins");
    let run = script(&sandbox, "", &["setup", "claude"]).env("CAPTURE_DIR", &directory);
    person(run, "Paste code here", "one\\r")
        .run()
        .ok()
        .prints(&[&format!("CAPTURE_DIR={directory} WORKSPACE=~/project docker compose")]);
    assert_eq!(super::super::login(&sandbox, "logins/claude/.credentials.json"), Session::new("one").value());
    super::super::assert_private(&sandbox, "logins/claude/.credentials.json", "4242:4242");
    script(&sandbox, "", &["status", &directory]).run().ok().prints(&["1 agent is ready"]);
}

#[test]
fn an_abandoned_login_is_an_error() {
    needs_images!();
    let sandbox = Sandbox::new();
    let directory = sandbox.mkdir("logins").display().to_string();
    let setup = || script(&sandbox, "", &["setup", "claude"]).env("CAPTURE_DIR", &directory);
    person(setup(), "Paste code here", "\\x03").run().code(1).prints(&["nothing was captured"]);
    script(&sandbox, "", &["status", &directory]).run().code(1);
    // What was there stays.
    person(setup(), "Paste code here", "one\\r").run().ok();
    person(setup(), "Paste code here", "\\x03").run().code(1);
    assert_eq!(super::super::login(&sandbox, "logins/claude/.credentials.json"), Session::new("one").value());
}

#[test]
fn the_image_is_built_where_it_is_missing() {
    needs_images!();
    let sandbox = Sandbox::new();
    let run = script(&sandbox, "", &["setup", "claude"])
        .env("TAG", "made-by-setup")
        .env("CAPTURE_DIR", sandbox.text("logins"));
    let run = run.env("BINARY", "prebuilt").env("AGENTS", "claude").env("PACKAGES", "ca-certificates");
    // The real CLI in it: the login is abandoned.
    let outcome = person(run, "Paste code here", "\\x03").run().code(1);
    outcome.prints(&["building agent-init-setup:made-by-setup with claude", "https://claude.com/"]);
    // One that lacks the agent asked for is built anew.
    let run = script(&sandbox, "", &["setup", "nosuch"]).env("TAG", "made-by-setup").env("BINARY", "prebuilt");
    let outcome = person(run, "never", "").run();
    for part in ["building agent-init-setup:made-by-setup with claude codex nosuch", "unknown agent 'nosuch'; known: "]
    {
        assert!(outcome.stdout.contains(part), "{outcome}");
    }
}

#[test]
fn what_is_missing_is_said_in_one_line() {
    needs_images!();
    let sandbox = Sandbox::new();
    let rows: [(&[&str], &str, &str, &str); 5] = [
        (&["setup"], "DOCKER", CLIENT, "setup: a login needs a terminal"),
        (&["status"], "DOCKER", "nosuch-docker", "status: docker is missing\n  hint: "),
        (&["status"], "DOCKER_HOST", "unix:///nosuch", "status: docker does not answer: "),
        (&["status", "nosuch"], "DOCKER", CLIENT, "status: there is no volume agent-logins-nosuch\n  hint: "),
        (&["status", "/nosuch"], "DOCKER", CLIENT, "status: there is no directory /nosuch"),
    ];
    for (words, name, value, says) in rows {
        script(&sandbox, "none", words).env(name, value).run().code(1).says(&[says]);
    }
    let setup = person(script(&sandbox, "none", &["setup"]).env("DOCKER", "nosuch-docker"), "never", "").run();
    assert!(setup.stdout.contains("setup: docker is missing"), "{setup}");
}
