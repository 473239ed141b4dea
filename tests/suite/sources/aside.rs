//! What gives way is kept, what has ended is of no use, and what the agent would take by itself does not surprise.

use crate::support::{Run, Sandbox, Session};

const KEPT: &str = "home/.claude/.agent-init/conflicts";

/// A login without a refresh token whose access token has expired.
fn ended() -> String {
    Session::expired("ended").json().replace(r#""refreshToken":"FAKE-refresh-ended","#, "")
}

/// The logins that are kept in a directory.
fn kept(sandbox: &Sandbox, directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.path(directory)).into_iter().flatten();
    entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn an_ignored_login_is_kept_where_it_was_found() {
    let rows: &[(&[&str], &[(&str, &str)])] = &[
        (&["--auth=ignore"], &[]),
        (&["--auth=token"], &[]),
        (&["--auth=api-key"], &[("ANTHROPIC_API_KEY", "FAKE-key")]),
        (&[], &[("ANTHROPIC_API_KEY", "FAKE-key")]),
        (&[], &[("CLAUDE_CODE_OAUTH_TOKEN", "FAKE-token")]),
        (&[], &[("CLAUDE_CREDENTIALS", &Session::new("given").json())]),
    ];
    for (options, given) in rows {
        let sandbox = Sandbox::new();
        sandbox.write("home/.claude/.credentials.json", Session::new("home").json());
        let run = sandbox.claude("seen").options(options.iter().copied()).unset("AGENT_INIT_CAPTURE");
        let run = given.iter().fold(run, |run, (name, value)| run.env(name, *value));
        let outcome = run.run().ok().warns_once(&["home/.claude/.credentials.json", "it is kept in", KEPT]);
        let file = outcome.variable("FILE").unwrap_or_default();
        assert!(!file.contains("FAKE-refresh-home"), "{options:?}\n{outcome}");
        assert_eq!(kept(&sandbox, KEPT), [Session::new("home").json()], "{options:?}\n{outcome}");
        assert!(outcome.says_no(&["FAKE"]).stderr.contains("claude auth: "));
    }
}

#[test]
fn ignored_settings_are_kept_where_they_are_the_only_copy() {
    for text in [
        r#"{"apiKeyHelper":"/opt/FAKE-helper","mine":1}"#,
        "// a comment\n{\"env\":{\"ANTHROPIC_API_KEY\":\"FAKE-key\"},\"mine\":1}",
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("home/.claude/settings.json", text);
        let run = || sandbox.claude("seen").env("CLAUDE_CODE_OAUTH_TOKEN", "FAKE-token").unset("AGENT_INIT_CAPTURE");
        run().run().ok().warns_once(&["home/.claude/settings.json was changed", KEPT]).says_no(&["FAKE"]);
        let settings = sandbox.read("home/.claude/settings.json");
        assert!(settings.contains("mine") && !settings.contains("FAKE"), "{settings}");
        assert_eq!(kept(&sandbox, KEPT), [text], "{text}");
        let again = run().run().ok();
        assert!(!again.stderr.contains("was changed"), "{again}");
        assert_eq!(kept(&sandbox, KEPT), [text], "{text}");
    }
    // What was copied is still where it was copied from.
    let sandbox = Sandbox::new();
    sandbox.captured("claude", "settings.json", r#"{"apiKeyHelper":"/opt/FAKE-helper"}"#);
    let outcome = sandbox.claude("seen").env("CLAUDE_CODE_OAUTH_TOKEN", "FAKE-token").run().ok();
    assert!(!outcome.stderr.contains("was changed") && kept(&sandbox, KEPT).is_empty(), "{outcome}");
}

#[test]
fn a_login_is_kept_even_if_the_agent_obstructs() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.claude/.credentials.json", Session::new("home").json());
    sandbox.write("home/.claude/.agent-init", "planted");
    sandbox.claude("seen").options(["--auth=ignore"]).unset("AGENT_INIT_CAPTURE").run().ok();
    assert_eq!(kept(&sandbox, "state/conflicts"), [Session::new("home").json()]);
    assert!(!sandbox.exists("home/.claude/.credentials.json"));
}

#[test]
fn a_login_that_stays_is_the_agents_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.claude/.credentials.json", Session::new("home").json());
    sandbox.chmod("home/.claude/.credentials.json", 0o644);
    let outcome = sandbox.claude("stat -c MODE=%a \"$C/.credentials.json\"; seen").unset("AGENT_INIT_CAPTURE").run();
    let outcome = outcome.ok().says(&["(in place)"]);
    assert_eq!(outcome.variable("MODE"), Some("600"), "{outcome}");
    assert!(outcome.variable("FILE").unwrap().contains("FAKE-refresh-home"), "{outcome}");
}

