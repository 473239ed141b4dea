//! Dialogs answered before the agent asks them, without losing a setting.

use serde_json::json;

use crate::support::{Sandbox, Session, assert_kept, needs_root};

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
fn existing_keys_are_kept() {
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
fn state_that_is_not_json_is_a_warning() {
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

/// What nobody asked to change keeps its bytes: order, line ends, numbers, duplicate keys, a byte order mark, comments.
#[test]
fn other_bytes_of_a_merged_file_stay() {
    let texts = [
        "{\r\n\t\"z\": 123456789012345678901234567890,\r\n\t\"a\": 1e2, \"a\": 1.10\r\n}\r\n",
        "\u{feff}{ \"z\": \"\\u00e9\", \"b\": [ 1,2 ] }",
        "{\"z\":1,\n\n\"y\" :2}",
    ];
    for text in texts {
        for directory in ["capture/claude", "home/.claude"] {
            let sandbox = Sandbox::new();
            sandbox.write(&format!("{directory}/settings.json"), text);
            sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
            sandbox.claude("cat \"$C/settings.json\" >seen").run().ok().quiet();
            let seen = sandbox.read("cwd/seen");
            let (before, after) = text.split_at(text.rfind(['1', '0', ']', '2']).unwrap() + 1);
            let added = seen.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            let added = added.unwrap_or_else(|| panic!("{directory}: {text:?} became {seen:?}"));
            assert!(added.starts_with(',') && added.contains("\"skipDangerousModePermissionPrompt\""), "{seen:?}");
        }
    }
}

/// What is taken out of settings takes nothing else along.
#[test]
fn other_bytes_stay_when_a_key_is_removed() {
    let sandbox = Sandbox::new();
    let text = "{\n   \"z\": 1e2,\n   \"apiKeyHelper\": \"/helper\",\n   \"env\": {\"B\": \"2\", \"ANTHROPIC_API_KEY\": \"FAKE\", \"A\": \"1\"},\n   \"skipDangerousModePermissionPrompt\": true\n}\n";
    sandbox.write("capture/claude/settings.json", text);
    let run = sandbox.claude("cat \"$C/settings.json\" >seen").env("CLAUDE_CODE_OAUTH_TOKEN", "FAKE-token");
    run.run().ok();
    let expected = "{\n   \"z\": 1e2,\n   \"env\": {\"B\": \"2\", \"A\": \"1\"},\n   \"skipDangerousModePermissionPrompt\": true\n}\n";
    assert_eq!(sandbox.read("cwd/seen"), expected);
}

#[test]
fn text_is_appended_once_and_other_bytes_stay() {
    needs_root!();
    for (append, unless) in [
        ("\n[projects.\"{trusted}\"]\ntrust_level = \"trusted\"\n", "[projects.\"{trusted}\"]"),
        ("\n[projects.\"{trusted}\"]\ntrust_level = \"trusted\"\n", ""),
        ("always = true\n", ""),
    ] {
        for text in [&b"x = 1\n"[..], b"# \xff\xfe\r\nx = 1", b""] {
            let sandbox = Sandbox::new();
            let mut definition = json!({
                "name": "claude", "title": "Mine", "commands": ["claude"], "methods": [],
                "home": { "variable": "CLAUDE_CONFIG_DIR", "default": "~/.claude" },
                "first-run": [{ "file": "config", "append": append }],
            });
            if !unless.is_empty() {
                definition["first-run"][0]["unless"] = unless.into();
            }
            sandbox.write("home/.claude/config", text);
            sandbox.write("etc/agent-init/agents/claude.json", definition.to_string());
            sandbox.chmod("etc/agent-init/agents/claude.json", 0o644);
            let etc = sandbox.text("etc");
            let start = || {
                let run = sandbox.claude("true").tmpfs("/etc").setup(format!("cp -R {etc}/. /etc"));
                run.run().ok();
                std::fs::read(sandbox.path("home/.claude/config")).unwrap()
            };
            let first = start();
            let added = first.strip_prefix(text).unwrap_or_else(|| panic!("{append:?}: {first:?}"));
            let added = String::from_utf8(added.to_vec()).unwrap();
            assert_eq!(added.trim(), append.replace("{trusted}", &sandbox.text("cwd")).trim());
            assert_eq!(start(), first, "{append:?}");
        }
    }
}
