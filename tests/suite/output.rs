//! What is written, and what becomes of it where nobody reads, where the agent stops it, and where data is not just text.

use std::time::{Duration, Instant};

use crate::support::{Outcome, Run, Sandbox, Session, Tracer, await_path, needs_root};

const KINDS: [&str; 4] = ["terminal", "pipe", "socket", "file"];

/// A run as PID 1 whose standard error is of this kind, and both of its ends the agent's.
fn agent(sandbox: &Sandbox, kind: &str, mode: &str, gate: &str) -> Run {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/support/stderr.py");
    let capture = sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    let words = ["-v", "--agent", "claude", "--grace", "3s", "--", "python3", "-B", script, "agent", kind, mode, gate];
    sandbox
        .raw(words)
        .arguments([capture.display().to_string()])
        .through(["python3", "-B", script, "start", kind])
        .pid1()
}

/// Between a look at the descriptor and a write to it there are 20 ms, and the agent stops it in one moment after another.
#[test]
fn a_reader_that_stops_reading_holds_nothing_up() {
    needs_root!();
    for kind in KINDS {
        let sandbox = Sandbox::new();
        let mut gate = sandbox.gate("gate");
        let mut live = agent(&sandbox, kind, "race", &gate.to_string()).start();
        live.line("ready");
        let tracer = Tracer::attached(live.pid(), "write:delay_enter=20000");
        gate.open();
        assert_eq!(live.line("").trim(), "stopped", "{kind}");
        let begin = Instant::now();
        live.stop();
        live.wait().code(128 + 9);
        assert!(begin.elapsed() < Duration::from_secs(20), "{kind}: {:?}", begin.elapsed());
        drop(tracer);
    }
}

#[test]
fn output_that_does_not_fit_is_written_later() {
    needs_root!();
    for kind in KINDS {
        let sandbox = Sandbox::new();
        let mut gate = sandbox.gate("gate");
        let mut live = agent(&sandbox, kind, "later", &gate.to_string()).start();
        live.line("ready");
        gate.open();
        assert_eq!(live.line(""), "came", "{kind}");
        // Standard error is stopped again: the exit status is the agent's all the same.
        live.wait().code(7);
    }
}

/// The text of a defect has a line and a column, which the agent chooses.
#[test]
fn an_agent_cannot_flood_the_log_with_variants_of_a_message() {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    let script = "B=; for N in 1 2 3 4 5 6; do B=\"$B \"; replace \"$B{x\"; \
                  until grep -q FAKE-access-a \"$F\"; do sleep 0.05; done; done";
    let outcome = sandbox.claude(script).run().ok();
    let about: Vec<&str> = outcome.warnings().into_iter().filter(|line| line.contains("is not saved")).collect();
    assert_eq!(about.len(), 2, "{outcome}");
    assert!(about[0].contains("column") && !about[0].contains("repeated"), "{outcome}");
    assert!(about[1].ends_with("; repeated 5 times"), "{outcome}");
}

/// A helper's last words and its exit status are its own to choose.
#[test]
fn a_store_cannot_flood_the_log_with_variants_of_a_message() {
    let sandbox = Sandbox::new();
    let helper = sandbox.path("bin/helper");
    let text = "#!/bin/sh\nN=$(cat \"$0.n\" 2>/dev/null || echo 0); echo $((N + 1)) >\"$0.n\"\n\
                [ \"$1\" != get ] || exec echo '{\"v\":1,\"found\":false}'\necho \"words $N\" >&2; exit $((N + 1))\n";
    // Another process writes it: a thread of ours that forks meanwhile would hold it open for writing.
    let write = ["-euc", "printf %s \"$2\" >\"$1\"; chmod 755 \"$1\"", "sh", helper.to_str().unwrap(), text];
    assert!(std::process::Command::new("sh").args(write).status().unwrap().success());
    let script = "for N in 1 2 3 4 5 6; do B=$(cat \"$1.n\"); refresh $N; until [ $(cat \"$1.n\") -gt $B ]; do sleep 0.05; done; done";
    let run = sandbox.claude(script).arguments([helper.display().to_string()]);
    let run = run.options(["--store", &format!("exec:{}", helper.display())]).unset("AGENT_INIT_CAPTURE");
    let outcome = run.env("CLAUDE_CREDENTIALS_B64", Session::new("a").b64()).run().ok();
    let said = outcome.warnings().into_iter().filter(|line| line.contains("cannot save the login"));
    assert_eq!(said.filter(|line| !line.contains("; repeated ")).count(), 1, "{outcome}");
}

/// Each kind of message has a word of its own in JSON, and the agent that it is about.
#[test]
fn every_log_line_is_json_with_its_event_and_agent() {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    let script = "refresh b; until grep -q FAKE-access-b \"$1\"; do sleep 0.05; done; blank; sleep 0.2";
    let run = sandbox.claude(script).arguments([sandbox.text("capture/claude/.credentials.json")]);
    let outcome = run.options(["--log-format", "json", "-v"]).env("AGENT_INIT_NOSUCH", "1").run().ok();
    let lines: Vec<serde_json::Value> = outcome
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    for (event, level, agent) in [
        ("unknown-variable", "warning", None),
        ("auth", "notice", Some("claude")),
        ("published", "detail", Some("claude")),
        ("logged-out", "warning", Some("claude")),
    ] {
        let found = lines.iter().find(|line| line["event"] == event);
        let found = found.unwrap_or_else(|| panic!("no {event}\n{outcome}"));
        assert_eq!((found["level"].as_str(), found["agent"].as_str()), (Some(level), agent), "{found}");
    }
    let refused = sandbox.raw(["--log-format=json", "--user=nosuch", "--", "true"]).run().code(125);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&refused.stderr).unwrap()["event"], "failed", "{refused}");
}