#[test]
fn an_expired_login_gives_way_and_does_not_satisfy_require() {
    let sandbox = Sandbox::new();
    let alone = || sandbox.claude("seen").env("CLAUDE_CREDENTIALS", ended());
    let outcome = alone().run().ok().warns_once(&["CLAUDE_CREDENTIALS", "has expired", "no refresh token"]);
    assert!(outcome.variable("FILE").unwrap().contains("FAKE-access-ended"), "{outcome}");
    alone().options(["--require"]).run().refuses(&["no usable credential", "it has expired"]);
    // A login that is refreshed is as good as new.
    let sandbox = Sandbox::new();
    let fresh = sandbox.claude("seen").env("CLAUDE_CREDENTIALS", Session::expired("old").json());
    fresh.options(["--require", "--auth=copy"]).run().ok().says_no(&["has expired"]);

    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("captured").json());
    let outcome = sandbox.claude("seen").env("CLAUDE_CREDENTIALS", ended()).run().ok();
    let outcome = outcome.warns_once(&["CLAUDE_CREDENTIALS", "is ignored: it has expired"]);
    assert!(outcome.variable("FILE").unwrap().contains("FAKE-refresh-captured"), "{outcome}");
    assert!(sandbox.read("capture/claude/.credentials.json").contains("FAKE-refresh-captured"));
}

