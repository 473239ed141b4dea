//! Values nested in each other, for every parser, on the smallest stack that a container is expected to give: what is nested
//! too deep is refused in words, and nothing of it ends PID 1.

use serde_json::{Value, json};

use crate::support::{Outcome, Run, Sandbox, Session, definitions, jwt, needs_root};

/// The last that is read, and those that are not.
const DEPTHS: [usize; 5] = [127, 128, 129, 1_400, 100_000];
const DEEPEST: usize = 127;
const TOO_DEEP: &str = "it is nested too deep";

/// So many lists in each other.
fn lists(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// An object with a key more, whose lists make it so deep.
fn deepened(object: &str, depth: usize) -> String {
    let end = object.rfind('}').unwrap();
    format!("{},\"pad\":{}{}", &object[..end], lists(depth - 1), &object[end..])
}

/// Lines with more of them, each in the one before; a file of the largest size has no room for more than 1,400.
fn deepened_lines(lines: &str, depth: usize) -> String {
    let more = (0..depth.min(1_400)).map(|level| format!("{:level$}pad:\n", ""));
    lines.to_owned() + &more.collect::<String>()
}

/// Without optimisation the options alone take more than 256 KiB, nested values or not.
fn small_stack(run: Run) -> Run {
    let size = if std::env::var_os("TEST_BINARY").is_some() { 256 } else { 512 } * 1024;
    run.through(["prlimit".to_owned(), format!("--stack={size}:{size}")])
}

/// Asserts that the run ended by itself.
#[track_caller]
fn ended(outcome: Outcome) -> Outcome {
    assert!(outcome.code.is_some_and(|code| code < 128), "{outcome}");
    outcome
}

/// For each depth: the login of each agent in a capture harms no container that starts on it.
#[test]
fn a_deeply_nested_captured_login_is_refused() {
    for definition in definitions().iter().filter(|definition| !definition.file().is_empty()) {
        for depth in DEPTHS {
            let is_lines = definition.text("/session/format") == "yaml";
            let login =
                if is_lines { deepened_lines(&definition.login, depth) } else { deepened(&definition.login, depth) };
            let sandbox = Sandbox::new();
            sandbox.captured(definition.name(), definition.file(), &login);
            let what = format!("{} nested {depth} deep", definition.name());
            let run = sandbox.raw(["--agent", definition.name(), "--", definition.command(), "say started"]);
            let outcome = ended(small_stack(run).run()).ok().prints(&["started"]);
            assert_eq!(outcome.stderr.contains(TOO_DEEP), depth > DEEPEST, "{what}\n{outcome}");
            assert_eq!(outcome.stderr.contains(&definition.label()), depth <= DEEPEST, "{what}\n{outcome}");
            for command in ["status", "doctor"] {
                let outcome = ended(
                    small_stack(sandbox.raw([command, "--agent", definition.name()]).env("COLUMNS", "1000")).run(),
                );
                assert_eq!(outcome.stdout.contains(TOO_DEEP), depth > DEEPEST, "{what}: {command}\n{outcome}");
            }
        }
    }
}

/// An agent that writes one: it is not published, and PID 1 lives on.
#[test]
fn a_deeply_nested_login_of_the_agent_is_refused() {
    for definition in definitions().iter().filter(|definition| ["claude", "gh"].contains(&definition.name())) {
        for depth in DEPTHS.into_iter().filter(|depth| *depth > DEEPEST) {
            for sync in ["live", "exit"] {
                let is_lines = definition.text("/session/format") == "yaml";
                let login = definition.login.replace("FAKE-", "FAKE-new-");
                let login = if is_lines { deepened_lines(&login, depth) } else { deepened(&login, depth) };
                let sandbox = Sandbox::new();
                let captured = format!("capture/{}/{}", definition.name(), definition.file());
                sandbox.captured(definition.name(), definition.file(), &definition.login);
                let evil = sandbox.write("evil", login).display().to_string();
                let place = format!("${}/{}", definition.text("/home/variable"), definition.file());
                let script = format!("cp \"$1\" \"{place}.new\"; mv \"{place}.new\" \"{place}\"; say written");
                let run =
                    sandbox.raw(["--agent", definition.name(), "--sync", sync, "--", definition.command(), &script]);
                let outcome =
                    ended(small_stack(run.arguments([evil])).run()).ok().prints(&["written"]).says(&[TOO_DEEP]);
                assert_eq!(sandbox.read(&captured), definition.login, "{sync}: {depth}\n{outcome}");
            }
        }
    }
}

/// The longest would be too long for a variable, which takes its room on the stack besides.
#[test]
fn a_deeply_nested_login_in_a_variable_is_refused() {
    for depth in DEPTHS.into_iter().filter(|depth| *depth < 100_000) {
        let sandbox = Sandbox::new();
        let login = deepened(&Session::new("a").json(), depth);
        let run = sandbox.claude("say started").env("CLAUDE_CREDENTIALS", login);
        let outcome = ended(small_stack(run).run()).ok().prints(&["started"]);
        assert_eq!(outcome.stderr.contains(TOO_DEEP), depth > DEEPEST, "{depth}\n{outcome}");
        assert_eq!(outcome.stderr.contains("env:CLAUDE_CREDENTIALS, access"), depth <= DEEPEST, "{depth}\n{outcome}");
    }
}

/// The claims of a JWT are a document of their own.
#[test]
fn deeply_nested_token_claims_are_refused() {
    for depth in DEPTHS {
        let sandbox = Sandbox::new();
        let token = jwt(&deepened(&json!({ "exp": 4_102_444_800_u64, "email": "me@example.com" }).to_string(), depth));
        let tokens = json!({ "id_token": token, "access_token": token, "refresh_token": "FAKE", "account_id": "FAKE" });
        sandbox.captured("codex", "auth.json", &json!({ "auth_mode": "chatgpt", "tokens": tokens }).to_string());
        let outcome = ended(small_stack(sandbox.codex("say started")).run()).ok().prints(&["started"]);
        assert_eq!(outcome.stderr.contains("me@example.com"), depth <= DEEPEST, "{depth}\n{outcome}");
    }
}

/// Settings, which first-run state is merged into, stay as they are.
#[test]
fn deeply_nested_settings_are_refused() {
    for depth in DEPTHS {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
        let settings = deepened(r#"{"theme":"dark"}"#, depth);
        sandbox.captured("claude", "settings.json", &settings);
        let script = "say started; cat \"$C/settings.json\"";
        let outcome = ended(small_stack(sandbox.claude(script)).run()).ok().prints(&["started", "\"dark\""]);
        assert_eq!(outcome.stderr.contains(TOO_DEEP), depth > DEEPEST, "{depth}\n{outcome}");
        assert_eq!(outcome.stdout.contains(&settings), depth > DEEPEST, "{depth}\n{outcome}");
    }
}

/// Text of nothing but openings takes the most of a parser for its length.
#[test]
fn a_deeply_nested_definition_is_refused() {
    needs_root!();
    let whole = |depth: usize| {
        let merge = json!({ "PAD": 0 }).to_string().replace('0', &lists(depth - 4));
        json!({
            "name": "mine", "title": "Mine", "commands": ["mine"],
            "home": { "variable": "MINE_HOME", "default": "~/.mine" },
            "methods": [{ "method": "api-key", "label": "key of mine", "variable": "MINE_KEY" }],
            "first-run": [{ "file": "state.json", "merge": "MERGE" }]
        })
        .to_string()
        .replace("\"MERGE\"", &merge)
    };
    let rows = DEPTHS.into_iter().map(|depth| (whole(depth), depth));
    let rows = rows.chain([("[".repeat(16_384), 16_384), ("{\"a\":".repeat(16_384), 16_384)]);
    for (text, depth) in rows {
        let sandbox = Sandbox::new();
        let file = sandbox.write("mine.json", &text).display().to_string();
        let run = sandbox.raw(["--agent", "mine", "--", "true"]).env("MINE_KEY", "FAKE").pid1().tmpfs("/etc");
        let run = run.setup(format!("mkdir -p /etc/agent-init/agents; cp {file} /etc/agent-init/agents/mine.json"));
        // Of memory it takes what the text takes, and some megabytes for the start.
        let outcome = ended(small_stack(run).through(["prlimit", "--data=33554432:33554432"]).run());
        if depth <= DEEPEST {
            outcome.ok()
        } else {
            let why = if text.starts_with('{') { TOO_DEEP } else { "it is not a JSON object" };
            outcome.refuses(&["/etc/agent-init/agents/mine.json", why])
        };
    }
}

/// What a store's helper answers to `get` and to `put`.
#[test]
fn deeply_nested_answers_of_a_store_are_refused() {
    for depth in DEPTHS {
        for asked in ["get", "put"] {
            let sandbox = Sandbox::new();
            let nothing = r#"{"v":1,"found":false}"#.to_owned();
            let answer =
                if asked == "get" { nothing.clone() } else { r#"{"v":1,"stored":true,"version":"1"}"#.to_owned() };
            sandbox.write("nothing", nothing);
            sandbox.write("answer", deepened(&answer, depth));
            let (nothing, answer) = (sandbox.text("nothing"), sandbox.text("answer"));
            let script =
                format!("#!/bin/sh\ncat >/dev/null\ncase $1 in {asked}) cat {answer} ;; *) cat {nothing} ;; esac\n");
            sandbox.write("bin/helper", script);
            sandbox.chmod("bin/helper", 0o755);
            let run = sandbox.claude("say started").unset("AGENT_INIT_CAPTURE");
            let run = run.env("AGENT_INIT_STORE", format!("exec:{}", sandbox.text("bin/helper")));
            let run = if asked == "put" { run.env("CLAUDE_CREDENTIALS", Session::new("a").json()) } else { run };
            let outcome = ended(small_stack(run).run());
            assert_eq!(outcome.stderr.contains(TOO_DEEP), depth > DEEPEST, "{asked} {depth}\n{outcome}");
        }
    }
}

/// What is read back of an earlier run, and of other containers: ours to write, and whoever may write there.
#[test]
fn deeply_nested_records_are_refused() {
    let state = json!({ "version": 1, "pid": 1, "agent_pid": null, "user": [0, 0], "agents": [] }).to_string();
    let record = json!({ "version": 1, "lineage": [], "published_at": null }).to_string();
    let note = json!({ "version": 1, "minted_at": "", "expires_at": "", "digest": "" }).to_string();
    for depth in DEPTHS {
        let sandbox = Sandbox::new();
        sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
        sandbox.captured("claude", "oauth-token", "FAKE");
        sandbox.write("capture/claude/.agent-init/record.json", deepened(&record, depth));
        sandbox.write("capture/claude/.agent-init/oauth-token.json", deepened(&note, depth));
        let write_state = || sandbox.write("state/state.json", deepened(&state, depth));
        for command in [&["status"][..], &["doctor"], &["plan"], &["healthcheck"], &["exec", "--", "true"]] {
            write_state();
            ended(small_stack(sandbox.raw(command.iter().copied())).run());
        }
        write_state();
        for auth in ["sync", "token"] {
            let run = sandbox.claude("say started; refresh b").options(["--auth", auth]);
            ended(small_stack(run).run()).ok().prints(&["started"]);
        }
        let state: Value = serde_json::from_str(&sandbox.read("state/state.json")).unwrap();
        assert!(state["agents"].as_array().is_some_and(|agents| !agents.is_empty()), "{state}");
        assert!(sandbox.read("capture/claude/.credentials.json").contains("FAKE-access-b"));
    }
}
