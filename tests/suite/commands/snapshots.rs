//! What people read, as it was when somebody last looked at it.

use super::captured;
use crate::support::{NODE, Sandbox, Session, assert_snapshot, needs_root};

/// Without what differs from day to day and from directory to directory.
fn steady(sandbox: &Sandbox, text: &str) -> String {
    let text = text.replace(sandbox.text("").trim_end_matches('/'), "/SANDBOX");
    let line = |line: &str| match line.split_once("expires in ") {
        Some((before, after)) => {
            let span = after.find([';', '(']).unwrap_or(after.len());
            format!("{before}expires in SOME TIME{}\n", &after[span..])
        }
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

const COMMANDS: [&str; 12] = [
    "",
    "setup",
    "status",
    "plan",
    "doctor",
    "healthcheck",
    "exec",
    "agents",
    "install",
    "completions",
    "help",
    "version",
];

#[test]
fn the_help_texts_are_as_reviewed() {
    let sandbox = Sandbox::new();
    for command in COMMANDS {
        let words = [command, "--help"].into_iter().filter(|word| !word.is_empty());
        let name = if command.is_empty() { "help".to_owned() } else { format!("help-{command}") };
        assert_snapshot(&name, &sandbox.raw(words).run().ok().stdout);
    }
}

#[test]
fn the_pages_of_status_plan_and_doctor_are_as_reviewed() {
    needs_root!();
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    sandbox.give("home", NODE);
    sandbox.write("capture/claude/.claude.json", r#"{"oauthAccount":{"emailAddress":"user@example.com"}}"#);
    let say = |name: &str, words: &[&str], key: bool| {
        // So wide that the length of the sandbox's path moves no line break.
        let run = sandbox.raw(words.iter().copied()).pid1().env("COLUMNS", "1000");
        let run = if key { run.env("ANTHROPIC_API_KEY", "sk-FAKE").env("CODEX_CREDENTIALS", "{}") } else { run };
        assert_snapshot(name, &steady(&sandbox, &run.run().stdout));
    };
    say("status", &["status"], false);
    say("status-shadowed", &["status"], true);
    say("status-verbose", &["status", "-v"], true);
    say("status-short", &["status", "--short"], true);
    say("status.json", &["status", "--json"], false);
    say("plan", &["plan", "--user", "node", "--", "claude", "hello"], false);
    say("plan-shadowed", &["plan", "--user", "node", "--", "claude", "hello"], true);
    say("plan.json", &["plan", "--user", "node", "--json", "--", "claude", "hello"], false);
    say("doctor", &["doctor"], true);
    say("doctor.json", &["doctor", "--json"], true);
    sandbox.chmod("capture/claude/.credentials.json", 0o644);
    say("doctor-problems", &["doctor", "--user", "node"], true);
}

#[test]
fn the_page_of_agents_is_as_reviewed() {
    let sandbox = Sandbox::new();
    assert_snapshot("agents", &sandbox.raw(["agents"]).run().ok().stdout);
    assert_snapshot("agents-claude", &sandbox.raw(["agents", "claude"]).run().ok().stdout);
}
