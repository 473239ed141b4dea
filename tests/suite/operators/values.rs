//! Values that are not what their variable, file or option should hold.

use super::Case;
use crate::support::{Outcome, Sandbox, Session, base64};

const KEY: &str = "sk-ant-api03-FAKE0123456789";
const TOKEN: &str = "sk-ant-oat01-FAKE0123456789";

/// The login of `Session::new("a")` reached the agent.
fn has_login(_: &Sandbox, run: &Outcome) {
    assert!(run.variable("FILE").is_some_and(|file| file.contains("FAKE-refresh-a")), "{run}");
}

/// The key did not reach the agent.
fn has_no_key(_: &Sandbox, run: &Outcome) {
    assert_eq!(run.variable("ANTHROPIC_API_KEY"), None, "{run}");
}

/// A login in the capture.
fn with_login(sandbox: &Sandbox) {
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
}

fn hex(text: &str) -> String {
    let digits = |byte: u8| [byte >> 4, byte & 0xf].map(|digit| char::from_digit(digit.into(), 16).unwrap());
    text.bytes().flat_map(digits).collect()
}

fn all(cases: impl IntoIterator<Item = Case>) {
    cases.into_iter().for_each(|case| case.check());
}

#[test]
fn a_secret_in_a_variable_for_paths_is_refused_and_not_shown() {
    let refused = Case { exit: 125, event: Some("failed"), ..Case::QUIET };
    all([
        Case {
            name: "a key as NAME_FILE",
            given: |_, run| run.env("ANTHROPIC_API_KEY_FILE", KEY),
            named: &["ANTHROPIC_API_KEY_FILE"],
            ..refused
        },
        Case {
            name: "a login as NAME_FILE",
            given: |_, run| run.env("CLAUDE_CREDENTIALS_FILE", Session::new("a").json()),
            named: &["CLAUDE_CREDENTIALS_FILE", "JSON"],
            ..refused
        },
        Case {
            name: "base64 as NAME_FILE",
            given: |_, run| run.env("CLAUDE_CREDENTIALS_FILE", Session::new("a").b64()),
            named: &["CLAUDE_CREDENTIALS_FILE"],
            ..refused
        },
        Case {
            name: "a path in quotes",
            given: |_, run| run.env("ANTHROPIC_API_KEY_FILE", "\"/run/secrets/key\""),
            named: &["ANTHROPIC_API_KEY_FILE", "quotes"],
            ..refused
        },
        Case {
            name: "a path with ~",
            given: |_, run| run.env("ANTHROPIC_API_KEY_FILE", "~/key"),
            named: &["ANTHROPIC_API_KEY_FILE", "~"],
            ..refused
        },
        Case {
            name: "a path with a line end of Windows",
            given: |_, run| run.env("ANTHROPIC_API_KEY_FILE", "/run/secrets/key\r"),
            named: &["ANTHROPIC_API_KEY_FILE", "control character"],
            ..refused
        },
        Case {
            name: "a path with a variable that nothing expanded",
            given: |_, run| run.env("ANTHROPIC_API_KEY_FILE", "${SECRETS}/key"),
            named: &["ANTHROPIC_API_KEY_FILE", "expanded"],
            ..refused
        },
        Case {
            name: "a missing file",
            given: |s, run| run.env("ANTHROPIC_API_KEY_FILE", s.text("nosuch")),
            named: &["ANTHROPIC_API_KEY_FILE", "/nosuch"],
            ..refused
        },
    ]);
}

