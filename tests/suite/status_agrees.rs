//! `agent-init status` and the real CLIs that can tell offline agree about who is logged in.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{NODE, Sandbox, agents, needs_root};

/// An agent, its command that tells, and what that says with a login and without one.
const CLIS: &[(&str, &[&str], &str, &str)] = &[
    ("claude", &["claude", "auth", "status"], r#""loggedIn": true"#, r#""loggedIn": false"#),
    ("codex", &["codex", "login", "status"], "Logged in using ChatGPT", "Not logged in"),
    ("opencode", &["opencode", "auth", "list"], "2 credentials", "0 credentials"),
    ("qwen", &["qwen", "auth", "status"], "Authentication Method: Qwen OAuth", "No authentication method configured"),
    ("gh", &["gh", "auth", "token"], "FAKE-token", "no oauth token"),
];

#[test]
fn about_who_is_logged_in() {
    needs_root!();
    for (agent, command, logged_in, logged_out) in CLIS {
        for (has_login, state, said) in [(true, "ok", logged_in), (false, "missing", logged_out)] {
            let sandbox = Sandbox::new();
            sandbox.give("home", NODE);
            if has_login {
                capture_fixture(&sandbox, agent);
            }
            let what = format!("{agent}, {}", if has_login { "with a login" } else { "without one" });

            let status = sandbox.raw(["status", "--json", "--agent", agent, "--user", "node"]).pid1().run();
            let status: Value = serde_json::from_str(&status.stdout).unwrap();
            assert_eq!(status["agents"][0]["state"], state, "{what}");

            let place = sandbox.mkdir("agents");
            let path = format!("{}/node_modules/.bin:/usr/local/bin:/usr/bin:/bin", place.display());
            let outcome = sandbox
                .raw(["--agent", agent, "--user", "node", "--"])
                .arguments(command.iter().copied())
                .pid1()
                .bind(agents(), &place)
                // No network at all: what a CLI says then, it knows from what was laid down.
                .through(["unshare", "--net"])
                .env("PATH", path)
                .env("TERM", "dumb")
                .run();
            let all = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(all.contains(said), "{what}: {outcome}");
        }
    }
}

/// The fixture of an agent's login, as its capture.
fn capture_fixture(sandbox: &Sandbox, agent: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let definition = fs::read(root.join(format!("src/agent/definitions/{agent}.json"))).unwrap();
    let definition: Value = serde_json::from_slice(&definition).unwrap();
    let file = definition["session"]["file"].as_str().unwrap();
    let login = fs::read(root.join(format!("tests/fixtures/{agent}/login"))).unwrap();
    sandbox.write(&format!("capture/{agent}/{file}"), login);
}
