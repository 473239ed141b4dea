//! `agent-init status` and the real CLIs that can tell offline agree about who is logged in.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::{NODE, Run, Sandbox, agents, codex_auth, needs_root, text};

/// An agent, its command that tells, and what that says with a login and without one.
const CLIS: &[(&str, &[&str], &str, &str)] = &[
    ("claude", &["claude", "auth", "status"], r#""authMethod": "claude.ai""#, r#""loggedIn": false"#),
    ("codex", &["codex", "login", "status"], "Logged in using ChatGPT", "Not logged in"),
    ("opencode", &["opencode", "auth", "list"], "2 credentials", "0 credentials"),
    ("qwen", &["qwen", "auth", "status"], "Authentication Method: Qwen OAuth", "No authentication method configured"),
    ("gh", &["gh", "auth", "token"], "FAKE-token", "no oauth token"),
];

/// A key or token beside a captured login: the agent, the variable, the method that is chosen, and what the CLI says.
const SHADOWED: &[(&str, &str, &str, &str)] = &[
    ("claude", "ANTHROPIC_API_KEY", "api-key", r#""apiKeySource": "ANTHROPIC_API_KEY""#),
    ("claude", "CLAUDE_CODE_OAUTH_TOKEN", "oauth-token", r#""authMethod": "oauth_token""#),
    ("claude", "ANTHROPIC_AUTH_TOKEN", "auth-token", r#""authMethod": "oauth_token""#),
    // It does not count the key, and the login is not there.
    ("codex", "CODEX_API_KEY", "api-key", "Not logged in"),
    ("opencode", "OPENAI_API_KEY", "session", "2 credentials"),
    ("qwen", "OPENAI_API_KEY", "api-key", "OpenAI-compatible Provider"),
    ("gh", "GH_TOKEN", "auth-token", "FAKE-shadow"),
];

/// What is captured.
#[derive(Clone, Copy, Debug)]
enum Captured {
    Nothing,
    Login,
    /// A login whose access token has expired; there is a refresh token.
    Expired,
    /// What the file looks like when nobody is logged in.
    Spent,
}

#[test]
fn status_and_the_clis_agree_about_who_is_logged_in() {
    needs_root!();
    for (agent, command, logged_in, logged_out) in CLIS {
        for (captured, state, said) in [
            (Captured::Login, "ok", logged_in),
            (Captured::Expired, "ok", logged_in),
            (Captured::Spent, "invalid", logged_out),
            (Captured::Nothing, "missing", logged_out),
        ] {
            let (status, all) = both(agent, command, captured, None);
            assert_eq!(status["state"], state, "{agent}, {captured:?}: {status}");
            assert!(all.contains(said), "{agent}, {captured:?}: {all}");
        }
    }
}

#[test]
fn status_and_the_clis_agree_about_ignored_sources() {
    needs_root!();
    for (agent, variable, method, said) in SHADOWED {
        let (_, command, ..) = CLIS.iter().find(|(name, ..)| name == agent).unwrap();
        let (status, all) = both(agent, command, Captured::Login, Some(variable));
        assert_eq!((&status["state"], &status["method"]), (&"ok".into(), &(*method).into()), "{agent}, {variable}");
        assert_eq!(status["shadowed"].as_array().unwrap().len(), 1, "{agent}, {variable}: {status}");
        assert!(all.contains(said), "{agent}, {variable}: {all}");
    }
}

/// What `agent-init status` says of an agent, and what its CLI says when agent-init runs it.
fn both(agent: &str, command: &[&str], captured: Captured, variable: Option<&str>) -> (Value, String) {
    let sandbox = Sandbox::new();
    sandbox.give("home", NODE);
    capture_fixture(&sandbox, agent, captured);
    let with = |run: Run| match variable {
        Some(variable) => run.env(variable, "FAKE-shadow"),
        None => run,
    };
    let status = with(sandbox.raw(["status", "--json", "--agent", agent, "--user", "node"])).pid1().run();
    let status: Value = serde_json::from_str(&status.stdout).unwrap();

    let place = sandbox.mkdir("agents");
    let path = format!("{}/bin:/usr/local/bin:/usr/bin:/bin", place.display());
    let outcome = with(sandbox.raw(["--agent", agent, "--user", "node", "--"]))
        .arguments(command.iter().copied())
        .pid1()
        .bind(agents(), &place)
        // No network at all: what a CLI says then, it knows from what was installed.
        .through(["unshare", "--net"])
        .env("PATH", path)
        .env("TERM", "dumb")
        .run();
    (status["agents"][0].clone(), format!("{}{}", outcome.stdout, outcome.stderr))
}

/// Codex refuses the whole file for an `id_token` that it cannot read.
#[test]
fn status_and_codex_agree_about_its_login_files() {
    needs_root!();
    let login: Value = serde_json::from_str(&codex_auth("a")).unwrap();
    let id = text(&login["tokens"]["id_token"]);
    let with = |id: Value| {
        let mut login = login.clone();
        login["tokens"]["id_token"] = id;
        login
    };
    let without_signature = id.rsplit_once('.').unwrap().0.to_owned();
    let rows = [
        ("a login", login.clone(), true),
        ("an opaque id_token", with(json!("FAKE")), false),
        ("an empty one", with(json!("")), false),
        ("none", with(Value::Null), false),
        ("one of two parts", with(json!(without_signature)), false),
        ("one of no claims", with(json!("FAKE.RkFLRQ.FAKE")), false),
        ("an API key", json!({ "OPENAI_API_KEY": "sk-FAKE", "tokens": null }), true),
        ("an API key alone", json!({ "OPENAI_API_KEY": "sk-FAKE" }), true),
    ];
    for (what, content, is_login) in rows {
        let sandbox = Sandbox::new();
        sandbox.captured("codex", "auth.json", &content.to_string());
        let status = sandbox.raw(["status", "--json", "--agent", "codex"]).pid1().run();
        assert_eq!(status.json()["agents"][0]["state"], if is_login { "ok" } else { "invalid" }, "{what}\n{status}");

        sandbox.give("capture", NODE);
        let place = sandbox.mkdir("agents");
        let outcome = sandbox
            .raw(["--agent", "none", "--user", "node", "--", "codex", "login", "status"])
            .pid1()
            .bind(agents(), &place)
            .through(["unshare", "--net"])
            .env("PATH", format!("{}/bin:/usr/local/bin:/usr/bin:/bin", place.display()))
            .env("CODEX_HOME", sandbox.text("capture/codex"))
            .run();
        assert_eq!(outcome.code, Some(i32::from(!is_login)), "{what}\n{outcome}");
    }
}

/// The fixture of an agent's login, as its capture.
fn capture_fixture(sandbox: &Sandbox, agent: &str, captured: Captured) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let definition = fs::read(root.join(format!("src/agent/definitions/{agent}.json"))).unwrap();
    let definition: Value = serde_json::from_slice(&definition).unwrap();
    let file = definition["session"]["file"].as_str().unwrap();
    let fixture = |name: &str| fs::read_to_string(root.join(format!("tests/fixtures/{agent}/{name}"))).unwrap();
    let login = match captured {
        Captured::Nothing => return,
        Captured::Login => fixture("login"),
        Captured::Expired => expired(&fixture("login")),
        Captured::Spent => fixture("spent"),
    };
    sandbox.write(&format!("capture/{agent}/{file}"), login);
}

/// With what ends in 2100 ended in 2020, in the claims of its tokens too.
fn expired(login: &str) -> String {
    let ended = |text: &str| text.replace("4102444800", "1600000000");
    let claims = |part: &str| {
        let text = URL_SAFE_NO_PAD.decode(part).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        text.filter(|text| text.starts_with('{')).map_or(part.to_owned(), |text| URL_SAFE_NO_PAD.encode(ended(&text)))
    };
    let words = login.split('"').map(|word| word.split('.').map(claims).collect::<Vec<_>>().join("."));
    ended(&words.collect::<Vec<_>>().join("\""))
}