#[test]
fn a_value_that_no_vendor_accepts_gives_way_to_a_login() {
    let ignored = Case { method: "session", after: has_login, named: &["ANTHROPIC_API_KEY"], ..Case::QUIET };
    all([
        Case {
            name: "quotes",
            given: |s, run| {
                with_login(s);
                run.env("ANTHROPIC_API_KEY", "\"\"")
            },
            event: Some("unusable-source"),
            ..ignored
        },
        Case {
            name: "blanks",
            given: |s, run| {
                with_login(s);
                run.env("ANTHROPIC_API_KEY", "  ")
            },
            event: Some("unusable-source"),
            ..ignored
        },
        Case {
            name: "a variable that nothing expanded",
            given: |s, run| {
                with_login(s);
                run.env("ANTHROPIC_API_KEY", "${KEY}")
            },
            event: Some("source-ignored"),
            ..ignored
        },
        Case {
            name: "a line break",
            given: |s, run| {
                with_login(s);
                run.env("ANTHROPIC_API_KEY", "sk-ant-FAKE\nFAKE")
            },
            event: Some("source-ignored"),
            ..ignored
        },
    ]);
    all([
        Case {
            name: "a placeholder, as gateways take it",
            given: |_, run| run.env("ANTHROPIC_API_KEY", "dummy").options(["--require"]),
            method: "api-key",
            after: |_, run| assert_eq!(run.variable("ANTHROPIC_API_KEY"), Some("dummy"), "{run}"),
            ..Case::QUIET
        },
        Case {
            name: "blanks do not satisfy --require",
            given: |_, run| run.env("ANTHROPIC_API_KEY", " ").env("AGENT_INIT_REQUIRE", "1"),
            exit: 125,
            event: Some("failed"),
            named: &["ANTHROPIC_API_KEY"],
            after: has_no_key,
            ..Case::QUIET
        },
    ]);
}

#[test]
fn a_login_is_accepted_in_every_form_that_people_paste() {
    let accepted = Case { method: "session", after: has_login, ..Case::QUIET };
    all([
        Case {
            name: "a byte order mark",
            given: |_, run| run.env("CLAUDE_CREDENTIALS", format!("\u{feff}{}", Session::new("a").json())),
            ..accepted
        },
        Case {
            name: "hexadecimal, as the keychain of macOS prints it",
            given: |_, run| run.env("CLAUDE_CREDENTIALS", hex(&Session::new("a").json())),
            ..accepted
        },
        Case {
            name: "base64 in the plain variable",
            given: |_, run| run.env("CLAUDE_CREDENTIALS", Session::new("a").b64()),
            ..accepted
        },
        Case {
            name: "JSON in the variable for base64",
            given: |_, run| run.env("CLAUDE_CREDENTIALS_B64", Session::new("a").json()),
            ..accepted
        },
        Case {
            name: "base64 in a file",
            given: |s, run| {
                let path = s.write("login", Session::new("a").b64()).display().to_string();
                run.env("CLAUDE_CREDENTIALS_FILE", path)
            },
            ..accepted
        },
        Case {
            name: "base64 in a secret",
            given: |s, run| {
                s.write("secrets/claude_credentials", base64(&Session::new("a").json()));
                run
            },
            ..accepted
        },
        Case {
            name: "a byte order mark in the capture",
            given: |s, run| {
                s.captured("claude", ".credentials.json", &format!("\u{feff}{}", Session::new("a").json()));
                run
            },
            ..accepted
        },
        Case {
            name: "base64 in the capture",
            given: |s, run| {
                s.captured("claude", ".credentials.json", &Session::new("a").b64());
                run
            },
            ..accepted
        },
    ]);
}

