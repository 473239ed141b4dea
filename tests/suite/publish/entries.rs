//! Logins to MCP servers, which the agent keeps beside its own: each is merged on its own.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{ANSWER, Gate, Live, Sandbox, Session, StandIn, Vendor, await_path, needs_root};

const STORED: &str = "capture/claude/.credentials.json";
const WORKING: &str = "home/.claude/.credentials.json";

/// A login to a server. A higher number is a later refresh.
fn entry(number: u64) -> Value {
    json!({
        "serverName": "server", "serverUrl": "https://mcp.example", "clientId": "id",
        "accessToken": format!("FAKE-mcp-access-{number}"), "refreshToken": format!("FAKE-mcp-refresh-{number}"),
        "expiresAt": 4_102_444_800_000_u64 + number
    })
}

fn blank() -> Value {
    json!({ "serverName": "server", "serverUrl": "https://mcp.example", "accessToken": "", "discoveryState": {} })
}

fn login(name: &str, servers: &Value) -> String {
    let mut login = Session::new(name).value();
    login["mcpOAuth"] = servers.clone();
    login.to_string()
}

/// The servers in a login file.
fn servers(file: &Path) -> Value {
    let text = fs::read_to_string(file).unwrap_or_default();
    serde_json::from_str::<Value>(&text).unwrap_or_default()["mcpOAuth"].clone()
}

fn await_servers(file: &Path, expected: &Value) {
    await_path(file.parent().unwrap(), &format!("{expected}"), || servers(file) == *expected);
}

/// Changes a file as the agent does: reads it, writes another beside it, and renames that.
fn change(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut login: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    change(&mut login);
    let temporary = file.with_extension("tmp.1");
    fs::write(&temporary, login.to_string()).unwrap();
    fs::rename(temporary, file).unwrap();
}

/// A capture of a login with these servers.
fn captured(servers: &Value) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &login("a", servers));
    sandbox
}

/// A container with a HOME of its own, whose agent waits.
struct Container {
    sandbox: Sandbox,
    live: Live,
    gate: Gate,
}

impl Container {
    fn start(capture: &Sandbox, options: &[&str]) -> Self {
        Self::start_in(Sandbox::new(), ("AGENT_INIT_CAPTURE", capture.text("capture")), options)
    }

    fn start_in(sandbox: Sandbox, (variable, store): (&str, String), options: &[&str]) -> Self {
        let gate = sandbox.gate("gate");
        let run = sandbox.claude(&format!("say ready; hold '{gate}'")).unset("AGENT_INIT_CAPTURE");
        let mut live = run.options(options.iter().copied()).env(variable, store).start();
        live.line("ready");
        Self { sandbox, live, gate }
    }

    fn set(&self, server: &str, entry: Value) {
        change(&self.sandbox.path(WORKING), |login| login["mcpOAuth"][server] = entry);
    }

    fn await_servers(&self, expected: &Value) {
        await_servers(&self.sandbox.path(WORKING), expected);
    }

    fn end(mut self) -> Sandbox {
        self.gate.open();
        // Two containers that do not take turns are warned of; nothing else may be.
        self.live.wait().ok().says_no(&["cannot", "not saved", "conflicts"]).repeats_nothing();
        self.sandbox
    }
}

#[test]
fn two_containers_that_log_in_to_different_servers_both_have_both_logins() {
    let capture = captured(&json!({ "old": entry(1) }));
    let [one, other] = [(); 2].map(|()| Container::start(&capture, &[]));
    one.await_servers(&json!({ "old": entry(1) }));
    one.set("one", entry(1));
    other.set("other", entry(2));
    let all = json!({ "old": entry(1), "one": entry(1), "other": entry(2) });
    for container in [&one, &other] {
        container.await_servers(&all);
    }
    await_servers(&capture.path(STORED), &all);
    for container in [one, other] {
        assert_eq!(servers(&container.end().path(WORKING)), all);
    }
    assert_eq!(servers(&capture.path(STORED)), all);
}

#[test]
fn what_is_synced_at_the_end_only_is_merged_too() {
    let capture = captured(&json!({ "old": entry(1) }));
    let [one, other] = [(); 2].map(|()| Container::start(&capture, &["--sync", "exit"]));
    one.set("one", entry(1));
    other.set("other", entry(2));
    other.set("old", entry(2));
    one.end();
    assert_eq!(servers(&capture.path(STORED)), json!({ "old": entry(1), "one": entry(1) }));
    let all = json!({ "old": entry(2), "one": entry(1), "other": entry(2) });
    assert_eq!(servers(&other.end().path(WORKING)), all);
    assert_eq!(servers(&capture.path(STORED)), all);
    // A fresh container has them from the start.
    let fresh = Container::start(&capture, &[]);
    assert_eq!(servers(&fresh.sandbox.path(WORKING)), all);
    fresh.end();
}

