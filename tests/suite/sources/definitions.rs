//! Agents that an image adds in `/etc/agent-init/agents`.

use crate::support::{Run, Sandbox, needs_root};

const MINE: &str = r#"{
  "name": "mine",
  "title": "Mine",
  "commands": ["mine"],
  "home": { "variable": "MINE_HOME", "default": "~/.mine" },
  "methods": [{ "method": "api-key", "label": "key of mine", "variable": "MINE_KEY" }]
}"#;

/// A run with these definitions in the image.
fn with(sandbox: &Sandbox, run: Run, files: &[(&str, &str)]) -> Run {
    sandbox.mkdir("agents");
    for (name, text) in files {
        sandbox.write(&format!("agents/{name}"), text);
    }
    let from = sandbox.text("agents");
    run.pid1().tmpfs("/etc").setup(format!("mkdir -p /etc/agent-init; cp -R {from} /etc/agent-init/agents"))
}

#[test]
fn an_agent_is_added_and_another_replaced() {
    needs_root!();
    let sandbox = Sandbox::new();
    let run = sandbox.raw(["--agent", "mine", "--", "env"]).env("MINE_KEY_COMMAND", "echo FAKE");
    let outcome = with(&sandbox, run, &[("mine.json", MINE)]).run().ok().says(&["mine auth: key of mine, command:"]);
    assert_eq!(outcome.variable("MINE_KEY"), Some("FAKE"), "{outcome}");
    let claude = MINE.replace("\"name\": \"mine\"", "\"name\": \"claude\"");
    let run = sandbox.raw(["--agent", "claude", "--", "env"]).env("MINE_KEY", "FAKE").env("ANTHROPIC_API_KEY", "FAKE");
    let outcome = with(&sandbox, run, &[("mine.json", &claude)]).run().ok().says(&["claude auth: key of mine"]);
    assert_eq!(outcome.variable("ANTHROPIC_API_KEY"), Some("FAKE"), "{outcome}");
}

/// A list that is empty is said to be.
#[test]
fn an_agent_without_methods_is_run_without_a_login() {
    needs_root!();
    let sandbox = Sandbox::new();
    let bare = MINE.replace(r#"[{ "method": "api-key", "label": "key of mine", "variable": "MINE_KEY" }]"#, "[]");
    let run = sandbox.raw(["--agent", "mine", "--auth", "token", "--", "true"]);
    let outcome = with(&sandbox, run, &[("mine.json", &bare)]).run().ok();
    outcome.says(&["hint: mine has no methods: its definition lists none"]).says_no(&["are \n", ": \n"]);
    for words in [&["agents", "mine"][..], &["status", "--agent", "mine"], &["plan", "--agent", "mine", "--", "true"]] {
        let outcome = with(&sandbox, sandbox.raw(words.iter().copied()), &[("mine.json", &bare)]).run();
        assert!(!outcome.stdout.lines().any(|line| line.ends_with("  ")), "{outcome}");
    }
}

/// A definition with everything in it, for the stand-in agent.
const WHOLE: &str = r#"{
  "name": "mine",
  "title": "Mine",
  "commands": ["mine"],
  "home": { "variable": "MINE_HOME", "suffix": "state", "default": "~/.mine/state" },
  "methods": [
    { "method": "api-key", "label": "key of mine", "variable": "MINE_KEY" },
    { "method": "session", "label": "login of mine" }
  ],
  "session": {
    "file": "auth.json",
    "access-token": ["/tokens/access"],
    "refresh-token": ["/tokens/refresh"],
    "expiry": { "field": "/tokens/until", "unit": "seconds" },
    "account": ["/user/email"],
    "plan": ["/user/plan"],
    "required": [{ "pointer": "/scopes", "contains": "run" }]
  },
  "settings": { "take": ["config.json"], "leave": ["*.log"] },
  "first-run": [{ "file": "config.json", "merge": { "trusted": ["{trusted}"] } }],
  "environment": [{ "set": { "MINE_QUIET": "1" }, "remove": ["MINE_LOUD"] }],
  "hints": [{ "when": { "argument": ["--fast"] }, "say": "it is not fast", "hint": "be patient" }],
  "refresh-lock": { "intent": ".refresh", "beside": ".lock" }
}"#;

const LOGIN: &str = r#"{"tokens":{"access":"FAKE-a","refresh":"FAKE-r","until":4102444800},"scopes":["run"],
  "user":{"email":"me@example.com","plan":"large"}}"#;

