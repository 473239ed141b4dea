//! Helpers that are killed, asked nonsense, refused by their store, or watched.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::store::{Store, files_below, one, put_request, run, succeed};
use crate::support::base64;

const CANARY: &str = "FAKE-canary-of-the-login";

/// A stand-in for the tool that kills the helper, with all its children, instead of its call number `$KILL_AT`.
const KILLER: &str = r#"#!/bin/sh
set -eu
calls=$(cat "$COUNT")
echo $((calls + 1)) >"$COUNT"
[ "$calls" -lt "$KILL_AT" ] || kill -KILL 0
exec "$TOOL" "$@"
"#;

/// A put that is killed between its steps is stored whole or not at all, and the next one works.
pub fn a_killed_put_is_whole_or_nothing(store: &Store) {
    let agent = "killed";
    let (before, after) = (one("auth.json", "FAKE before"), one("auth.json", "FAKE after"));
    let tool = succeed(store.command("sh").args(["-c", "command -v \"$1\"", "sh", store.tool]));
    let shims = tempfile::tempdir().unwrap();
    let count = shims.path().join("count");
    // Another process writes the executable: a thread of ours that forks meanwhile would hold it open for writing.
    let shim = shims.path().join(store.tool);
    succeed(
        Command::new("sh").args(["-euc", "printf %s \"$2\" >\"$1\"; chmod 755 \"$1\"", "sh"]).arg(&shim).arg(KILLER),
    );

    let mut version = store.put(agent, None, &before).unwrap();
    for calls in 0.. {
        assert!(calls < 20, "{}: a put takes 20 calls", store.name);
        fs::write(&count, "0").unwrap();
        let mut helper = store.helper("put");
        let path = helper.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_os_string();
        let path = format!("{}:{}", shims.path().display(), path.into_string().unwrap());
        helper.envs([("PATH", path.as_str()), ("TOOL", tool.trim_end()), ("KILL_AT", &calls.to_string())]);
        helper.env("COUNT", &count);
        let ended = run(&mut helper, &put_request(agent, Some(&version), &after).to_string());

        let (found, files) = store.get(agent).unwrap();
        if ended.status.success() {
            assert_eq!(files, after);
            assert!(calls > 0, "the tool was never called");
            break;
        }
        println!("{}: killed before call {calls}: stored: {}", store.name, found != version);
        assert_eq!(files, if found == version { before.clone() } else { after.clone() });
        version = store.put(agent, Some(&found), &before).unwrap();
    }
}

/// What is no question is a failure, and says so.
pub fn bad_requests(store: &Store) {
    let good = json!({"v": 1, "agent": "claude"}).to_string();
    let cases = [
        ("get", "", "names no agent"),
        ("get", "no JSON", "no JSON"),
        ("get", "{}", "names no agent"),
        ("get", r#"{"v":1,"agent":"../secrets"}"#, "names no agent"),
        ("put", r#"{"v":1,"agent":"a b"}"#, "names no agent"),
        ("sing", &good, "no such verb: sing"),
    ];
    for (verb, request, expected) in cases {
        let output = run(&mut store.helper(verb), request);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{} {verb} {request}: {output:?}", store.name);
        assert!(said.contains(expected), "{} {verb} {request}: {said}", store.name);
    }

    if let Some(limit) = store.limit {
        let request = put_request("large", None, &one("auth.json", CANARY.repeat(limit / CANARY.len())));
        let output = run(&mut store.helper("put"), &request.to_string());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(&limit.to_string()), "{}: {said}", store.name);
        assert!(!said.contains(CANARY) && !said.contains(&base64(CANARY)), "{}: {said}", store.name);
        assert_eq!(store.get("large"), None);
    }
}

/// A store that refuses us, and programs that are missing, are failures that say why, without a secret.
pub fn bad_surroundings(store: &Store) {
    let verbs: &[&str] = if store.leases { &["get", "put", "lock", "unlock"] } else { &["get", "put"] };
    let mut request = put_request("claude", None, &one("auth.json", CANARY));
    request["owner"] = json!("a");
    request["ttl"] = json!(60);
    let (name, value, reason) = &store.denied;
    let cases = [
        ("denied", *name, value.as_str(), *reason, verbs),
        ("no programs", "PATH", "/nonexistent", "is not installed", &["get"]),
    ];
    for (what, name, value, expected, verbs) in cases {
        for verb in verbs {
            let output = run(store.helper(verb).env(name, value), &request.to_string());
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && output.stdout.is_empty(), "{} {verb}, {what}: {output:?}", store.name);
            assert!(said.contains(expected), "{} {verb}, {what}: {said}", store.name);
            assert!(said.starts_with(store.name) || said.contains(&format!("\n{}", store.name)), "{said}");
            assert!(!said.contains("FAKE") && !said.contains(&base64(CANARY)), "{} {verb}, {what}: {said}", store.name);
        }
    }
}

/// Neither the login nor a key to the store is in an argument of any process, or in a file, on the way.
pub fn secrets_stay_out_of_arguments_and_files(store: &Store) {
    let home = tempfile::tempdir().unwrap();
    let trace = tempfile::NamedTempFile::new().unwrap();
    let mut version: Option<String> = None;
    for verb in ["put", "put", "get"] {
        let helper = store.helper(verb);
        let mut traced = store.command("strace");
        traced.envs(helper.get_envs().filter_map(|(name, value)| Some((name, value?))));
        traced.envs([("HOME", home.path()), ("TMPDIR", home.path())]);
        traced.args(["-f", "-qq", "-s", "1000000", "-e", "trace=execve", "-A", "-o"]).arg(trace.path());
        traced.args(store.words(verb));
        let request = put_request("traced", version.as_deref(), &one("auth.json", CANARY));
        let output = run(&mut traced, &request.to_string());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        version = answer["version"].as_str().map(String::from);
    }

    let traced = fs::read_to_string(trace.path()).unwrap();
    assert!(traced.contains(store.name) && traced.contains(store.tool), "{traced}");
    assert!(!traced.contains(&base64(CANARY)), "{}: the login is in an argument", store.name);
    assert!(!traced.contains("FAKE"), "{}: a secret is in an argument: {traced}", store.name);
    for path in files_below(home.path()) {
        let content = fs::read(&path).unwrap();
        let content = String::from_utf8_lossy(&content);
        assert!(!content.contains("FAKE") && !content.contains(&base64(CANARY)), "{}", path.display());
    }
}