#[test]
fn a_refreshed_entry_is_adopted_while_another_is_refreshed_and_the_login_too() {
    let capture = captured(&json!({ "x": entry(1), "y": entry(1) }));
    let [one, other] = [(); 2].map(|()| Container::start(&capture, &[]));
    for number in 2..12 {
        one.set("x", entry(number));
        change(&other.sandbox.path(WORKING), |login| {
            login["mcpOAuth"]["y"] = entry(number);
            login["claudeAiOauth"] = Session::new(&number.to_string()).value()["claudeAiOauth"].clone();
        });
        let both = json!({ "x": entry(number), "y": entry(number) });
        one.await_servers(&both);
        other.await_servers(&both);
        await_servers(&capture.path(STORED), &both);
        assert!(one.sandbox.read(WORKING).contains(&format!("FAKE-refresh-{number}\"")));
    }
    one.end();
    other.end();
}

#[test]
fn a_removed_entry_is_removed_everywhere_and_a_blank_one_nowhere() {
    let capture = captured(&json!({ "x": entry(1), "y": entry(1), "z": entry(1) }));
    let [one, other] = [(); 2].map(|()| Container::start(&capture, &[]));
    change(&one.sandbox.path(WORKING), |login| {
        login["mcpOAuth"].as_object_mut().unwrap().remove("x");
        login["mcpOAuth"]["y"] = blank();
    });
    other.await_servers(&json!({ "y": entry(1), "z": entry(1) }));
    // The one that the server refused is replaced by the next refresh only.
    assert_eq!(servers(&one.sandbox.path(WORKING)), json!({ "y": blank(), "z": entry(1) }));
    other.set("y", entry(2));
    one.await_servers(&json!({ "y": entry(2), "z": entry(1) }));
    // A file that is written anew says nothing about them.
    fs::write(one.sandbox.path(WORKING), Session::new("b").json()).unwrap();
    one.await_servers(&json!({ "y": entry(2), "z": entry(1) }));
    assert_eq!(servers(&capture.path(STORED)), json!({ "y": entry(2), "z": entry(1) }));
    one.end();
    other.end();
}

/// The capture may be the config directory of an agent of the host.
#[test]
fn what_somebody_else_writes_in_the_capture_is_adopted() {
    let capture = captured(&json!({}));
    let container = Container::start(&capture, &[]);
    change(&capture.path(STORED), |login| login["mcpOAuth"]["host"] = entry(1));
    container.await_servers(&json!({ "host": entry(1) }));
    container.set("own", entry(1));
    let both = json!({ "host": entry(1), "own": entry(1) });
    await_servers(&capture.path(STORED), &both);
    container.end();
    assert_eq!(servers(&capture.path(STORED)), both);
}

#[test]
fn a_follower_has_entries_without_refresh_tokens_and_publishes_none() {
    let followed = |number| {
        let mut entry = entry(number);
        entry.as_object_mut().unwrap().remove("refreshToken");
        entry
    };
    let capture = captured(&json!({ "x": entry(1) }));
    let follower = Container::start(&capture, &["--auth", "follow"]);
    assert_eq!(servers(&follower.sandbox.path(WORKING)), json!({ "x": followed(1) }));
    follower.set("own", entry(1));
    change(&capture.path(STORED), |login| login["mcpOAuth"]["x"] = entry(2));
    follower.await_servers(&json!({ "x": followed(2), "own": entry(1) }));
    follower.end();
    assert_eq!(servers(&capture.path(STORED)), json!({ "x": entry(2) }));
}

#[test]
fn entries_are_merged_in_a_store_behind_a_helper() {
    let directory = Sandbox::new();
    let store = StandIn::new(directory.mkdir("store"));
    store.seed(&login("a", &json!({ "old": entry(1) })));
    let start = || {
        let store = ("AGENT_INIT_STORE", store.spec());
        Container::start_in(Sandbox::new(), store, &["--sync", "exit"])
    };
    let [one, other] = [start(), start()];
    one.set("one", entry(1));
    other.set("other", entry(1));
    one.end();
    other.end();
    let all = json!({ "old": entry(1), "one": entry(1), "other": entry(1) });
    let fresh = start();
    assert_eq!(servers(&fresh.sandbox.path(WORKING)), all);
    fresh.end();
}

