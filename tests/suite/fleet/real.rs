//! Real agents that take a turn at once on one login that is about to expire.

use super::LONG;
use crate::support::{ANSWER, CODEX_TOKEN, NODE, Run, Sandbox, TOKEN, Vendor, needs_root};

/// Starts each run before it waits for the first.
fn all(runs: Vec<Run>) {
    let live: Vec<_> = runs.into_iter().map(|run| run.limit(LONG).start()).collect();
    for run in live {
        run.wait().ok().prints(&[ANSWER]).quiet();
    }
}

#[test]
fn four_claudes_send_one_request() {
    needs_root!();
    let (store, vendor) = (Sandbox::new(), Vendor::strict());
    store.captured("claude", ".credentials.json", &vendor.login("claude", 60));
    let sandboxes: Vec<_> = (0..4).map(|_| Sandbox::new()).collect();
    let run =
        |sandbox| vendor.run(sandbox, &["claude", "-p", "hello"]).env("AGENT_INIT_CAPTURE", store.text("capture"));
    all(sandboxes.iter().map(run).collect());
    assert_eq!(vendor.requests(TOKEN).len(), 1);
}

/// Four containers on a login that has expired, while the vendor takes its time. The newest Claude Code gives a turn up
/// as soon as the lock that it waits for has not moved for 7.5 s; an older one takes over a lock that is older than 10 s.
fn a_slow_vendor_fails_no_turn(directory: &str) {
    for seconds in [12, 20, 26] {
        let (store, vendor) = (Sandbox::new(), Vendor::strict());
        vendor.ask(&format!("set?delay_token={seconds}"));
        store.captured("claude", ".credentials.json", &vendor.login("claude", 1));
        let sandboxes: Vec<_> = (0..4).map(|_| Sandbox::new()).collect();
        let run = |sandbox: &Sandbox| {
            let path = format!("{}:/usr/local/bin:/usr/bin:/bin", sandbox.text(&format!("agents/{directory}")));
            let run = vendor.run(sandbox, &["claude", "-p", "hello"]).env("PATH", path);
            // An agent's patience is measured, and not how busy the machine is with other tests.
            run.through(["nice", "-n", "-10"]).env("AGENT_INIT_CAPTURE", store.text("capture"))
        };
        let live: Vec<_> = sandboxes.iter().map(|sandbox| run(sandbox).limit(LONG).start()).collect();
        for run in live {
            run.wait().ok().prints(&[ANSWER]);
        }
        assert_eq!(vendor.requests(TOKEN).len(), 1, "{seconds} s");
    }
}

#[test]
fn four_claudes_wait_for_a_slow_vendor() {
    needs_root!();
    a_slow_vendor_fails_no_turn("bin");
}

#[test]
fn four_of_the_newest_claudes_wait_for_a_slow_vendor() {
    needs_root!();
    a_slow_vendor_fails_no_turn("claude-latest/node_modules/.bin");
}

/// A number of the environment: the whole measurement takes minutes.
fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// A person's own Claude Code, whose config directory the capture is, and containers that share it. All take a turn at
/// once when the login is about to expire, and whenever the vendor has revoked the access token. For the whole
/// measurement: `AGENT_INIT_TEST_ROTATIONS=11 AGENT_INIT_TEST_CONTAINERS=10`.
fn a_host_and_containers_share_a_login(bin: &str) {
    let (rotations, containers) = (number("AGENT_INIT_TEST_ROTATIONS", 3), number("AGENT_INIT_TEST_CONTAINERS", 2));
    let (store, vendor) = (Sandbox::new(), Vendor::strict());
    store.captured("claude", ".credentials.json", &vendor.login("claude", 60));
    store.give("capture", NODE);
    store.give("home", NODE);
    let home = store.text("capture/claude");
    let sandboxes: Vec<_> = (0..containers).map(|_| Sandbox::new()).collect();
    let container = |sandbox| {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", Sandbox::text(sandbox, &format!("agents/{bin}")));
        let run = vendor.run(sandbox, &["claude", "-p", "hello"]).env("PATH", path);
        run.env("AGENT_INIT_CAPTURE", store.text("capture"))
    };
    for rotation in 1..=rotations {
        let host = vendor.host(&store, bin, &home, &["claude", "-p", "hello"]);
        all(sandboxes.iter().map(container).chain([host]).collect());
        assert_eq!(vendor.requests(TOKEN).len(), rotation, "rotation {rotation}");
        vendor.ask("expire");
    }
}

#[test]
fn a_host_s_claude_and_containers_send_one_request_a_rotation() {
    needs_root!();
    a_host_and_containers_share_a_login("bin");
}

#[test]
fn a_host_s_newest_claude_and_containers_send_one_request_a_rotation() {
    needs_root!();
    a_host_and_containers_share_a_login("claude-latest/node_modules/.bin");
}

/// Codex takes no lock: the second request may come before the new login is adopted, and is refused. Codex then finds
/// the newer login in its file and goes on.
#[test]
fn two_codexes_both_answer() {
    needs_root!();
    let (store, vendor) = (Sandbox::new(), Vendor::start());
    store.captured("codex", "auth.json", &vendor.login("codex", 60));
    let sandboxes = [Sandbox::new(), Sandbox::new()];
    let run = |sandbox| vendor.codex(sandbox).env("AGENT_INIT_CAPTURE", store.text("capture"));
    all(sandboxes.iter().map(run).collect());
    assert!((1..=2).contains(&vendor.requests(CODEX_TOKEN).len()));
    // What is stored works.
    vendor.ask("expire");
    all(vec![run(&sandboxes[0])]);
}
