//! Where a login may come from, which one wins, and what bad material gets.

mod aside;
mod bad;
mod command;
mod definitions;
mod others;
mod precedence;
mod wait;

use crate::support::{Give, Outcome, Run, Sandbox, Session, base64, codex_auth, needs_root};

/// A login whose base64 has characters that the URL alphabet replaces.
fn slashed() -> String {
    let json = Session::new("a").json().replace("max", "???>>>~~~");
    assert!(base64(&json).contains(['+', '/']));
    json
}

fn wrapped(text: &str) -> String {
    let lines: Vec<&str> = (0..text.len()).step_by(76).map(|at| &text[at..text.len().min(at + 76)]).collect();
    lines.join("\n") + "\n"
}

fn url_alphabet(text: &str) -> String {
    text.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned()
}

/// Each way to hand over the session "a".
const SESSIONS: &[(&str, Give)] = &[
    ("variable", |_, run| run.env("CLAUDE_CREDENTIALS", Session::new("a").json())),
    ("base64", |_, run| run.env("CLAUDE_CREDENTIALS_B64", Session::new("a").b64())),
    ("base64, wrapped", |_, run| run.env("CLAUDE_CREDENTIALS_B64", wrapped(&base64(&slashed())))),
    ("base64, URL alphabet", |_, run| run.env("CLAUDE_CREDENTIALS_B64", url_alphabet(&base64(&slashed())))),
    ("base64, no padding", |_, run| run.env("CLAUDE_CREDENTIALS_B64", Session::new("a").b64().trim_end_matches('='))),
    ("file", |s, run| {
        s.write("login.json", Session::new("a").json() + "\n");
        run.env("CLAUDE_CREDENTIALS_FILE", s.text("login.json"))
    }),
    ("secret", |s, run| {
        s.write("secrets/claude_credentials", Session::new("a").json());
        run
    }),
    ("secret, .json", |s, run| {
        s.write("secrets/claude_credentials.json", Session::new("a").json());
        run
    }),
    ("secret, the file's own name", |s, run| {
        s.write("secrets/.credentials.json", Session::new("a").json());
        run
    }),
    ("secret, second directory", |s, run| {
        s.write("more/claude_credentials", Session::new("a").json());
        run.env("AGENT_INIT_SECRETS", format!("{}:{}", s.text("secrets"), s.text("more")))
    }),
    ("secret, systemd's directory", |s, run| {
        s.write("systemd/claude_credentials", Session::new("a").json());
        run.unset("AGENT_INIT_SECRETS").env("CREDENTIALS_DIRECTORY", s.text("systemd"))
    }),
    ("secret, Kubernetes volume", |s, run| {
        s.write("secrets/..2026_01_01/claude_credentials", Session::new("a").json());
        link("..2026_01_01", s, "secrets/..data");
        link("..data/claude_credentials", s, "secrets/claude_credentials");
        run
    }),
    ("capture", |s, run| {
        s.captured("claude", ".credentials.json", &Session::new("a").json());
        run
    }),
    ("capture, flat", |s, run| {
        s.write("capture/.credentials.json", Session::new("a").json());
        run
    }),
    ("capture, of one agent", |s, run| {
        s.write("mine/.credentials.json", Session::new("a").json());
        run.env("AGENT_INIT_CAPTURE", format!("claude={}", s.text("mine")))
    }),
    ("capture, Kubernetes volume", |s, run| {
        s.write("capture/claude/..2026_01_01/.credentials.json", Session::new("a").json());
        link("..2026_01_01", s, "capture/claude/..data");
        link("..data/.credentials.json", s, "capture/claude/.credentials.json");
        run
    }),
    ("capture, expired but refreshable", |s, run| {
        s.captured("claude", ".credentials.json", &Session::expired("a").json());
        run
    }),
    ("home", |s, run| {
        s.write("home/.claude/.credentials.json", Session::new("a").json());
        run
    }),
];

/// The session "a" mounted at the agent's own place.
const MOUNTED: &[(&str, Give)] = &[
    ("directory", |s, run| {
        s.write("host/.credentials.json", Session::new("a").json());
        s.mkdir("home/.claude");
        run.bind(s.path("host"), s.path("home/.claude"))
    }),
    ("directory, read-only", |s, run| {
        s.write("host/.credentials.json", Session::new("a").json());
        s.mkdir("home/.claude");
        run.bind_read_only(s.path("host"), s.path("home/.claude"))
    }),
    ("file", |s, run| {
        s.write("host.json", Session::new("a").json());
        s.write("home/.claude/.credentials.json", "");
        run.bind(s.path("host.json"), s.path("home/.claude/.credentials.json"))
    }),
    ("file, read-only", |s, run| {
        s.write("host.json", Session::new("a").json());
        s.write("home/.claude/.credentials.json", "");
        run.bind_read_only(s.path("host.json"), s.path("home/.claude/.credentials.json"))
    }),
];

