//! `status`: the source that `run` would choose, its verdict, and what a running agent has.

use serde_json::{Value, json};

use super::{captured, only, ready, token_only};
use crate::support::{Give, Sandbox, Session, await_path, codex_auth, needs_root};

#[test]
fn status_without_a_login_says_so() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.raw(["status", "--json"]).run().code(1);
    assert_eq!(outcome.json(), json!({ "version": 1, "agents": [] }));
    sandbox
        .raw(["status"])
        .run()
        .code(1)
        .prints(&["No agent runs here", "No credential was found for any agent. Next: docker run"]);
}

#[test]
fn the_json_of_a_captured_session_is_as_documented() {
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    sandbox.write("capture/claude/.claude.json", r#"{"oauthAccount":{"emailAddress":"user@example.com"}}"#);
    let expected = json!({
        "agent": "claude", "title": "Claude Code", "detected": true, "method": "session",
        "source": format!("capture:{}", sandbox.text("capture/claude")),
        "account": "user@example.com", "access_expires_at": "2100-01-01T00:00:00Z", "login_expires_at": null, "refreshable": true,
        "state": "ok", "problem": null, "shadowed": [],
        "write_back": { "mode": "sync", "target": sandbox.text("capture/claude"), "writable": true, "last": null, "at": null },
        "shared_by": 0,
    });
    let outcome = sandbox.raw(["status", "--json"]).run().ok();
    assert_eq!(only(&outcome), expected);
    assert_eq!(outcome.stderr, "");
}

/// What is given, and what comes of it: method, state, exit status.
const VERDICTS: &[(&str, Give, &str, &str, i32)] = &[
    ("key", |_, run| run.env("ANTHROPIC_API_KEY", "sk-FAKE"), "api-key", "ok", 0),
    ("token", |_, run| run.env("CLAUDE_CODE_OAUTH_TOKEN", "FAKE"), "oauth-token", "ok", 0),
    ("variable", |_, run| run.env("CLAUDE_CREDENTIALS", Session::new("a").json()), "session", "ok", 0),
    ("expired, refreshable", |_, run| run.env("CLAUDE_CREDENTIALS", Session::expired("a").json()), "session", "ok", 0),
    ("expired", |_, run| run.env("CLAUDE_CREDENTIALS", token_only(-60)), "session", "expired", 1),
    ("soon", |_, run| run.env("CLAUDE_CREDENTIALS", token_only(86_400)), "session", "expiring", 0),
    ("later", |_, run| run.env("CLAUDE_CREDENTIALS", token_only(30 * 86_400)), "session", "ok", 0),
    (
        "later, and warned of early",
        |_, run| run.env("CLAUDE_CREDENTIALS", token_only(30 * 86_400)).env("AGENT_INIT_WARN_WITHIN", "40d"),
        "session",
        "expiring",
        0,
    ),
    ("no JSON", |_, run| run.env("CLAUDE_CREDENTIALS", "FAKE"), "none", "invalid", 1),
    (
        "blank",
        |s, run| {
            s.captured("claude", ".credentials.json", r#"{"claudeAiOauth":{"accessToken":""}}"#);
            run
        },
        "none",
        "invalid",
        1,
    ),
    ("ignored", |_, run| run.env("ANTHROPIC_API_KEY", "FAKE").env("AGENT_INIT_AUTH", "ignore"), "none", "missing", 1),
    ("nothing", |_, run| run.env("AGENT_INIT_AGENT", "claude"), "none", "missing", 1),
];

#[test]
fn each_login_has_its_verdict() {
    for (what, give, method, state, code) in VERDICTS {
        let sandbox = Sandbox::new();
        let outcome = give(&sandbox, sandbox.raw(["status", "--json"])).run().code(*code);
        let agent = only(&outcome);
        assert_eq!(
            (&agent["method"], &agent["state"]),
            (&Value::from(*method), &Value::from(*state)),
            "{what}\n{outcome}"
        );
        assert_eq!(agent["problem"].is_null(), *state == "ok", "{what}\n{outcome}");
        let text = give(&sandbox, sandbox.raw(["status", "-v"])).run().code(*code);
        let words: Vec<&str> = text.stdout.split_whitespace().collect();
        assert!(words.windows(2).any(|pair| pair == ["state", state]), "{what}\n{text}");
        text.prints(&["Authentication Status\n", " Claude Code   "]);
    }
}

#[test]
fn it_names_the_source_that_run_uses() {
    for (what, give, method, ..) in VERDICTS {
        let sandbox = Sandbox::new();
        let status = only(&give(&sandbox, sandbox.raw(["status", "--json"])).run());
        let run = give(&sandbox, sandbox.claude(":")).run().ok();
        let said = status["source"].as_str().unwrap_or("claude auth: none");
        assert!(run.stderr.contains(said), "{what}: {said}\n{run}");
        assert_eq!(status["method"], *method, "{what}");
    }
}

#[test]
fn every_asked_agent_must_be_logged_in_and_otherwise_any() {
    let sandbox = Sandbox::new();
    let with = |arguments: &[&str]| sandbox.raw(arguments.iter().copied()).env("ANTHROPIC_API_KEY", "FAKE").run();
    with(&["status"]).ok();
    with(&["status", "--agent", "claude"]).ok();
    with(&["status", "--agent", "codex"]).code(1);
    with(&["status", "--agent", "claude,codex"])
        .code(1)
        .prints(&["+ Claude Code   API key", "x Codex         not logged in"]);
    with(&["status", "--agent", "nosuch"]).refuses(&["nosuch", "claude"]);
    let one_is_bad = sandbox.raw(["status"]).env("ANTHROPIC_API_KEY", "FAKE").env("CODEX_CREDENTIALS", "{}").run();
    one_is_bad.ok().prints(&["x Codex         not logged in: the credential is not usable"]);
}

#[test]
fn ignored_sources_are_listed_with_their_reason() {
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    let agent = only(&sandbox.raw(["status", "--json"]).env("ANTHROPIC_API_KEY", "FAKE").run().ok());
    assert_eq!(agent["source"], "env:ANTHROPIC_API_KEY");
    assert_eq!(agent["write_back"], Value::Null);
    let aside = &agent["shadowed"][0];
    assert_eq!(aside["source"], format!("capture:{}", sandbox.text("capture/claude")));
    assert!(aside["why"].as_str().unwrap().contains("env:ANTHROPIC_API_KEY"), "{agent}");
    // Bad input is what it is to `run`.
    let both = sandbox.raw(["status"]).env("ANTHROPIC_API_KEY", "FAKE").env("ANTHROPIC_API_KEY_FILE", "/x").run();
    both.refuses(&["ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY_FILE"]);
}

#[test]
fn colours_are_for_terminals() {
    let sandbox = Sandbox::new();
    let run = || sandbox.raw(["status"]).env("ANTHROPIC_API_KEY", "FAKE").env("TERM", "xterm");
    run().run().ok().prints_no(&["\x1b["]);
    // script(1) gives it a terminal.
    let line = sandbox.text("bin/agent-init") + " status";
    let script = |run: crate::support::Run| run.program("script").arguments(["-qec", line.as_str(), "/dev/null"]);
    let bare = || sandbox.raw([] as [&str; 0]).env("ANTHROPIC_API_KEY", "FAKE").env("TERM", "xterm");
    script(bare()).run().prints(&["\x1b[32m+\x1b[0m", "\x1b[32mAPI key"]);
    script(bare().env("NO_COLOR", "1")).run().prints(&["+ Claude Code"]).prints_no(&["\x1b["]);
    script(bare().env("TERM", "dumb").env("LANG", "C.UTF-8"))
        .run()
        .prints(&["\u{2713} Claude Code"])
        .prints_no(&["\x1b["]);
}

#[test]
fn a_running_agent_is_shown_as_it_is_now() {
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    let mut gate = sandbox.gate("gate");
    let script =
        "say ready; hold \"$1\"; refresh b 4102531200000; say refreshed; hold \"$1\"; blank; say blanked; hold \"$1\"";
    let mut live = ready(&sandbox, sandbox.claude(script).arguments([gate.to_string()]));
    // The environment of `docker exec` is not the agent's.
    let status = || sandbox.raw(["status", "--json"]).env("ANTHROPIC_API_KEY", "FAKE").run();
    let agent = only(&status().ok());
    assert_eq!(agent["source"], format!("capture:{}", sandbox.text("capture/claude")));
    assert_eq!(agent["access_expires_at"], "2100-01-01T00:00:00Z");
    sandbox.raw(["status"]).run().ok().prints(&["runs here as", "saved"]);

    gate.open();
    live.line("refreshed");
    let capture = sandbox.path("capture/claude");
    await_path(&capture, "login b", || sandbox.read("capture/claude/.credentials.json").contains("FAKE-access-b"));
    await_path(&sandbox.path("state"), "the note of it", || sandbox.read("state/state.json").contains("published"));
    let agent = only(&status().ok());
    assert_eq!(agent["access_expires_at"], "2100-01-02T00:00:00Z");
    assert_eq!(agent["write_back"]["last"], "published", "{agent}");
    assert!(agent["write_back"]["at"].as_str().unwrap().ends_with('Z'), "{agent}");

    gate.open();
    live.line("blanked");
    let agent = only(&status().code(1));
    assert_eq!(agent["state"], "invalid");
    assert!(agent["problem"].as_str().unwrap().contains("logged out by the vendor"), "{agent}");
    gate.open();
    live.wait().ok();
    // It has ended: what `run` would use now.
    sandbox.raw(["status"]).run().prints(&["No agent runs here"]);
}

#[test]
fn an_agent_that_the_run_does_not_serve_is_missing() {
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    let mut gate = sandbox.gate("gate");
    let live = ready(&sandbox, sandbox.claude("say ready; hold \"$1\"").arguments([gate.to_string()]));
    let run = sandbox.raw(["status", "--agent", "codex", "--json"]).env("CODEX_CREDENTIALS", codex_auth("a"));
    let agent = only(&run.run().code(1));
    assert_eq!((&agent["state"], &agent["detected"]), (&"missing".into(), &false.into()), "{agent}");
    gate.open();
    live.wait().ok();
}

#[test]
fn containers_that_share_a_login_are_counted() {
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    // A gate for each: of two readers of one fifo, one may take what both wait for.
    let mut gates = ["gate-one", "gate-two"].map(|gate| sandbox.gate(gate));
    let run = |state: &str| {
        let run = sandbox.claude("say ready; hold \"$1\"").arguments([sandbox.text(&format!("gate-{state}"))]);
        run.options(["--work-dir".to_owned(), sandbox.text(state), "--state-dir".to_owned(), sandbox.text(state)])
    };
    for state in ["one", "two"] {
        sandbox.mkdir(state);
    }
    let [first, second] = ["one", "two"].map(|state| {
        let mut live = run(state).start();
        live.line("ready");
        live
    });
    let agent = only(&sandbox.raw(["status", "--json"]).run().ok());
    assert_eq!(agent["shared_by"], 2, "{agent}");
    sandbox.raw(["status"]).run().ok().prints(&["2 containers use this login now"]);
    for gate in &mut gates {
        gate.open();
    }
    first.wait().ok();
    second.wait().ok();
    assert_eq!(only(&sandbox.raw(["status", "--json"]).run().ok())["shared_by"], 0);
}

#[test]
fn it_finds_the_run_by_the_options_of_pid_1() {
    needs_root!();
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    let mut gate = sandbox.gate("gate");
    let run = sandbox.claude("say ready; hold \"$1\"").arguments([gate.to_string()]);
    let elsewhere = sandbox.text("elsewhere");
    let run = run.options(["--user", "node", "--state-dir", &elsewhere, "--capture", &sandbox.text("capture")]);
    let mut live = run.unset("AGENT_INIT_STATE_DIR").unset("AGENT_INIT_CAPTURE").pid1().start();
    live.line("ready");
    await_path(&sandbox.path("elsewhere"), "the state", || sandbox.exists("elsewhere/state.json"));
    let status = sandbox.raw(["status", "--json"]).unset("AGENT_INIT_STATE_DIR").unset("AGENT_INIT_CAPTURE");
    let agent = only(&status.through(["nsenter", "-a", "-t", &live.pid().to_string()]).run().ok());
    assert_eq!(agent["source"], format!("capture:{}", sandbox.text("capture/claude")));
    gate.open();
    live.wait().ok();
}

/// What could not be carried is shown with its place, while the agent runs and afterwards.
#[test]
fn kept_logins_are_listed() {
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    sandbox.write("capture/claude/.agent-init/conflicts/2026-01-01T00:00:00Z-login", "FAKE");
    sandbox.write("state/recovery/claude/.credentials.json", Session::new("b").json());
    sandbox.chmod("state", 0o711);
    let text = sandbox.raw(["status", "--agent", "claude"]).env("COLUMNS", "1000").run().ok().stdout;
    for line in [
        "; a refreshed login is not saved",
        "recovery copy",
        "state/recovery/claude/.credentials.json: a refreshed login that could not be saved",
        "conflicts: 1 kept that lost",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let json = sandbox.raw(["status", "--agent", "claude", "--json"]).run().ok().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let write_back = &json["agents"][0]["write_back"];
    assert_eq!(write_back["conflicts"], 1, "{json}");
    assert!(write_back["recovery"].as_str().unwrap().ends_with("recovery/claude/.credentials.json"), "{json}");
}

/// Where one file holds settings and the login, what a first run left there is no login that went bad.
#[test]
fn a_settings_file_without_a_login_is_not_a_login() {
    let sandbox = Sandbox::new();
    sandbox.captured("copilot", "config.json", r#"{"trustedFolders":["/work"]}"#);
    let run = |words: &[&str]| sandbox.raw(words.iter().copied()).env("COPILOT_GITHUB_TOKEN", "FAKE");
    run(&["--", "copilot", "true"]).run().ok().says(&["copilot auth: GitHub token"]).says_no(&["is ignored"]);
    run(&["status"]).run().ok().prints_no(&["not usable", "ignored"]);
    sandbox.raw(["doctor", "--json"]).run().ok();
    // One who has logged out is told so.
    sandbox.captured("copilot", "config.json", r#"{"trustedFolders":["/work"],"authTokens":{}}"#);
    sandbox.raw(["status", "--agent", "copilot"]).run().code(1).prints(&["not usable"]);
}
