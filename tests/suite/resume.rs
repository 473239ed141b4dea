//! Real agents go on in a second container with a conversation of the first: what a volume keeps, and what is lost without.

use std::path::Path;
use std::process::Command;

use crate::first_start::{copilot_provider, gemini_key, opencode_provider, qwen_model};
use crate::support::{ANSWER, LIMIT, Outcome, Run, Sandbox, Vendor, needs_root, text};

/// In seconds: a login that no agent refreshes yet.
const FRESH: i64 = 3600;

/// A volume at the config directory, or one at its conversations beside a capture, both new and so root's: a second
/// container resumes the conversation of the first. Without the volume there is none.
fn claude_resumes_in_a_second_container(bin: &str) {
    for (at, has_capture) in [("home/.claude", false), ("home/.claude/projects", true)] {
        let vendor = Vendor::start();
        let login = vendor.login("claude", FRESH);
        let store = Sandbox::new();
        store.mkdir("volume");
        let container = |arguments: &[&str], has_volume: bool| {
            // Nothing of the first container is left but the volume and the capture.
            let sandbox = Sandbox::new();
            sandbox.mkdir(at);
            let words: Vec<&str> =
                ["claude", "-p", "--output-format", "json"].iter().chain(arguments).copied().collect();
            let path = format!("{}:/usr/local/bin:/usr/bin:/bin", sandbox.text(&format!("agents/{bin}")));
            // Conversations are filed by the working directory.
            let run =
                vendor.run(&sandbox, &words).env("PATH", path).setup("mkdir -p /run/workspace; cd /run/workspace");
            let run = if has_capture {
                run.env("AGENT_INIT_CAPTURE", store.text("capture"))
            } else {
                run.unset("AGENT_INIT_CAPTURE")
            };
            let run = if !has_capture && !store.exists("volume/.credentials.json") || !has_volume {
                run.env("CLAUDE_CREDENTIALS", &login)
            } else {
                run
            };
            let run = if has_volume { run.bind(store.path("volume"), sandbox.path(at)) } else { run };
            run.run()
        };
        if has_capture {
            store.captured("claude", ".credentials.json", &login);
        }
        let first = container(&["hello"], true).ok().prints(&[ANSWER]);
        let session = text(&first.json()["session_id"]);
        container(&["--resume", &session, "again"], true).ok().prints(&[ANSWER, &session]);
        container(&["--continue", "once more"], true).ok().prints(&[ANSWER, &session]);
        let without = container(&["--resume", &session, "again"], false);
        assert_ne!(without.code, Some(0), "{at}\n{without}");
    }
}

#[test]
fn claude_resumes_a_conversation_of_another_container() {
    needs_root!();
    claude_resumes_in_a_second_container("bin");
}

#[test]
fn the_newest_claude_resumes_a_conversation_of_another_container() {
    needs_root!();
    claude_resumes_in_a_second_container("claude-latest/node_modules/.bin");
}

/// The same for Codex, whose conversations are in `sessions`.
#[test]
fn codex_resumes_a_conversation_of_another_container() {
    needs_root!();
    let vendor = Vendor::start();
    let store = Sandbox::new();
    store.captured("codex", "auth.json", &vendor.login("codex", FRESH));
    store.mkdir("volume");
    let container = |words: &[&str], has_volume: bool| {
        let sandbox = Sandbox::new();
        sandbox.mkdir("home/.codex/sessions");
        let run = vendor.run(&sandbox, &["codex", "exec", "--skip-git-repo-check"]);
        let run = run.arguments(vendor.codex_arguments()).arguments(words.iter().copied());
        let run = run.env("AGENT_INIT_CAPTURE", store.text("capture"));
        let run = if has_volume { run.bind(store.path("volume"), sandbox.path("home/.codex/sessions")) } else { run };
        run.run()
    };
    let id = |outcome: &Outcome| {
        let line = outcome.stderr.lines().find_map(|line| line.strip_prefix("session id: ").map(str::to_owned));
        line.unwrap_or_else(|| panic!("no session id\n{outcome}"))
    };
    let first = container(&["hello"], true).ok().prints(&[ANSWER]);
    let session = id(&first);
    let second = container(&["resume", &session, "again"], true).ok().prints(&[ANSWER]);
    assert_eq!(id(&second), session, "{second}");
    let without = container(&["resume", &session, "again"], false);
    assert!(without.code != Some(0) || id(&without) != session, "{without}");
}

/// An agent whose config directory is a volume.
struct Row {
    config_dir: &'static str,
    give: fn(&Sandbox, &Vendor, Run) -> Run,
    first: &'static [&'static str],
    second: &'static [&'static str],
    /// Which conversation it was, from the answer or from the volume.
    conversation: fn(&Outcome, &Path) -> String,
}

/// The files below directories named `chats`.
fn chats(_: &Outcome, volume: &Path) -> String {
    let found = Command::new("find").arg(volume).args(["-path", "*/chats/*", "-type", "f"]).output().unwrap();
    String::from_utf8(found.stdout).unwrap()
}

/// What follows `mark` in a line of the answer.
fn after(mark: &str, outcome: &Outcome) -> String {
    let mut lines = outcome.stdout.lines().chain(outcome.stderr.lines());
    let found = lines.find_map(|line| Some(line.split_once(mark)?.1.split(['"', ' ']).next()?.to_owned()));
    found.unwrap_or_else(|| panic!("no {mark}\n{outcome}"))
}

const OTHERS: &[Row] = &[
    Row {
        config_dir: "home/.gemini",
        give: gemini_key,
        first: &["gemini", "-m", "fake", "-p", "hello"],
        second: &["gemini", "-m", "fake", "--resume", "latest", "-p", "again"],
        conversation: chats,
    },
    Row {
        config_dir: "home/.qwen",
        give: qwen_model,
        first: &["qwen", "-p", "hello"],
        second: &["qwen", "--continue", "-p", "again"],
        conversation: chats,
    },
    Row {
        config_dir: "home/.copilot",
        give: copilot_provider,
        first: &["copilot", "-p", "hello"],
        second: &["copilot", "--continue", "-p", "again"],
        conversation: |outcome, _| after("--resume=", outcome),
    },
    Row {
        config_dir: "home/.local/share/opencode",
        give: opencode_provider,
        first: &["opencode", "run", "--format", "json", "hello"],
        second: &["opencode", "run", "--format", "json", "--continue", "again"],
        conversation: |outcome, _| after("\"sessionID\":\"", outcome),
    },
];

#[test]
fn the_others_resume_conversations_of_another_container() {
    needs_root!();
    for row in OTHERS {
        let (store, vendor) = (Sandbox::new(), Vendor::start());
        let volume = store.mkdir("volume");
        let container = |words: &[&str]| {
            let sandbox = Sandbox::new();
            sandbox.mkdir(row.config_dir);
            let workspace = "mkdir -p /run/workspace; chown 1000 /run/workspace; cd /run/workspace";
            let run = vendor.run(&sandbox, words).setup(workspace);
            let run = (row.give)(&sandbox, &vendor, run).bind(&volume, sandbox.path(row.config_dir));
            let outcome = run.limit(LIMIT * 3).run().ok().prints(&[ANSWER]);
            ((row.conversation)(&outcome, &volume), outcome)
        };
        let (first, _) = container(row.first);
        let (second, outcome) = container(row.second);
        assert!(!first.is_empty() && second == first, "{:?}: {first:?} {second:?}\n{outcome}", row.second);
    }
}