#[test]
fn a_text_that_is_no_login_is_named_by_what_it_looks_like() {
    let ignored = Case { event: Some("source-ignored"), ..Case::QUIET };
    all([
        Case {
            name: "a path",
            given: |s, run| run.env("CLAUDE_CREDENTIALS", s.text("login")),
            named: &["CLAUDE_CREDENTIALS", "CLAUDE_CREDENTIALS_FILE"],
            ..ignored
        },
        Case {
            name: "quotes around it",
            given: |_, run| run.env("CLAUDE_CREDENTIALS", format!("'{}'", Session::new("a").json())),
            named: &["CLAUDE_CREDENTIALS", "quotes"],
            ..ignored
        },
        Case {
            name: "escaped quotes",
            given: |_, run| run.env("CLAUDE_CREDENTIALS", Session::new("a").json().replace('"', "\\\"")),
            named: &["CLAUDE_CREDENTIALS", "escaped"],
            ..ignored
        },
        Case {
            name: "a data: URL",
            given: |_, run| {
                run.env("CLAUDE_CREDENTIALS", format!("data:application/json;base64,{}", Session::new("a").b64()))
            },
            named: &["CLAUDE_CREDENTIALS", "data:"],
            ..ignored
        },
        Case {
            name: "a key",
            given: |_, run| run.env("CLAUDE_CREDENTIALS", KEY),
            named: &["CLAUDE_CREDENTIALS", "ANTHROPIC_API_KEY"],
            ..ignored
        },
        Case {
            name: "a long-lived token",
            given: |_, run| run.env("CLAUDE_CREDENTIALS", TOKEN),
            named: &["CLAUDE_CREDENTIALS", "CLAUDE_CODE_OAUTH_TOKEN"],
            ..ignored
        },
        Case {
            name: "another agent's login",
            given: |_, run| run.env("CLAUDE_CREDENTIALS", crate::support::codex_auth("FAKE")),
            named: &["CLAUDE_CREDENTIALS", "Codex", "CODEX_CREDENTIALS"],
            ..ignored
        },
    ]);
}

#[test]
fn a_value_of_another_kind_is_a_warning_and_is_used() {
    let doubtful = Case { event: Some("doubtful-value"), ..Case::QUIET };
    all([
        Case {
            name: "a token as a key",
            given: |_, run| run.env("ANTHROPIC_API_KEY", TOKEN),
            method: "api-key",
            named: &["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"],
            after: |_, run| assert_eq!(run.variable("ANTHROPIC_API_KEY"), Some(TOKEN), "{run}"),
            ..doubtful
        },
        Case {
            name: "a key as a token",
            given: |_, run| run.env("CLAUDE_CODE_OAUTH_TOKEN", KEY),
            method: "oauth-token",
            named: &["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"],
            ..doubtful
        },
        Case {
            name: "a login as a token",
            given: |_, run| run.env("CLAUDE_CODE_OAUTH_TOKEN", Session::new("a").json()),
            method: "oauth-token",
            named: &["CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CREDENTIALS"],
            ..doubtful
        },
        Case {
            name: "Bearer",
            given: |_, run| run.env("ANTHROPIC_AUTH_TOKEN", format!("Bearer {KEY}")),
            method: "auth-token",
            named: &["ANTHROPIC_AUTH_TOKEN", "Bearer"],
            ..doubtful
        },
        Case {
            name: "an assignment in a secret",
            given: |s, run| {
                s.write("secrets/anthropic_api_key", format!("export ANTHROPIC_API_KEY={KEY}\n"));
                run
            },
            method: "api-key",
            named: &["secrets/anthropic_api_key", "NAME=VALUE"],
            ..doubtful
        },
        Case {
            name: "quotes",
            given: |_, run| run.env("ANTHROPIC_API_KEY", format!("\"{KEY}\"")),
            method: "api-key",
            named: &["ANTHROPIC_API_KEY", "quotes"],
            ..doubtful
        },
        Case {
            name: "a path",
            given: |s, run| run.env("ANTHROPIC_API_KEY", s.text("key")),
            method: "api-key",
            named: &["ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY_FILE"],
            ..doubtful
        },
    ]);
}