#[test]
fn variables_in_the_settings_are_a_method_and_never_a_second_one() {
    let settings = r#"{"env":{"ANTHROPIC_API_KEY":"FAKE-there","OTHER":"stays"}}"#;
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    sandbox.write("capture/claude/settings.json", settings);
    let run = |options: &[&str]| {
        std::fs::remove_dir_all(sandbox.path("home")).unwrap();
        sandbox.mkdir("home");
        sandbox.claude("cat \"$C/settings.json\"; seen").options(options.to_vec())
    };
    // The agent takes them before anything that is set, so that they win here as they would there.
    let outcome = run(&["--deliver=fd"]).run().ok().says(&["claude auth: API key, capture:", "settings.json"]);
    assert_eq!(outcome.variable("FILE"), None, "{outcome}");
    outcome.prints(&["FAKE-there"]).says_no(&["FAKE", "--deliver"]);
    let aside = |options: &[&str], given: &str| {
        let run = run(options).env("CLAUDE_CODE_OAUTH_TOKEN", given);
        run.run().ok().prints(&["stays"]).prints_no(&["FAKE-there"])
    };
    let outcome = aside(&[], "FAKE-token").warns_once(&["settings.json (ANTHROPIC_API_KEY)"]);
    assert_eq!(outcome.variable("CLAUDE_CODE_OAUTH_TOKEN"), Some("FAKE-token"), "{outcome}");
    let outcome = aside(&["--auth=sync"], "").warns_once(&["settings.json (ANTHROPIC_API_KEY)"]);
    assert!(outcome.variable("FILE").unwrap().contains("FAKE-refresh-a"), "{outcome}");
    aside(&["--auth=ignore"], "").says(&["claude auth: none"]);
    assert_eq!(sandbox.read("capture/claude/settings.json"), settings);

    sandbox.write("capture/claude/settings.json", r#"{"env":{"CLAUDE_CODE_USE_BEDROCK":"1"}}"#);
    run(&[]).env("ANTHROPIC_API_KEY", "FAKE-key").run().ok().says(&["claude auth: Amazon Bedrock, capture:"]);
    sandbox.write("capture/claude/settings.json", r#"{"env":{"CLAUDE_CODE_USE_BEDROCK":"0"}}"#);
    let outcome = run(&[]).env("CLAUDE_CODE_USE_BEDROCK", "1").run().ok().prints_no(&["\"0\""]);
    outcome.says(&["claude auth: Amazon Bedrock, env:"]);
}

#[test]
fn a_switch_is_a_yes_a_no_or_a_mistake() {
    let sandbox = Sandbox::new();
    let run = |switch: &str| sandbox.claude("seen").env("CLAUDE_CODE_USE_BEDROCK", switch);
    for yes in ["1", "true", "YES", "on"] {
        run(yes).run().ok().quiet().says(&["claude auth: Amazon Bedrock"]);
    }
    for no in ["0", "false", "No", "off"] {
        run(no).run().ok().quiet().says(&["claude auth: none"]);
        let other = sandbox.codex(":").env("CLAUDE_CODE_USE_BEDROCK", no);
        other.run().ok().says_no(&["claude auth"]);
    }
    let outcome = run("2").env("ANTHROPIC_API_KEY", "FAKE-key").run().ok();
    let outcome = outcome.warns_once(&["CLAUDE_CODE_USE_BEDROCK", "neither yes"]).says(&["claude auth: API key"]);
    assert_eq!(outcome.variable("CLAUDE_CODE_USE_BEDROCK"), None, "{outcome}");
}

#[test]
fn an_unusable_source_is_not_called_ignored() {
    let sandbox = Sandbox::new();
    let run = sandbox.claude(":").env("ANTHROPIC_API_KEY", "FAKE-key").env("CLAUDE_CREDENTIALS", "{}");
    run.run().ok().warns_once(&["not usable"]).says_no(&["billed"]);
    let blank = Session::new("x").json().replace("FAKE-access-x", "  ");
    sandbox.claude(":").env("CLAUDE_CREDENTIALS", blank).run().ok().warns_once(&["its tokens are blank"]);
}

#[test]
fn a_required_agent_is_served_and_each_only_once() {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    let count = |run: Run, what: &str| run.run().ok().stderr.matches(what).count();
    assert_eq!(count(sandbox.claude(":").options(["--agent=claude, codex,claude"]), "claude auth: "), 1);
    let codex = |options: &[&str]| sandbox.codex(":").options(options.to_vec());
    assert_eq!(count(codex(&[]), "claude auth: "), 0);
    assert_eq!(count(codex(&["--require=claude"]), "claude auth: subscription"), 1);
    codex(&["--agent=codex", "--require=claude"]).run().refuses(&["for claude", "it is not served"]);
}

#[test]
fn a_missing_capture_is_reported_for_every_agent() {
    let sandbox = Sandbox::new();
    sandbox.codex(":").options(["--capture=claude=/nonexistent"]).run().refuses(&["--capture /nonexistent"]);
}

#[test]
fn named_secret_directories_are_searched_in_order() {
    let sandbox = Sandbox::new();
    sandbox.write("secrets/anthropic_api_key", "FAKE-key");
    let run = |value: String| sandbox.claude("seen").env("AGENT_INIT_SECRETS", value);
    let outcome = run(format!("/nonexistent:{}:", sandbox.text("secrets"))).run().ok();
    let outcome = outcome.warns_once(&["--secrets /nonexistent"]).says(&["claude auth: API key"]);
    assert_eq!(outcome.variable("ANTHROPIC_API_KEY"), Some("FAKE-key"));
    run(sandbox.text("secrets/anthropic_api_key")).run().refuses(&["anthropic_api_key", "not a directory"]);
}

#[test]
fn doctor_shows_what_is_kept() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.claude/.credentials.json", Session::new("home").json());
    sandbox.claude(":").options(["--auth=ignore"]).unset("AGENT_INIT_CAPTURE").run().ok();
    let doctor = sandbox.raw(["doctor", "--agent=claude"]).unset("AGENT_INIT_CAPTURE").run();
    doctor.prints(&[KEPT, "(conflicts)"]);
}