fn link(to: &str, sandbox: &Sandbox, name: &str) {
    std::os::unix::fs::symlink(to, sandbox.path(name)).unwrap();
}

#[track_caller]
fn assert_session_in_place(outcome: &Outcome, what: &str) {
    let file = outcome.variable("FILE").unwrap_or_else(|| panic!("{what}: no credential file\n{outcome}"));
    let value: serde_json::Value = serde_json::from_str(file).unwrap();
    assert_eq!(value["claudeAiOauth"]["refreshToken"], "FAKE-refresh-a", "{what}\n{outcome}");
    let left = outcome.stdout.lines().find(|line| line.starts_with("CLAUDE_CREDENTIALS"));
    assert_eq!(left, None, "{what}: blob variable left\n{outcome}");
    assert!(outcome.stderr.contains("agent-init: claude auth: subscription login ("), "{what}\n{outcome}");
}

#[test]
fn a_session_from_every_source() {
    for (what, give) in SESSIONS {
        let sandbox = Sandbox::new();
        let outcome = give(&sandbox, sandbox.claude("seen")).run().ok();
        assert_session_in_place(&outcome, what);
    }
}

#[test]
fn a_session_mounted_in_the_config_directory_is_used() {
    needs_root!();
    for (what, give) in MOUNTED {
        let sandbox = Sandbox::new();
        let outcome = give(&sandbox, sandbox.claude("seen").pid1()).run().ok();
        assert_session_in_place(&outcome, what);
        let config = outcome.variable("CLAUDE_CONFIG_DIR").unwrap();
        assert_eq!(config, sandbox.text("state/work/claude"), "{what}: the place");
    }
}

/// Each way to hand over a variable of a definition.
const VARIABLES: &[(&str, Give)] = &[
    ("variable", |_, run| run.env("CLAUDE_CODE_OAUTH_TOKEN", "FAKE-token")),
    ("file", |s, run| {
        s.write("token", "FAKE-token\n");
        run.env("CLAUDE_CODE_OAUTH_TOKEN_FILE", s.text("token"))
    }),
    ("file, two newlines", |s, run| {
        s.write("token", "FAKE-token\r\n\n");
        run.env("CLAUDE_CODE_OAUTH_TOKEN_FILE", s.text("token"))
    }),
    ("secret, upper case", |s, run| {
        s.write("secrets/CLAUDE_CODE_OAUTH_TOKEN", "FAKE-token\n");
        run
    }),
    ("secret, lower case", |s, run| {
        s.write("secrets/claude_code_oauth_token", "FAKE-token");
        run
    }),
    ("empty variable beside its file", |s, run| {
        s.write("token", "FAKE-token\n");
        run.env("CLAUDE_CODE_OAUTH_TOKEN", "").env("CLAUDE_CODE_OAUTH_TOKEN_FILE", s.text("token"))
    }),
];

#[test]
fn a_variable_from_every_source() {
    for (what, give) in VARIABLES {
        let sandbox = Sandbox::new();
        let outcome = give(&sandbox, sandbox.claude("seen")).run().ok();
        assert_eq!(outcome.variable("CLAUDE_CODE_OAUTH_TOKEN"), Some("FAKE-token"), "{what}\n{outcome}");
        assert_eq!(outcome.variable("CLAUDE_CODE_OAUTH_TOKEN_FILE"), None, "{what}\n{outcome}");
        assert_eq!(outcome.variable("FILE"), None, "{what}\n{outcome}");
        assert!(outcome.stderr.contains("agent-init: claude auth: long-lived OAuth token"), "{what}\n{outcome}");
    }
}

#[test]
fn the_auth_line_names_the_method() {
    let sandbox = Sandbox::new();
    let cases = [
        ("CLAUDE_CODE_OAUTH_TOKEN", "long-lived OAuth token"),
        ("ANTHROPIC_AUTH_TOKEN", "bearer token"),
        ("ANTHROPIC_API_KEY", "API key"),
    ];
    for (name, title) in cases {
        let outcome = sandbox.claude("seen").env(name, "sk-FAKE-value").run().ok();
        assert_eq!(outcome.variable(name), Some("sk-FAKE-value"), "{outcome}");
        outcome
            .quiet()
            .says(&[&format!("agent-init: claude auth: {title}"), &format!("env:{name}")])
            .says_no(&["FAKE"]);
    }
}