#[test]
fn a_newer_kind_of_login_is_used() {
    fn has_file(_: &Sandbox, run: &Outcome) {
        assert!(run.variable("FILE").is_some(), "{run}");
    }
    let codex = Case { agent: "codex", method: "session", after: has_file, ..Case::QUIET };
    all([
        Case {
            name: "a known one",
            given: |s, run| {
                s.captured("codex", "auth.json", r#"{"auth_mode":"agentIdentity","agent_identity":"FAKE"}"#);
                run
            },
            ..codex
        },
        Case {
            name: "one that the definition does not know",
            given: |s, run| {
                s.captured("codex", "auth.json", r#"{"auth_mode":"quantum","entangled":"FAKE"}"#);
                run
            },
            event: Some("doubtful-value"),
            named: &["capture/codex"],
            ..codex
        },
    ]);
}

#[test]
fn a_near_miss_is_named_where_nothing_else_is_found() {
    let missed = Case { event: Some("unusable-source"), ..Case::QUIET };
    all([
        Case {
            name: "the agent's directory by its own name",
            given: |s, run| {
                s.write("capture/.claude/.credentials.json", Session::new("a").json());
                run
            },
            named: &["capture/.claude"],
            ..missed
        },
        Case {
            name: "hyphens",
            given: |s, run| {
                s.write("secrets/anthropic-api-key", KEY);
                run
            },
            named: &["secrets/anthropic-api-key", "anthropic_api_key"],
            ..missed
        },
        Case {
            name: "an extension",
            given: |s, run| {
                s.write("secrets/claude_credentials.txt", Session::new("a").json());
                run
            },
            named: &["secrets/claude_credentials.txt", "claude_credentials"],
            ..missed
        },
        Case {
            name: "with a key that is found",
            given: |s, run| {
                s.write("secrets/claude-credentials", Session::new("a").json());
                run.env("ANTHROPIC_API_KEY", KEY)
            },
            method: "api-key",
            event: None,
            ..Case::QUIET
        },
    ]);
}

/// Wherever a secret was put by mistake, no command shows it.
#[test]
fn a_misplaced_secret_is_never_shown() {
    let options = [
        "--agent",
        "--auth",
        "--prefer",
        "--capture",
        "--store",
        "--secrets",
        "--user",
        "--user-from",
        "--home",
        "--work-dir",
        "--scope",
        "--deliver",
        "--first-run",
        "--trust",
        "--sync",
        "--wait",
        "--grace",
        "--stop-signal",
        "--rewrite",
        "--forward-to",
        "--drop-caps",
        "--no-new-privs",
        "--state-dir",
        "--log-format",
    ];
    let commands: [&[&str]; 8] =
        [&[], &["run"], &["plan"], &["plan", "--json"], &["status"], &["doctor"], &["healthcheck"], &["exec"]];
    let refused = |arguments: Vec<String>, variable: Option<(String, &str)>| {
        let sandbox = Sandbox::new();
        let what = arguments.join(" ");
        let run = sandbox.raw(arguments);
        let run = match variable {
            Some((name, value)) => run.env(&name, value),
            None => run,
        };
        let outcome = run.run();
        assert!(!outcome.stdout.contains("FAKE") && !outcome.stderr.contains("FAKE"), "{what}\n{outcome}");
    };
    for secret in [KEY, "{\"token\":\"FAKE\"}"] {
        for command in commands {
            let words = |more: &[&str]| command.iter().chain(more).map(|word| (*word).to_owned()).collect();
            for option in options {
                refused(words(&[&format!("{option}={secret}"), "--", "true"]), None);
            }
            refused(words(&["--", secret]), None);
            refused(words(&["--", &format!("KEY={secret}"), "claude"]), None);
            refused(words(&[&format!("--{secret}"), "true"]), None);
            refused(words(&[secret]), None);
        }
        for option in options {
            let variable = format!("AGENT_INIT_{}", option.trim_start_matches('-').replace('-', "_").to_uppercase());
            refused(vec!["--".into(), "true".into()], Some((variable, secret)));
        }
        for command in ["agents", "install", "completions", "help", "history"] {
            refused(vec![command.into(), secret.into()], None);
        }
    }
}