#[test]
fn an_agent_of_an_image_has_all_that_a_built_in_has() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.captured("mine", "auth.json", LOGIN);
    sandbox.write("capture/mine/config.json", r#"{"mine":true}"#);
    let script = "env; stat -c '%a %u' \"$MINE_HOME/state\" \"$MINE_HOME/state/auth.json\"; \
        tr -d ' \n' <\"$MINE_HOME/state/config.json\"; echo; test -d \"$MINE_HOME/state.lock\" && echo locked; \
        sed 's/FAKE-a/FAKE-b/; s/FAKE-r/FAKE-s/' \"$MINE_HOME/state/auth.json\" >\"$MINE_HOME/state/new\"; \
        chmod 600 \"$MINE_HOME/state/new\"; mv \"$MINE_HOME/state/new\" \"$MINE_HOME/state/auth.json\"";
    sandbox.give("home", 1000);
    let home = sandbox.text("home");
    let run = sandbox.raw(["--agent", "mine", "--user", "1000", "--home", &home, "--", "sh", "-c", script, "--fast"]);
    let outcome = with(&sandbox, run.env("MINE_LOUD", "1"), &[("mine.json", WHOLE)]).run().ok();
    let outcome = outcome.says(&[
        "mine auth: login of mine (sync), capture:",
        ", me@example.com, access token expires 2100-01-01T00:00:00Z",
        "mine: it is not fast\n  hint: be patient",
    ]);
    let outcome =
        outcome.prints(&["MINE_QUIET=1", "700 1000\n600 1000\n", "\"mine\":true", "\"trusted\":[\"", "locked\n"]);
    assert_eq!(outcome.variable("MINE_LOUD"), None, "{outcome}");
    assert!(sandbox.read("capture/mine/auth.json").contains("FAKE-b"), "{outcome}");
    let status = with(&sandbox, sandbox.raw(["status", "--agent", "mine"]), &[("mine.json", WHOLE)]).run().ok();
    status.prints(&["+ Mine   logged in as me@example.com (Large)"]);
}

#[test]
fn the_definitions_of_this_binary_are_shown_whole() {
    needs_root!();
    let sandbox = Sandbox::new();
    let agents = sandbox.raw(["agents", "--json"]).run().ok().json();
    let files: Vec<(String, String)> = agents["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| (format!("{}.json", agent["agent"].as_str().unwrap()), agent["definition"].to_string()))
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(files.len(), 7);
    // As replacements of themselves they change nothing.
    let again = with(&sandbox, sandbox.raw(["agents", "--json"]), &files).run().ok().json();
    assert_eq!(agents, again);
}

#[test]
fn a_bad_definition_is_named_with_key_and_line() {
    needs_root!();
    let changed = |from: &str, to: &str| MINE.replace(from, to);
    let rows: &[(String, &[&str])] = &[
        (changed("\"title\"", "\"titel\""), &["mine.json", "line 3", "titel"]),
        (changed("~/.mine", "/mine"), &["mine.json", "line 5", "home.default"]),
        (changed("\"api-key\"", "\"key\""), &["mine.json", "line 6: methods[0].method:", "`key`"]),
        (changed("\"Mine\"", "3"), &["mine.json", "line 3: title:", "expected a string"]),
        (changed("}]\n}", "}]"), &["mine.json", "line 6", "EOF"]),
        (String::new(), &["mine.json", "line 1"]),
        (String::from("[]"), &["mine.json", "line 1"]),
    ];
    for (text, named) in rows {
        let sandbox = Sandbox::new();
        let run = sandbox.raw(["--", "sh", "-c", "echo started"]);
        let outcome = with(&sandbox, run, &[("mine.json", text)]).run();
        outcome.refuses(&["/etc/agent-init/agents/", "\n  hint: "]).says(named).prints_no(&["started"]);
    }
    let sandbox = Sandbox::new();
    let two = [("a.json", MINE), ("b.json", MINE)];
    with(&sandbox, sandbox.raw(["--", "true"]), &two).run().refuses(&["b.json", "'mine'"]);
    let sandbox = Sandbox::new();
    let run = with(&sandbox, sandbox.raw(["--", "true"]), &[("a.json", MINE)]);
    run.setup("chmod 666 /etc/agent-init/agents/a.json").run().refuses(&["a.json", "everybody can write to it"]);
    let sandbox = Sandbox::new();
    let run = with(&sandbox, sandbox.raw(["--", "true"]), &[("a.json", MINE)]);
    run.setup("chown 1000 /etc/agent-init/agents/a.json").run().refuses(&["a.json", "uid 1000"]);
}
