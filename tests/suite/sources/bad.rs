//! Material that cannot be read is an error; material that is no login is a warning, and the next source is tried.

use crate::support::{Give, Sandbox, Session, base64, needs_root};

/// Starts that are refused, and what the error names.
const REFUSED: &[(&str, Give, &[&str])] = &[
    (
        "value and file",
        |s, run| {
            let file = s.write("key", "sk-FAKE").display().to_string();
            run.env("ANTHROPIC_API_KEY", "sk-FAKE").env("ANTHROPIC_API_KEY_FILE", file)
        },
        &["ANTHROPIC_API_KEY ", "ANTHROPIC_API_KEY_FILE"],
    ),
    (
        "session as value and base64",
        |_, run| {
            let login = Session::new("a");
            run.env("CLAUDE_CREDENTIALS", login.json()).env("CLAUDE_CREDENTIALS_B64", login.b64())
        },
        &["CLAUDE_CREDENTIALS ", "CLAUDE_CREDENTIALS_B64"],
    ),
    (
        "session as base64 and file",
        |s, run| {
            let file = s.write("login", Session::new("a").json()).display().to_string();
            run.env("CLAUDE_CREDENTIALS_B64", Session::new("a").b64()).env("CLAUDE_CREDENTIALS_FILE", file)
        },
        &["CLAUDE_CREDENTIALS_B64", "CLAUDE_CREDENTIALS_FILE"],
    ),
    (
        "file that is missing",
        |s, run| run.env("ANTHROPIC_API_KEY_FILE", s.text("nosuch")),
        &["ANTHROPIC_API_KEY_FILE", "nosuch"],
    ),
    (
        "session file that is missing",
        |s, run| run.env("CLAUDE_CREDENTIALS_FILE", s.text("nosuch")),
        &["CLAUDE_CREDENTIALS_FILE", "nosuch"],
    ),
    (
        "file that is a directory",
        |s, run| run.env("CLAUDE_CREDENTIALS_FILE", s.text("cwd")),
        &["CLAUDE_CREDENTIALS_FILE", "cwd"],
    ),
    (
        "file of 2 MiB",
        |s, run| {
            s.write("huge", "x".repeat(2 << 20));
            run.env("CLAUDE_CREDENTIALS_FILE", s.text("huge"))
        },
        &["CLAUDE_CREDENTIALS_FILE", "larger"],
    ),
    ("bad base64", |_, run| run.env("CLAUDE_CREDENTIALS_B64", "FAKE%%%"), &["CLAUDE_CREDENTIALS_B64", "base64"]),
    (
        "capture that is a file",
        |s, run| {
            s.write("file", "x");
            run.env("AGENT_INIT_CAPTURE", s.text("file"))
        },
        &["/file", "directory"],
    ),
];

#[test]
fn a_source_that_cannot_be_read_stops_the_start() {
    for (what, give, named) in REFUSED {
        let sandbox = Sandbox::new();
        let outcome = give(&sandbox, sandbox.claude("say started")).run();
        assert_eq!(outcome.code, Some(125), "{what}\n{outcome}");
        let outcome = outcome.refuses(named).refuses(&["\n  hint: "]).prints_no(&["started"]).says_no(&["FAKE"]);
        assert!(!sandbox.exists("home/.claude"), "{what}: something was written\n{outcome}");
    }
}

#[test]
fn a_file_without_read_permission_stops_the_start() {
    needs_root!();
    let sandbox = Sandbox::new();
    for directory in ["home", "state", "capture"] {
        sandbox.give(directory, 1000);
    }
    let key = sandbox.write("key", "sk-FAKE").display().to_string();
    let run = sandbox.claude("say started").env("ANTHROPIC_API_KEY_FILE", key).uid(1000);
    run.run().refuses(&["ANTHROPIC_API_KEY_FILE", "/key", "ermission"]).prints_no(&["started"]);
}

