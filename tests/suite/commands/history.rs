//! `history`: who refreshed, saved, adopted or lost a login, and when.

use serde_json::{Value, json};

use super::{captured, ready};
use crate::support::{Outcome, Run, Sandbox, Session, await_path, codex_auth};

const FILE: &str = "capture/claude/.agent-init/history.jsonl";

/// What `history` answers in another container that uses the same capture.
fn asked(store: &Sandbox, words: &[&str]) -> Outcome {
    let words = ["history"].iter().chain(words).copied();
    Sandbox::new().raw(words).env("AGENT_INIT_CAPTURE", store.text("capture")).run()
}

fn events(store: &Sandbox, words: &[&str]) -> Vec<Value> {
    let outcome = asked(store, &[&["--json"], words].concat()).code(0);
    outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// As `run published login > login`.
fn kinds(events: &[Value]) -> Vec<String> {
    let version = |digest: &Value| if digest.is_string() { "login" } else { "none" };
    let kind = |event: &Value| {
        let (command, word) = (event["command"].as_str().unwrap(), event["event"].as_str().unwrap());
        format!("{command} {word} {} > {}", version(&event["before"]), version(&event["after"]))
    };
    events.iter().map(kind).collect()
}

fn on(store: &Sandbox, sandbox: &Sandbox, script: &str) -> Run {
    sandbox.claude(script).env("AGENT_INIT_CAPTURE", store.text("capture"))
}

#[test]
fn every_container_of_a_login_is_named() {
    let store = Sandbox::new();
    captured(&store, &Session::new("a"));
    let (other, mut gate) = (Sandbox::new(), store.gate("gate"));
    let live = ready(&other, on(&store, &other, &format!("say ready; hold '{gate}'; blank; hold '{gate}'")));
    on(&store, &Sandbox::new(), "refresh b").run().ok();
    let directory = store.path("capture/claude/.agent-init");
    let has = |count: usize| events(&store, &[]).len() == count;
    await_path(&directory, "an adopted login", || has(2));
    gate.open();
    await_path(&directory, "a lost login", || has(3));
    let seen = events(&store, &[]);
    let expected = ["run published login > login", "run adopted login > login", "run logged-out login > none"];
    assert_eq!(kinds(&seen), expected);
    // Both hold the same versions of the login, and the second container lost what it had adopted.
    assert_eq!((&seen[0]["before"], &seen[0]["after"]), (&seen[1]["before"], &seen[1]["after"]));
    assert_eq!(seen[1]["after"], seen[2]["before"]);
    assert_ne!(seen[0]["run"], seen[1]["run"]);
    assert_eq!(seen[1]["run"], seen[2]["run"]);
    for event in &seen {
        assert_eq!((&event["v"], &event["agent"]), (&json!(1), &json!("claude")));
        assert!(humantime::parse_rfc3339(event["at"].as_str().unwrap()).is_ok(), "{event}");
        assert!(!event["container"].as_str().unwrap().is_empty(), "{event}");
    }
    assert!(!store.read(FILE).contains("FAKE"), "{}", store.read(FILE));
    // In the container itself, it is the login of the run there.
    let here = other.raw(["history", "--json"]).env("AGENT_INIT_CAPTURE", "/nosuch").run().code(0);
    assert_eq!(here.stdout.lines().count(), 3, "{here}");
    gate.open();
    live.wait().ok();
}

#[test]
fn a_timeline_is_for_people() {
    let store = Sandbox::new();
    captured(&store, &Session::new("a"));
    on(&store, &Sandbox::new(), "refresh b").run().ok();
    let outcome = asked(&store, &[]).code(0).prints(&["History of the Claude Code login", "UTC", "published"]);
    let line = outcome.stdout.lines().find(|line| line.contains("published")).unwrap();
    assert!(line.starts_with("20") && line.contains(" > ") && line.contains("(run "), "{line}");
    // Another user's account is not shown, and nothing of the login.
    assert!(!outcome.stdout.contains("FAKE"), "{outcome}");
}

#[test]
fn agents_of_a_flat_capture_are_told_apart() {
    let store = Sandbox::new();
    store.write("capture/.credentials.json", Session::new("a").json());
    store.write("capture/auth.json", codex_auth("a"));
    on(&store, &Sandbox::new(), "refresh b").run().ok();
    assert_eq!(kinds(&events(&store, &["--agent", "claude"])), ["run published login > login"]);
    asked(&store, &["--agent", "codex"]).code(1).prints(&["No events yet"]);
    assert_eq!(asked(&store, &["--agent", "codex", "--json"]).code(1).stdout, "");
}

#[test]
fn nothing_to_look_at_is_said() {
    let empty = Sandbox::new();
    asked(&empty, &[]).code(1).prints(&["--capture"]);
    captured(&empty, &Session::new("a"));
    asked(&empty, &[]).code(1).prints(&["No events yet"]);
    asked(&empty, &["--agent", "nosuch"]).code(125);
}

#[test]
fn what_others_wrote_into_the_file_is_left_out() {
    let store = Sandbox::new();
    captured(&store, &Session::new("a"));
    on(&store, &Sandbox::new(), "refresh b").run().ok();
    let whole = store.read(FILE);
    let forged = whole.replace("published", "a\\u001b[2Jb");
    store.write(FILE, format!("{whole}not JSON\n{{}}\n{forged}{}", &whole[..30]));
    let outcome = asked(&store, &[]).code(0).warns_once(&["damaged lines are left out: 3"]);
    assert!(!outcome.stdout.contains('\u{1b}') && outcome.stdout.contains("published"), "{outcome}");
    // A run goes on as if the file was not there.
    std::fs::remove_file(store.path(FILE)).unwrap();
    std::fs::create_dir(store.path(FILE)).unwrap();
    on(&store, &Sandbox::new(), "refresh c").run().ok().quiet();
    asked(&store, &[]).code(1).warns_once(&["cannot be read", "directory"]);
}