/// Control, line and paragraph separators, and marks of direction.
const BAD: &str = "a\u{1b}[31m\u{7f}\u{85}\u{9b}31m\u{202e}\u{2066}\u{2028}\u{2029}\u{200f}\u{61c}\u{feff}\u{e0041}b";

fn is_bad(c: char) -> bool {
    c != '\n' && (c.is_control() || BAD.contains(c) && !c.is_ascii())
}

#[track_caller]
fn is_clean(outcome: &Outcome) {
    for text in [&outcome.stdout, &outcome.stderr] {
        assert!(!text.contains(is_bad), "{text:?}");
    }
}

/// What names paths and people is data. It comes out in every form of every answer.
#[test]
fn control_sequences_in_data_are_not_written_to_the_terminal() {
    let sandbox = Sandbox::new();
    let at = format!("capture/{BAD}/claude");
    let file = sandbox.write(&format!("{at}/.credentials.json"), Session::new("a").json());
    sandbox.chmod(&at, 0o700);
    let account = serde_json::json!({ "oauthAccount": { "emailAddress": format!("me@{BAD}") } });
    sandbox.write(&format!("{at}/.claude.json"), account.to_string());
    let capture = sandbox.text(&format!("capture/{BAD}"));
    let with = |run: Run| run.env("AGENT_INIT_CAPTURE", &capture).env("ANTHROPIC_API_KEY", "FAKE-key");
    for run in [sandbox.claude("blank; sleep 0.3"), sandbox.claude("blank; sleep 0.3").options(["--log-format=json"])] {
        let outcome = with(run.options(["--prefer=session", "-v"])).run().ok();
        is_clean(&outcome);
        assert!(outcome.stderr.contains("me@a"), "{outcome}");
    }
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    for words in [
        &["status"][..],
        &["status", "--json"],
        &["status", "--openmetrics"],
        &["plan", "--prefer=session", "--", "claude"],
        &["plan", "--prefer=session", "--json", "--", "claude"],
        &["doctor"],
        &["doctor", "--json"],
        &["agents", BAD],
        &["healthcheck", &format!("--state-dir=/{BAD}")],
        &["install", &format!("/{BAD}/{BAD}")],
        &["completions", BAD],
        &["exec", &format!("--state-dir=/{BAD}"), "--", BAD],
        &["--user", BAD, "--", "true"],
        &[&format!("--{BAD}")],
        &["--", BAD],
    ] {
        for format in ["text", "json"] {
            let run = sandbox.raw(words.iter().copied()).env("AGENT_INIT_LOG_FORMAT", format);
            let outcome = with(run).run();
            is_clean(&outcome);
            assert!(!(outcome.stdout + &outcome.stderr).is_empty(), "{words:?}");
        }
    }
    let told = with(sandbox.raw(["status", "--json"])).unset("ANTHROPIC_API_KEY").run().json();
    assert_eq!(told["agents"][0]["account"], format!("me@{BAD}"), "{told}");
}

/// What `setup` says to a person, at a terminal.
#[test]
fn setup_writes_no_control_sequences_from_data() {
    let sandbox = Sandbox::new();
    let mut pty = crate::support::Pty::new();
    let at = sandbox.mkdir(&format!("logins/{BAD}"));
    let run =
        sandbox.raw(["setup", "--agent", "claude", "--capture", at.to_str().unwrap(), "--", "claude", "refresh b"]);
    let live = pty.leads(run.env("TERM", "dumb")).start();
    pty.shows("captured the login");
    live.wait().ok();
    let shown = pty.all();
    assert!(!shown.replace('\r', "").contains(is_bad), "{shown:?}");
}

/// The last publish failed: every command that judges says so.
#[test]
fn a_login_that_could_not_be_saved_is_reported_as_unsaved() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    for directory in ["capture", "home"] {
        sandbox.give(directory, 1000);
    }
    let mut gate = sandbox.gate("gate");
    let run = sandbox.claude("say ready; hold \"$1\"; refresh b; hold \"$1\"").arguments([gate.to_string()]);
    let run = run.options(["--user", "1000"]).bind_read_only(sandbox.path("capture"), sandbox.path("capture"));
    let mut live = run.start();
    live.line("ready");
    gate.open();
    await_path(&sandbox.path("state"), "the refusal", || sandbox.read("state/state.json").contains("failed"));
    let inside = ["nsenter".to_owned(), "-a".to_owned(), "-t".to_owned(), live.pid().to_string()];
    let ask = |words: &[&str]| sandbox.raw(words.iter().copied()).through(inside.clone()).run();
    let why = "unsaved: the last publish failed";
    let shown = "; the refreshed login is not saved";
    ask(&["status"]).code(1).prints(&["! Claude Code   logged in", shown, "the last publish failed"]);
    ask(&["status", "--agent", "claude", "--short"]).code(1).prints(&[shown]);
    let json = ask(&["status", "--json"]).code(1).json();
    assert_eq!(json["agents"][0]["state"], "unsaved", "{json}");
    ask(&["healthcheck"]).code(1).says(&[why]);
    ask(&["doctor"]).code(1).prints(&[why]);
    gate.open();
    live.wait();
    // Beside no run it is what was left behind.
    let json = sandbox.raw(["plan", "--json", "--user", "1000", "--", "claude"]).pid1().run().json();
    assert_eq!(json["auth"]["agents"][0]["state"], "unsaved", "{json}");
}
