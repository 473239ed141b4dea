//! Followers: agents that use a captured login without its refresh token, while somebody else refreshes it.

use std::fs;

use crate::support::{
    ANSWER, CODEX_TOKEN, Gate, Live, NODE, Sandbox, Session, TOKEN, Vendor, agents, await_path, needs_root,
};

const FILE: &str = "home/.claude/.credentials.json";

fn captured() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("a").json());
    sandbox
}

/// Somebody replaces the captured login.
fn replace(sandbox: &Sandbox, file: &str, content: &str) {
    sandbox.write("new", content);
    fs::rename(sandbox.path("new"), sandbox.path(file)).unwrap();
}

/// A follower whose agent waits.
fn waiting(sandbox: &Sandbox) -> (Live, Gate) {
    let gate = sandbox.gate("gate");
    let script = format!("say ready; hold '{gate}'; seen");
    let mut live = sandbox.claude(&script).env("AGENT_INIT_AUTH", "follow").start();
    live.line("ready");
    (live, gate)
}

#[test]
fn a_follower_has_no_refresh_token_and_adopts_what_is_captured() {
    let sandbox = captured();
    let (live, mut gate) = waiting(&sandbox);
    let working = || sandbox.read(FILE);
    assert!(working().contains("FAKE-access-a") && !working().contains("refresh"), "{}", working());
    replace(&sandbox, "capture/claude/.credentials.json", &Session::new("b").json());
    await_path(&sandbox.path("home/.claude"), "the new login", || working().contains("FAKE-access-b"));
    assert!(!working().contains("refresh"), "{}", working());
    gate.open();
    let outcome = live.wait().ok().quiet().says(&["claude auth: subscription login (follow)"]);
    assert!(outcome.variable("FILE").is_some_and(|file| file.contains("FAKE-access-b")), "{outcome}");
    assert!(sandbox.read("capture/claude/.credentials.json").contains("FAKE-refresh-b"));
}

/// Whatever an agent writes in its file, the capture stays as it is.
#[test]
fn a_follower_publishes_nothing() {
    for script in ["refresh x", "blank", "torn", "rm \"$F\"", "login x >\"$F\"; refresh y"] {
        let sandbox = captured();
        sandbox.claude(script).env("AGENT_INIT_AUTH", "follow").run().ok();
        assert_eq!(sandbox.read("capture/claude/.credentials.json"), Session::new("a").json(), "{script}");
        assert!(!sandbox.exists("capture/claude/.agent-init/conflicts"), "{script}");
    }
}

/// The refresh token is nowhere where an agent of another user could read it, nor in what agent-init writes.
#[test]
fn a_hostile_follower_finds_no_refresh_token() {
    needs_root!();
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("canary").json());
    sandbox.give("home", NODE);
    // Not found in its own command line.
    let look = format!(
        "grep -rsl FAKE-refresh-[c]anary '{}' /run /dev/shm; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | \
         tr '\\0' '\\n' | grep FAKE-refresh-[c]anary; say looked",
        sandbox.text("")
    );
    let run = sandbox.claude(&look).options(["--user", "node"]).env("AGENT_INIT_AUTH", "follow").pid1();
    let outcome = run.run().ok().prints(&["looked"]);
    assert_eq!(outcome.stdout.lines().collect::<Vec<_>>(), ["looked"], "{outcome}");
}

#[test]
fn a_read_only_capture_is_enough() {
    needs_root!();
    let sandbox = captured();
    let run = sandbox.claude("seen").env("AGENT_INIT_AUTH", "follow").env("AGENT_INIT_REQUIRE", "1").pid1();
    let outcome = run.bind_read_only(sandbox.path("capture"), sandbox.path("capture")).run().ok().quiet();
    assert!(outcome.variable("FILE").is_some_and(|file| file.contains("FAKE-access-a")), "{outcome}");
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let refused = |sandbox: &Sandbox, run: crate::support::Run, named: &[&str]| {
        run.run().refuses(named).says(&["\n  hint: "]);
        assert!(!sandbox.exists(FILE));
    };
    let sandbox = Sandbox::new();
    let follow = |sandbox: &Sandbox| sandbox.claude("say started").env("AGENT_INIT_AUTH", "follow");
    let run = follow(&sandbox).unset("AGENT_INIT_CAPTURE").env("CLAUDE_CREDENTIALS", Session::new("a").json());
    refused(&sandbox, run, &["--auth follow", "capture"]);
    let run = sandbox.raw(["--auth", "qwen=follow", "--agent", "qwen", "--", "true"]);
    refused(&sandbox, run, &["--auth follow", "Qwen"]);
    // A login in a variable is nobody's to refresh.
    let run = follow(&sandbox).env("CLAUDE_CREDENTIALS", Session::new("a").json()).env("AGENT_INIT_REQUIRE", "1");
    refused(&sandbox, run, &["no usable credential"]);
}

#[test]
fn a_login_that_nobody_refreshes_is_a_warning() {
    let sandbox = Sandbox::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let soon = Session::new("a").expires_ms((now.as_secs() + 600) * 1000).json();
    sandbox.captured("claude", ".credentials.json", &soon);
    sandbox.claude("true").env("AGENT_INIT_AUTH", "follow").run().ok().warns_once(&["no keeper", "access token"]);
}

/// Real agents: the vendor is asked for new tokens by nobody, and a replaced login is used by the next turn.
#[test]
fn real_agents_follow_without_asking_for_tokens() {
    needs_root!();
    // Their installation may take longer than the login lives.
    agents();
    for version in ["bin", "claude-latest/node_modules/.bin"] {
        let (sandbox, vendor) = (Sandbox::new(), Vendor::strict());
        let turn = || {
            let path = format!("{}:/usr/local/bin:/usr/bin:/bin", sandbox.text(&format!("agents/{version}")));
            let run = vendor.run(&sandbox, &["claude", "-p", "hello"]).env("PATH", path);
            run.env("AGENT_INIT_AUTH", "follow").run()
        };
        // It expires soon, and is used all the same.
        sandbox.captured("claude", ".credentials.json", &vendor.login("claude", 100));
        turn().ok().prints(&[ANSWER]);
        replace(&sandbox, "capture/claude/.credentials.json", &vendor.login("claude", 3600));
        turn().ok().prints(&[ANSWER]);
        assert!(vendor.requests(TOKEN).is_empty(), "{version}");
    }
    let (sandbox, vendor) = (Sandbox::new(), Vendor::start());
    sandbox.captured("codex", "auth.json", &vendor.login("codex", 100));
    vendor.codex(&sandbox).env("AGENT_INIT_AUTH", "follow").run().ok().prints(&[ANSWER]);
    replace(&sandbox, "capture/codex/auth.json", &vendor.login("codex", 3600));
    vendor.codex(&sandbox).env("AGENT_INIT_AUTH", "follow").run().ok().prints(&[ANSWER]);
    assert!(vendor.requests(CODEX_TOKEN).is_empty());
}