/// agent-init may be killed before it could publish. The next start of the container merges what is in the working copy.
#[test]
fn an_entry_that_a_killed_run_left_is_published_by_the_next_start() {
    let capture = captured(&json!({ "old": entry(1), "gone": entry(1) }));
    let mut container = Container::start(&capture, &["--sync", "exit"]);
    change(&container.sandbox.path(WORKING), |login| {
        login["mcpOAuth"] = json!({ "old": entry(2), "own": entry(1) });
    });
    container.live.signal(9);
    container.gate.open();
    container.live.wait();
    fs::remove_file(container.sandbox.path("gate")).unwrap();
    change(&capture.path(STORED), |login| login["mcpOAuth"]["other"] = entry(1));
    let all = json!({ "old": entry(2), "own": entry(1), "other": entry(1) });
    let next = Container::start_in(container.sandbox, ("AGENT_INIT_CAPTURE", capture.text("capture")), &[]);
    await_servers(&capture.path(STORED), &all);
    next.await_servers(&all);
    next.end();
}

/// What could not be stored is kept, and what is in the capture is adopted all the same.
#[test]
fn an_entry_that_cannot_be_stored_is_kept() {
    needs_root!();
    let capture = captured(&json!({ "x": entry(1) }));
    let run = capture.claude("replace \"$1\"").arguments([login("a", &json!({ "x": entry(2) }))]).pid1();
    let run = run.bind_read_only(capture.path("capture"), capture.path("capture"));
    run.run().ok().says(&["the login in", "was not saved"]);
    let kept = capture.path("state/recovery/claude/.credentials.json");
    assert_eq!(servers(&kept), json!({ "x": entry(2) }));
    assert_eq!(servers(&capture.path(STORED)), json!({ "x": entry(1) }));
    // The next start publishes it, also if the working copy was lost.
    fs::remove_file(capture.path(WORKING)).unwrap();
    capture.claude(":").run().ok();
    assert_eq!(servers(&capture.path(STORED)), json!({ "x": entry(2) }));
    assert!(!kept.exists());
}

/// Where the stand-in MCP server refreshes, and where it is.
const MCP_TOKEN: &str = "/mcp/token";
const MCP: &str = "/mcp";

/// The real Claude Code: the first container refreshes the login to a server, whose refresh tokens work once. The next
/// one has the new login, and a follower has it without its refresh token.
#[test]
fn the_real_claude_hands_a_refreshed_mcp_login_on() {
    needs_root!();
    for version in ["bin", "claude-latest/node_modules/.bin"] {
        let (capture, vendor) = (Sandbox::new(), Vendor::strict());
        let mut login: Value = serde_json::from_str(&vendor.login("claude", 3600)).unwrap();
        login["mcpOAuth"] = serde_json::from_str(&vendor.login("mcp", -60)).unwrap();
        capture.captured("claude", ".credentials.json", &login.to_string());
        let config = r#"{"mcpServers":{"fake":{"type":"http","url":"https://mcp.example/mcp"}}}"#;
        // Claude Code may end before it has connected, so the answer waits for that. Returns the login to the server.
        let turn = |mode: &str| {
            let sandbox = Sandbox::new();
            let path = format!("{}:/usr/local/bin:/usr/bin:/bin", sandbox.text(&format!("agents/{version}")));
            let run = vendor.run(&sandbox, &["claude", "-p", "hello", "--mcp-config", config]).env("PATH", path);
            vendor.ask("hold?path=/v1/messages");
            let before = vendor.requests(MCP).len();
            let run = run.env("AGENT_INIT_CAPTURE", capture.text("capture")).env("AGENT_INIT_AUTH", mode);
            let live = run.start();
            vendor.ask(&format!("wait?path={MCP}&count={}", before + 1));
            vendor.ask("release");
            live.wait().ok().prints(&[ANSWER]);
            let servers = servers(&sandbox.path(WORKING));
            servers.as_object().unwrap().values().next().unwrap().clone()
        };
        let refreshed = turn("sync");
        assert_eq!(servers(&capture.path(STORED)).as_object().unwrap().values().next(), Some(&refreshed), "{version}");
        assert_eq!(turn("sync"), refreshed, "{version}");
        let followed = turn("follow");
        assert_eq!(followed["accessToken"], refreshed["accessToken"], "{version}");
        assert_eq!(followed["refreshToken"], Value::Null, "{version}");
        // Every request had the new access token, and there was one refresh.
        for bearer in vendor.sent(MCP, "bearer") {
            assert_eq!(refreshed["accessToken"], bearer, "{version}");
        }
        assert_eq!(vendor.requests(MCP_TOKEN).len(), 1, "{version}");
    }
}
