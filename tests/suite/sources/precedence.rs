//! Exactly one method is in place, and what was ignored is said.

use crate::support::{Give, Sandbox, Session, needs_root};

struct Source {
    name: &'static str,
    give: Give,
    /// What the auth line says of it.
    title: &'static str,
    /// How a warning refers to it.
    says: &'static str,
}

/// In the order of precedence of Claude Code.
const ORDER: &[Source] = &[
    Source {
        name: "CLAUDE_CODE_OAUTH_TOKEN",
        give: |_, run| run.env("CLAUDE_CODE_OAUTH_TOKEN", "FAKE-CLAUDE_CODE_OAUTH_TOKEN"),
        title: "long-lived OAuth token",
        says: "CLAUDE_CODE_OAUTH_TOKEN",
    },
    Source {
        name: "ANTHROPIC_AUTH_TOKEN",
        give: |_, run| run.env("ANTHROPIC_AUTH_TOKEN", "FAKE-ANTHROPIC_AUTH_TOKEN"),
        title: "bearer token",
        says: "ANTHROPIC_AUTH_TOKEN",
    },
    Source {
        name: "ANTHROPIC_API_KEY",
        give: |s, run| {
            s.write("secrets/anthropic_api_key", "FAKE-ANTHROPIC_API_KEY");
            run
        },
        title: "API key",
        says: "anthropic_api_key",
    },
    Source {
        name: "given",
        give: |_, run| run.env("CLAUDE_CREDENTIALS", Session::new("given").json()),
        title: "subscription login",
        says: "CLAUDE_CREDENTIALS",
    },
    Source {
        name: "mounted",
        give: |s, run| {
            s.write("host/.credentials.json", Session::new("mounted").json());
            s.mkdir("home/.claude");
            run.bind_read_only(s.path("host"), s.path("home/.claude"))
        },
        title: "subscription login",
        says: "mount:",
    },
    Source {
        name: "captured",
        give: |s, run| {
            s.captured("claude", ".credentials.json", &Session::new("captured").json());
            run
        },
        title: "subscription login",
        says: "capture",
    },
];

const METHODS: [&str; 3] = ["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"];

#[test]
fn of_each_two_sources_the_first_wins() {
    needs_root!();
    for (at, winner) in ORDER.iter().enumerate() {
        for loser in &ORDER[at + 1..] {
            let what = format!("{} over {}", winner.name, loser.name);
            let sandbox = Sandbox::new();
            let run = (winner.give)(&sandbox, sandbox.claude("seen").pid1());
            let outcome = (loser.give)(&sandbox, run).run().ok();
            assert!(
                outcome.stderr.contains(&format!("agent-init: claude auth: {}", winner.title)),
                "{what}\n{outcome}"
            );
            for name in METHODS {
                let expected = (name == winner.name).then(|| format!("FAKE-{name}"));
                assert_eq!(outcome.variable(name), expected.as_deref(), "{what}\n{outcome}");
            }
            let file = outcome.variable("FILE").unwrap_or_default();
            let session = !METHODS.contains(&winner.name);
            assert_eq!(file.contains(&format!("FAKE-refresh-{}", winner.name)), session, "{what}\n{outcome}");
            assert!(session || file.is_empty(), "{what}: a credential file beside a token\n{outcome}");
            outcome.warns_once(&[loser.says]);
        }
    }
}

/// `--auth`, then what is in place: a variable, a session, or nothing.
const MODES: &[(&str, &str)] = &[
    ("auto", "CLAUDE_CODE_OAUTH_TOKEN"),
    ("sync", "session"),
    ("copy", "session"),
    ("token", "CLAUDE_CODE_OAUTH_TOKEN"),
    ("api-key", "ANTHROPIC_API_KEY"),
    ("ignore", ""),
    ("claude=sync", "session"),
    ("claude=api-key,codex=sync", "ANTHROPIC_API_KEY"),
    ("codex=ignore", "CLAUDE_CODE_OAUTH_TOKEN"),
];

#[test]
fn the_mode_decides_which_method_is_used() {
    for (mode, expected) in MODES {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
        let mut run = sandbox.claude("seen").options(["--auth", mode]);
        for name in METHODS {
            run = run.env(name, format!("FAKE-{name}"));
        }
        let outcome = run.run().ok();
        for name in METHODS {
            assert_eq!(outcome.variable(name).is_some(), name == *expected, "{mode}: {name}\n{outcome}");
        }
        let session = *expected == "session";
        assert_eq!(outcome.variable("FILE").is_some(), session, "{mode}\n{outcome}");
        if session {
            let word = mode.rsplit('=').next().unwrap();
            assert!(outcome.stderr.contains(&format!("subscription login ({word})")), "{mode}\n{outcome}");
        }
    }
}

#[test]
fn a_mode_without_a_credential_logs_in_nobody() {
    let cases = [("sync", "ANTHROPIC_API_KEY"), ("token", "ANTHROPIC_API_KEY"), ("api-key", "CLAUDE_CODE_OAUTH_TOKEN")];
    for (mode, name) in cases {
        let sandbox = Sandbox::new();
        let run = || sandbox.claude("seen").options(["--auth", mode]).env(name, "FAKE-value");
        let outcome = run().run().ok().says(&["claude auth: none (not logged in)"]).warns_once(&[name]);
        assert_eq!(outcome.variable(name), None, "{mode}\n{outcome}");
        run().options(["--require"]).run().refuses(&[]);
    }
}

#[test]
fn a_session_without_a_write_back_target_is_used_with_a_warning() {
    let sandbox = Sandbox::new();
    let nowhere =
        sandbox.claude("seen").env("CLAUDE_CREDENTIALS", Session::new("a").json()).unset("AGENT_INIT_CAPTURE");
    nowhere.run().ok().warns_once(&["refresh"]);
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    sandbox.claude("seen").options(["--auth", "copy"]).run().ok().warns_once(&["refresh"]);
}

#[test]
fn a_missing_required_login_stops_the_start() {
    let cases: &[(&str, bool)] = &[
        ("--require", true),
        ("--require=claude", true),
        ("--require=codex", false),
        ("--require=claude,codex", false),
    ];
    for (option, enough) in cases {
        let sandbox = Sandbox::new();
        let outcome = sandbox.claude("say started").options([*option]).env("ANTHROPIC_API_KEY", "sk-FAKE").run();
        if *enough {
            outcome.ok().prints(&["started"]);
        } else {
            outcome.refuses(&["codex"]).prints_no(&["started"]);
        }
        sandbox.claude("say started").options([*option]).run().refuses(&["  hint: "]).prints_no(&["started"]);
    }
    for value in ["1", "yes", "true", "on", "claude"] {
        let sandbox = Sandbox::new();
        sandbox.claude(":").env("AGENT_INIT_REQUIRE", value).run().refuses(&["credential"]);
    }
    for value in ["0", "no", "false", "off"] {
        let sandbox = Sandbox::new();
        sandbox.claude(":").env("AGENT_INIT_REQUIRE", value).run().ok();
    }
}
