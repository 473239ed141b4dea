//! `status --openmetrics`, read by the parsers that Prometheus' own client library has (`scripts/metrics-parsers`).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{captured, from_now, ready, token_only};
use crate::support::{Outcome, Sandbox, Session, await_path, codex_auth, needs_root, skip};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The interpreter that has the parsers; the first caller has it installed. `None`: it could not be.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let install = || {
        let script = Command::new(file("scripts/metrics-parsers")).stdin(Stdio::null()).output().unwrap();
        eprint!("{}", String::from_utf8_lossy(&script.stderr));
        let directory = String::from_utf8(script.stdout).unwrap();
        script.status.success().then(|| Path::new(directory.trim_end()).join("bin/python"))
    };
    PYTHON.get_or_init(install).as_deref()
}

/// What both parsers read; `Null` where they could not be installed.
#[track_caller]
fn parsed(outcome: &Outcome) -> Value {
    assert!(outcome.stdout.ends_with("# EOF\n"), "{outcome}");
    let Some(python) = python() else {
        skip("metrics", "the parsers could not be installed (scripts/metrics-parsers)");
        return Value::Null;
    };
    let mut child = Command::new(python)
        .arg("-B")
        .arg(file("tests/metrics/read.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(outcome.stdout.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{outcome}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The value of a sample. `labels` beside the agent's.
fn value(parsed: &Value, family: &str, labels: &Value) -> Option<f64> {
    let samples = parsed["openmetrics"][family]["samples"].as_array()?;
    samples.iter().find(|sample| sample[1] == *labels)?[2].as_f64()
}

fn of_claude(parsed: &Value, family: &str) -> Option<f64> {
    value(parsed, family, &json!({ "agent": "claude" }))
}

/// The states that are 1.
fn states(parsed: &Value) -> Vec<String> {
    let samples = parsed["openmetrics"]["agent_init_state"]["samples"].as_array().unwrap();
    let is_set = |sample: &&Value| sample[2] == 1.0;
    let name =
        |sample: &Value| format!("{}={}", sample[1]["agent"].as_str().unwrap(), sample[1]["state"].as_str().unwrap());
    samples.iter().filter(is_set).map(name).collect()
}

#[test]
fn both_formats_of_metrics_are_valid() {
    let sandbox = Sandbox::new();
    let deadline = from_now(20 * 86_400);
    captured(&sandbox, &Session::expired("a").deadline_ms(deadline * 1000));
    sandbox.write("capture/claude/.agent-init/conflicts/2026-01-01T00:00:00Z-login", "FAKE");
    let run = sandbox.raw(["status", "--openmetrics", "--agent", "claude,codex,gh"]);
    let outcome = run.env("CODEX_CREDENTIALS", codex_auth("b")).run().code(1);
    assert_eq!(outcome.stderr, "");
    let parsed = parsed(&outcome);
    if parsed.is_null() {
        return;
    }
    #[allow(clippy::cast_precision_loss, reason = "a time of this century")]
    let deadline = deadline as f64;
    let rows = [
        ("agent_init_access_token_expires_seconds", Some(1_000_000_000.0)),
        ("agent_init_login_expires_seconds", Some(deadline)),
        ("agent_init_last_publish_timestamp_seconds", None),
        ("agent_init_publish_failures", Some(0.0)),
        ("agent_init_conflicts", Some(1.0)),
        ("agent_init_shared_by", Some(0.0)),
    ];
    for (family, expected) in rows {
        assert_eq!(of_claude(&parsed, family), expected, "{family}\n{outcome}");
    }
    assert_eq!(states(&parsed), ["claude=ok", "codex=ok", "gh=missing"], "{outcome}");
    for (family, read) in parsed["openmetrics"].as_object().unwrap() {
        assert!(!read["help"].as_str().unwrap().is_empty(), "{family}");
        let unit = if family.ends_with("_seconds") { "seconds" } else { "" };
        assert_eq!(read["unit"], unit, "{family}");
        let is_counter = family == "agent_init_publish_failures";
        assert_eq!(read["type"], if is_counter { "counter" } else { "gauge" }, "{family}");
        // node-exporter reads the older format from files.
        let in_old_format = |name: &str| parsed["prometheus"][name]["samples"].clone();
        let old_name = if is_counter { format!("{family}_total") } else { family.clone() };
        let old = [in_old_format(&old_name), in_old_format(family)];
        assert!(old.contains(&read["samples"]), "{family}: {old:?}");
    }
}

/// The exit status is that of `status`, whatever the form.
#[test]
fn metrics_tell_each_state() {
    let row = |what: &'static str, login: String, state: &'static str, code: i32| (what, login, state, code);
    let rows = [
        row("ok", Session::new("a").json(), "ok", 0),
        row("expiring", token_only(86_400), "expiring", 0),
        row("expired", token_only(-60), "expired", 1),
        row("invalid", "{}".to_owned(), "invalid", 1),
    ];
    for (what, login, state, code) in rows {
        let sandbox = Sandbox::new();
        let run = sandbox.raw(["status", "--openmetrics", "--agent", "claude"]);
        let outcome = run.env("CLAUDE_CREDENTIALS", login).run().code(code);
        let parsed = parsed(&outcome);
        if !parsed.is_null() {
            assert_eq!(states(&parsed), [format!("claude={state}")], "{what}\n{outcome}");
        }
    }
}

#[test]
fn without_an_agent_metrics_are_empty_and_valid() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.raw(["status", "--openmetrics"]).run().code(1);
    assert_eq!(outcome.stdout, "# EOF\n");
    parsed(&outcome);
}

/// What a container published, and that it could not, is known while it runs, afterwards, and to its next start.
#[test]
fn metrics_count_what_was_published_and_what_was_not() {
    needs_root!();
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    let mut gate = sandbox.gate("gate");
    let run = || {
        let run = sandbox.claude("say ready; hold \"$1\"; refresh b 4102531200000; hold \"$1\"");
        run.arguments([sandbox.text("gate")]).options(["--user", "1000"])
    };
    let metrics = || sandbox.raw(["status", "--openmetrics", "--agent", "claude", "--user", "1000"]);
    let await_result = |result: &str| {
        let result = format!("\"last\": \"{result}\"");
        await_path(&sandbox.path("state"), &result, || sandbox.read("state/state.json").contains(&result));
    };
    let began = from_now(0);

    let live = ready(&sandbox, run().bind_read_only(sandbox.path("capture"), sandbox.path("capture")));
    gate.open();
    await_result("failed");
    let inside = ["nsenter".to_owned(), "-a".to_owned(), "-t".to_owned(), live.pid().to_string()];
    let failing = parsed(&metrics().through(inside).run().code(1));
    gate.open();
    live.wait();
    let ended = parsed(&metrics().run());
    sandbox.give("capture", 1000);
    let live = ready(&sandbox, run().pid1());
    await_result("published");
    let inside = ["nsenter".to_owned(), "-a".to_owned(), "-t".to_owned(), live.pid().to_string()];
    let published = parsed(&metrics().through(inside).run().ok());
    gate.open();
    gate.open();
    live.wait();
    if failing.is_null() {
        return;
    }
    let failures = "agent_init_publish_failures";
    let last_publish = "agent_init_last_publish_timestamp_seconds";
    assert_eq!(states(&failing), ["claude=unsaved"]);
    assert_eq!((of_claude(&failing, failures), of_claude(&failing, last_publish)), (Some(1.0), None));
    assert_eq!((of_claude(&ended, failures), of_claude(&ended, last_publish)), (Some(1.0), None));
    assert_eq!(states(&published), ["claude=ok"]);
    assert_eq!(of_claude(&published, failures), Some(1.0));
    #[allow(clippy::cast_precision_loss, reason = "a time of this century")]
    let began = began as f64;
    assert!(of_claude(&published, last_publish).unwrap() >= began, "{published}");
}

/// Whoever reads metrics learns neither whose login it is nor where it is.
#[test]
fn metrics_name_agents_and_nothing_else() {
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    sandbox.write("capture/claude/.claude.json", r#"{"oauthAccount":{"emailAddress":"FAKE-user@example.com"}}"#);
    let run = sandbox.raw(["status", "--openmetrics"]).env("CODEX_CREDENTIALS", codex_auth("FAKE"));
    let outcome = run.env("GH_TOKEN", "FAKE-token").env("ANTHROPIC_AUTH_TOKEN", "").run().ok();
    outcome.prints(&["agent=\"claude\"", "agent=\"codex\""]).prints_no(&[
        "FAKE",
        "example.com",
        "Claude Code",
        &sandbox.text("capture"),
    ]);
}