#[test]
fn a_missing_login_comes_with_the_way_to_get_one() {
    const NONE: &str = "auth: none (not logged in)\n";
    let sandbox = Sandbox::new();
    let rows: [(&[&str], &str); 5] = [
        (&[], "  hint: log in: docker run -it --rm -v LOGINS:/capture IMAGE setup --agent claude\n"),
        (&["--auth", "sync"], "  hint: log in: docker run -it --rm -v LOGINS:/capture IMAGE setup --agent claude\n"),
        (&["--auth", "token"], " setup --agent claude --token\n"),
        (&["--auth", "api-key"], "  hint: agent-init agents claude shows what it takes\n"),
        (&["--auth", "ignore"], NONE),
    ];
    for (options, ending) in rows {
        let outcome = sandbox.claude(":").options(options.iter().copied()).run().ok().quiet();
        assert!(outcome.stderr.contains(NONE) && outcome.stderr.ends_with(ending), "{options:?}\n{outcome}");
    }
    sandbox.codex(":").run().ok().says(&["codex auth: none (not logged in)", "setup --agent codex\n"]);
}

#[test]
fn a_key_that_wins_over_a_login_is_said_to_be_billed() {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    sandbox.captured("codex", "auth.json", &codex_auth("a"));
    let claude = |options: &[&str]| sandbox.claude(":").options(options.to_vec()).env("ANTHROPIC_API_KEY", "FAKE-key");
    claude(&[]).run().ok().warns_once(&["claude: requests are billed by use"]);
    claude(&["--auth", "sync"]).run().ok().says_no(&["billed"]);
    let codex = sandbox.codex(":").env("CODEX_API_KEY", "FAKE-key").run().ok();
    codex.warns_once(&["codex: requests are billed by use", "the ChatGPT login is not"]);
}

#[test]
fn a_login_of_another_format_is_installed() {
    let auth = codex_auth("a");
    let cases: &[(&str, Give)] = &[
        ("base64", |_, run| run.env("CODEX_CREDENTIALS_B64", base64(&codex_auth("a")))),
        ("secret", |s, run| {
            s.write("secrets/auth.json", codex_auth("a"));
            run
        }),
        ("capture", |s, run| {
            s.captured("codex", "auth.json", &codex_auth("a"));
            run
        }),
    ];
    for (what, give) in cases {
        let sandbox = Sandbox::new();
        let outcome = give(&sandbox, sandbox.codex("seen")).run().ok().says(&["agent-init: codex auth: ChatGPT login"]);
        let file: serde_json::Value = serde_json::from_str(outcome.variable("FILE").unwrap()).unwrap();
        assert_eq!(file, serde_json::from_str::<serde_json::Value>(&auth).unwrap(), "{what}");
        assert_eq!(outcome.variable("CODEX_HOME"), Some(sandbox.text("home/.codex").as_str()), "{what}");
    }
}

#[test]
fn agents_are_served_by_command_option_and_source() {
    let give_both =
        |run: Run| run.env("CLAUDE_CREDENTIALS", Session::new("a").json()).env("CODEX_CREDENTIALS", codex_auth("a"));
    let served: &[(&[&str], &str, &[&str])] = &[
        (&[], "claude", &["claude", "codex"]),
        (&[], "sh", &["claude", "codex"]),
        (&["--agent", "codex"], "claude", &["codex"]),
        (&["--agent", "claude,codex"], "sh", &["claude", "codex"]),
        (&["--agent", "none"], "claude", &[]),
    ];
    for (options, command, agents) in served {
        let sandbox = Sandbox::new();
        let outcome = give_both(sandbox.raw(["--", command, "-c", ":"]).options(options.iter().copied())).run();
        for agent in ["claude", "codex"] {
            let said = outcome.stderr.contains(&format!("agent-init: {agent} auth: "));
            assert_eq!(said, agents.contains(&agent), "{options:?} {command}: {agent}\n{outcome}");
        }
    }
    // A capture is no explicit gift: it serves the COMMAND's agent, or every agent for a COMMAND that is none's.
    for (command, codex) in [("claude", false), ("sh", true)] {
        let sandbox = Sandbox::new();
        sandbox.captured("codex", "auth.json", &codex_auth("a"));
        let outcome = sandbox.raw(["--", command, "-c", ":"]).run();
        assert_eq!(outcome.stderr.contains("codex auth: "), codex, "{command}\n{outcome}");
    }
}

#[test]
fn without_an_agent_everything_is_passed_on() {
    let sandbox = Sandbox::new();
    let run = sandbox
        .claude("seen")
        .options(["--agent", "none"])
        .env("CLAUDE_CREDENTIALS_B64", "FAKE")
        .env("ANTHROPIC_API_KEY", "FAKE-key");
    let outcome = run.run().ok().quiet();
    assert_eq!(outcome.variable("CLAUDE_CREDENTIALS_B64"), Some("FAKE"));
    assert_eq!(outcome.variable("ANTHROPIC_API_KEY"), Some("FAKE-key"));
    assert_eq!(outcome.variable("CLAUDE_CONFIG_DIR"), None);
}
