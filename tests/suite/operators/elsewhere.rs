//! Credentials and settings in places that are not ours to choose.

use super::Case;
use crate::support::{Outcome, Sandbox, Session};

const KEY: &str = "sk-ant-api03-FAKE0123456789";

/// What the working copy's `.claude.json` holds.
fn state(sandbox: &Sandbox) -> String {
    sandbox.read("home/.claude/.claude.json")
}

fn holds_no_key(sandbox: &Sandbox, run: &Outcome) {
    assert!(!state(sandbox).contains("primaryApiKey"), "{run}\n{}", state(sandbox));
}

fn holds_the_key(sandbox: &Sandbox, run: &Outcome) {
    assert!(state(sandbox).contains(KEY), "{run}\n{}", state(sandbox));
}

/// A console login: its key is in the agent's own state file.
fn console_login(sandbox: &Sandbox, path: &str) {
    sandbox.write(path, format!("{{\"primaryApiKey\":\"{KEY}\",\"theme\":\"dark\"}}"));
}

#[test]
fn a_key_in_the_agents_own_file_is_a_source_like_any_other() {
    let used = Case { method: "api-key", after: holds_the_key, ..Case::QUIET };
    let cases = [
        Case {
            name: "in the capture",
            given: |s, run| {
                console_login(s, "capture/claude/.claude.json");
                run.env("AGENT_INIT_REQUIRE", "1")
            },
            ..used
        },
        Case {
            name: "in the config directory",
            given: |s, run| {
                console_login(s, "home/.claude/.claude.json");
                run.env("AGENT_INIT_REQUIRE", "1")
            },
            ..used
        },
        Case {
            name: "in HOME, where the agent keeps it by default",
            given: |s, run| {
                console_login(s, "home/.claude.json");
                run.env("AGENT_INIT_REQUIRE", "1")
            },
            ..used
        },
        Case {
            name: "in the older file",
            given: |s, run| {
                console_login(s, "home/.claude/.config.json");
                run.env("AGENT_INIT_REQUIRE", "1")
            },
            after: |_, _| (),
            ..used
        },
    ];
    cases.iter().for_each(Case::check);
}

#[test]
fn a_key_that_was_not_chosen_is_not_in_the_working_copy() {
    let cases = [
        Case {
            name: "--auth ignore",
            given: |s, run| {
                console_login(s, "capture/claude/.claude.json");
                run.env("AGENT_INIT_AUTH", "ignore")
            },
            event: Some("source-ignored"),
            after: holds_no_key,
            ..Case::QUIET
        },
        Case {
            name: "--auth token",
            given: |s, run| {
                console_login(s, "capture/claude/.claude.json");
                run.env("AGENT_INIT_AUTH", "token").env("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-FAKE")
            },
            method: "oauth-token",
            event: Some("source-ignored"),
            after: holds_no_key,
            ..Case::QUIET
        },
        Case {
            name: "beside a login",
            given: |s, run| {
                console_login(s, "capture/claude/.claude.json");
                s.captured("claude", ".credentials.json", &Session::new("a").json());
                run
            },
            method: "session",
            after: holds_no_key,
            ..Case::QUIET
        },
        Case {
            name: "in HOME, beside a login",
            given: |s, run| {
                console_login(s, "home/.claude.json");
                s.captured("claude", ".credentials.json", &Session::new("a").json());
                run
            },
            method: "session",
            after: |sandbox, run| {
                holds_no_key(sandbox, run);
                assert!(sandbox.read("home/.claude.json").contains(KEY), "the original is changed\n{run}");
            },
            ..Case::QUIET
        },
    ];
    cases.iter().for_each(Case::check);
}
