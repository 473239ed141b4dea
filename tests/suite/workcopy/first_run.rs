//! Dialogs answered before the agent asks them, without losing a setting.

use serde_json::json;

use crate::support::{Sandbox, Session, assert_kept};

const SHOW: &str = r#"printf '{"state":%s,"settings":%s}' "$(cat "$C/.claude.json" || say null)" "$(cat "$C/settings.json" || say null)""#;

#[test]
fn onboarding_trust_and_bypass_are_answered() {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    let seen = sandbox.claude(SHOW).run().ok().json();
    assert_eq!(seen["state"]["hasCompletedOnboarding"], true, "{seen}");
    assert_eq!(seen["state"]["projects"][sandbox.text("cwd")]["hasTrustDialogAccepted"], true, "{seen}");
    assert_eq!(seen["settings"]["skipDangerousModePermissionPrompt"], true, "{seen}");
}

#[test]
fn a_key_is_approved_by_its_last_20_characters() {
    let sandbox = Sandbox::new();
    let key = "sk-FAKE-0123456789abcdefghij";
    let seen = sandbox.claude(SHOW).env("ANTHROPIC_API_KEY", key).run().ok().json();
    assert_eq!(seen["state"]["customApiKeyResponses"]["approved"], json!([&key[key.len() - 20..]]), "{seen}");
}

#[test]
fn what_is_there_is_kept() {
    let settings = json!({"model": "opus", "permissions": {"allow": ["Bash(ls)"]}, "env": {"A": "1"}});
    let state = json!({
        "theme": "dark", "numStartups": 7, "userID": "FAKE",
        "oauthAccount": {"emailAddress": "user@example.com"},
        "projects": {"/elsewhere": {"hasTrustDialogAccepted": false, "history": ["x"]}},
        "customApiKeyResponses": {"approved": ["FAKE-approved"], "rejected": ["FAKE-rejected"]},
    });
    for directory in ["capture/claude", "home/.claude"] {
        let sandbox = Sandbox::new();
        sandbox.write(&format!("{directory}/settings.json"), settings.to_string());
        sandbox.write(&format!("{directory}/.claude.json"), state.to_string());
        sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
        let seen = sandbox.claude(SHOW).run().ok().json();
        assert_kept(&settings, &seen["settings"]);
        assert_kept(&state, &seen["state"]);
        assert_eq!(seen["state"]["hasCompletedOnboarding"], true, "{directory}: {seen}");
        assert_eq!(seen["settings"]["skipDangerousModePermissionPrompt"], true, "{directory}: {seen}");
    }
}

#[test]
fn state_that_is_no_json_is_a_warning() {
    for content in ["{torn", "[]"] {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
        sandbox.write("home/.claude/settings.json", content);
        sandbox.claude("say started").run().ok().prints(&["started"]).warns_once(&["settings.json"]);
    }
}

#[test]
fn a_second_start_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    let first = sandbox.claude(SHOW).run().ok().json();
    assert_eq!(sandbox.claude(SHOW).run().ok().json(), first);
}
