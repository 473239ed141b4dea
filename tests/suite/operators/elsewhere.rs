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

#[test]
fn a_credential_in_settings_that_outrank_ours_is_a_warning() {
    let outranked = Case { event: Some("outranked"), ..Case::QUIET };
    let cases = [
        Case {
            name: "a helper in the workspace",
            given: |s, run| {
                s.write("cwd/.claude/settings.json", "{\"apiKeyHelper\":\"echo FAKE\"}");
                run
            },
            named: &["cwd/.claude/settings.json", "apiKeyHelper"],
            ..outranked
        },
        Case {
            name: "a variable in the workspace's local settings",
            given: |s, run| {
                s.write("cwd/.claude/settings.local.json", "{\"env\":{\"ANTHROPIC_API_KEY\":\"FAKE\"}}");
                run
            },
            named: &["settings.local.json", "ANTHROPIC_API_KEY"],
            ..outranked
        },
        Case {
            name: "settings without a credential",
            given: |s, run| {
                s.write("cwd/.claude/settings.json", "{\"env\":{\"FOO\":\"FAKE\"},\"model\":\"x\"}");
                run
            },
            event: None,
            ..outranked
        },
    ];
    cases.iter().for_each(Case::check);
}

/// The file that an operator links to is the login: it must not keep a spent token.
#[test]
fn a_login_file_that_is_a_link_is_replaced_where_it_leads() {
    let linked = |to: &str| {
        let sandbox = Sandbox::new();
        sandbox.write("capture/claude/work.json", Session::new("a").json());
        sandbox.write("capture/claude/logins/work.json", Session::new("a").json());
        sandbox.write("outside.json", Session::new("a").json());
        std::os::unix::fs::symlink(to, sandbox.path("capture/claude/.credentials.json")).unwrap();
        sandbox
    };
    for to in ["work.json", "logins/work.json", "./work.json"] {
        let sandbox = linked(to);
        sandbox.claude("refresh b").run().ok();
        let target = format!("capture/claude/{to}");
        assert!(sandbox.read(&target).contains("FAKE-refresh-b"), "{to}");
        assert!(sandbox.path("capture/claude/.credentials.json").is_symlink(), "{to}");
    }
    let sandbox = linked("../../outside.json");
    let outcome = sandbox.claude("refresh b").run();
    assert!(sandbox.read("outside.json").contains("FAKE-refresh-a"), "{outcome}");
}

#[test]
fn a_command_that_changes_the_user_is_a_warning() {
    let sandbox = Sandbox::new();
    for program in ["gosu", "su-exec", "setpriv"] {
        sandbox.write(&format!("bin/{program}"), "#!/bin/sh\n");
        sandbox.chmod(&format!("bin/{program}"), 0o755);
        let command = ["--", program, "node", "claude"];
        let outcome = sandbox.raw(command).run().ok();
        outcome.warns_once(&["COMMAND changes the user", program]).says(&["--user"]);
        let doctor = sandbox.raw(["doctor"]).arguments(command).run();
        assert!(doctor.stdout.contains("--user"), "{doctor}");
    }
    // Without an agent there is nothing to say.
    sandbox.raw(["--", "gosu", "node", "true"]).run().ok().quiet();
}

/// An old entrypoint behind agent-init that decodes the login of its image: it must not win over the newer one.
#[test]
fn a_command_that_overwrites_the_login_with_an_older_one_is_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    sandbox.claude("refresh b").run().ok();
    let script = "refresh a; until grep -q refresh-b \"$F\"; do :; done";
    let outcome = sandbox.claude(script).run().ok();
    outcome.warns_once(&["overwritten by an older login"]).says(&["entrypoint"]);
    assert!(sandbox.read("capture/claude/.credentials.json").contains("FAKE-refresh-b"));
}
