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

#[test]
fn a_bad_definition_is_named_with_key_and_line() {
    needs_root!();
    let changed = |from: &str, to: &str| MINE.replace(from, to);
    let rows: &[(String, &[&str])] = &[
        (changed("\"title\"", "\"titel\""), &["mine.json", "line 3", "titel"]),
        (changed("~/.mine", "/mine"), &["mine.json", "line 5", "home.default"]),
        (changed("\"api-key\"", "\"key\""), &["mine.json", "line 6", "`key`"]),
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
    run.setup("chmod 666 /etc/agent-init/agents/a.json").run().refuses(&["a.json", "everybody may write"]);
    let sandbox = Sandbox::new();
    let run = with(&sandbox, sandbox.raw(["--", "true"]), &[("a.json", MINE)]);
    run.setup("chown 1000 /etc/agent-init/agents/a.json").run().refuses(&["a.json", "uid 1000"]);
}