/// Sessions that are none, and a word of the reason.
fn invalid() -> Vec<(&'static str, String)> {
    let changed = |pointer: &str, value: serde_json::Value| {
        let mut session = Session::new("bad").value();
        *session.pointer_mut(pointer).unwrap() = value;
        session.to_string()
    };
    vec![
        ("not JSON", "FAKE not json".into()),
        ("cut short", r#"{"claudeAiOauth":{"accessToken":"FAKE"#.into()),
        ("an array", r#"["FAKE"]"#.into()),
        ("a string", r#""FAKE""#.into()),
        ("an empty object", "{}".into()),
        ("no tokens", r#"{"claudeAiOauth":{"scopes":["user:inference"]}}"#.into()),
        (
            "blank tokens",
            r#"{"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0,"scopes":["user:inference"]}}"#
                .into(),
        ),
        ("a token that is a number", changed("/claudeAiOauth/accessToken", 1.into())),
        ("no scopes", changed("/claudeAiOauth/scopes", serde_json::Value::Null)),
        ("other scopes", changed("/claudeAiOauth/scopes", serde_json::json!(["user:profile"]))),
    ]
}

#[test]
fn an_invalid_login_is_a_warning_and_the_next_source_is_tried() {
    for (what, content) in invalid() {
        let sources: &[(&str, Give)] = &[
            ("/login", |s, run| run.env("CLAUDE_CREDENTIALS_FILE", s.text("login"))),
            ("claude_credentials", |s, run| {
                std::fs::rename(s.path("login"), s.path("secrets/claude_credentials")).unwrap();
                run
            }),
        ];
        for (named, give) in sources {
            let sandbox = Sandbox::new();
            sandbox.write("login", &content);
            sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
            let outcome = give(&sandbox, sandbox.claude("seen")).run().ok().warns_once(&[named]).says_no(&["FAKE"]);
            assert!(outcome.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-a")), "{what}\n{outcome}");
        }
    }
}

#[test]
fn an_invalid_login_in_the_capture_is_a_warning() {
    let mut all = invalid();
    all.push(("zero bytes", String::new()));
    for (what, content) in all {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &content);
        let outcome = sandbox.claude("seen").run().ok().warns_once(&["capture/claude"]).says(&["claude auth: none"]);
        assert_eq!(outcome.variable("FILE"), None, "{what}\n{outcome}");
        assert_eq!(sandbox.read("capture/claude/.credentials.json"), content, "{what}: the capture was touched");
        sandbox.claude("say started").options(["--require"]).run().refuses(&[]).prints_no(&["started"]);
    }
}

#[test]
fn an_invalid_login_in_a_variable_is_a_warning() {
    let sandbox = Sandbox::new();
    for (name, value) in [("CLAUDE_CREDENTIALS", "[1]".to_owned()), ("CLAUDE_CREDENTIALS_B64", base64("[1]"))] {
        let outcome = sandbox.claude("seen").env(name, value).run().ok().warns_once(&[name]);
        assert_eq!(outcome.variable(name), None, "{outcome}");
    }
}

#[test]
fn a_capture_file_too_large_for_a_login_is_not_used() {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &" ".repeat(2 << 20));
    let outcome = sandbox.claude("seen").run().says(&["capture/claude"]);
    assert_eq!(outcome.variable("FILE"), None);
}

#[test]
fn an_empty_value_is_not_set() {
    for name in [
        "ANTHROPIC_API_KEY",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CREDENTIALS",
        "CLAUDE_CREDENTIALS_B64",
        "ANTHROPIC_API_KEY_FILE",
    ] {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
        let outcome = sandbox.claude("seen").env(name, "").run().ok().warns_once(&[name]);
        assert!(outcome.variable("FILE").is_some(), "{name}\n{outcome}");
    }
}

#[test]
fn an_invalid_login_of_another_format_is_a_warning() {
    let cases = [
        ("an array", "[]"),
        ("no tokens", r#"{"auth_mode":"chatgpt","OPENAI_API_KEY":null}"#),
        ("tokens without a refresh token", r#"{"tokens":{"access_token":"FAKE"}}"#),
    ];
    for (what, content) in cases {
        let sandbox = Sandbox::new();
        sandbox.captured("codex", "auth.json", content);
        let outcome = sandbox.codex("seen").run().ok().warns_once(&["capture/codex"]);
        assert_eq!(outcome.variable("FILE"), None, "{what}\n{outcome}");
    }
}
