//! `serve`: what `run` does, without a COMMAND.

use super::{await_agent, captured, only};
use crate::support::{Live, Outcome, Run, Sandbox, Session, await_path, needs_root};

fn serving(sandbox: &Sandbox, run: Run) -> Live {
    let live = run.start();
    await_agent(sandbox);
    live
}

/// What `docker exec` does.
fn beside(sandbox: &Sandbox, live: &Live, words: &[&str]) -> Outcome {
    let run = sandbox.raw(words.iter().copied()).env("HOME", "/root");
    run.through(["nsenter".to_owned(), "-a".to_owned(), "-t".to_owned(), live.pid().to_string()]).run()
}

#[test]
fn what_starts_beside_it_has_the_login_and_its_refresh_is_published() {
    needs_root!();
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    let live = serving(&sandbox, sandbox.raw(["serve", "--agent", "claude", "--user", "node"]).pid1());
    beside(&sandbox, &live, &["exec", "--", "claude", "cat \"$F\"; id -un"]).ok().prints(&["FAKE-access-a", "node"]);
    beside(&sandbox, &live, &["exec", "--", "claude", "refresh b"]).ok();
    let is_published = || sandbox.read("capture/claude/.credentials.json").contains("FAKE-access-b");
    await_path(&sandbox.path("capture/claude"), "the refreshed login", is_published);
    live.signal(15);
    live.wait().ok();
}

#[test]
fn what_another_container_refreshes_is_adopted() {
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    let live = serving(&sandbox, sandbox.raw(["serve", "--agent", "claude"]));
    captured(&sandbox, &Session::new("b"));
    let is_adopted = || sandbox.read("home/.claude/.credentials.json").contains("FAKE-access-b");
    await_path(&sandbox.path("home/.claude"), "the login of the other container", is_adopted);
    live.signal(15);
    live.wait().ok();
}

#[test]
fn status_and_healthcheck_answer_as_beside_an_agent() {
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    let live = serving(&sandbox, sandbox.raw(["serve", "--agent", "claude"]));
    sandbox.raw(["healthcheck"]).run().ok().quiet();
    let status = sandbox.raw(["status", "--json"]).run().ok();
    assert_eq!(only(&status)["state"], "ok", "{status}");
    live.signal(15);
    live.wait().ok();
    sandbox.raw(["healthcheck"]).run().code(1).says(&["has ended"]);
}

/// Also at once after the start, when nothing waits for the signal yet.
#[test]
fn a_signal_that_ends_a_service_ends_it_with_success() {
    let rows =
        [("HUP", 1, None), ("INT", 2, None), ("QUIT", 3, None), ("TERM", 15, None), ("custom", 37, Some("RTMIN+3"))];
    for (name, number, stop_signal) in rows {
        let sandbox = Sandbox::new();
        captured(&sandbox, &Session::new("a"));
        let run = sandbox.raw(["serve", "--agent", "claude"]);
        let run = match stop_signal {
            Some(signal) => run.env("AGENT_INIT_STOP_SIGNAL", signal),
            None => run,
        };
        let live = serving(&sandbox, run);
        live.signal(number);
        let outcome = live.wait();
        assert_eq!(outcome.code, Some(0), "{name}: {outcome}");
    }
}

#[test]
fn signals_that_end_nothing_are_ignored() {
    let sandbox = Sandbox::new();
    captured(&sandbox, &Session::new("a"));
    let live = serving(&sandbox, sandbox.raw(["serve", "--agent", "claude"]));
    for number in [17, 18, 23, 28] {
        live.signal(number);
    }
    sandbox.raw(["healthcheck"]).run().ok();
    live.signal(15);
    live.wait().ok();
}

#[test]
fn words_and_a_login_that_is_missing_are_refused_as_by_run() {
    let sandbox = Sandbox::new();
    sandbox.raw(["serve", "claude"]).run().code(125).says(&["unexpected word 'claude'", "agent-init serve [OPTIONS]"]);
    sandbox.raw(["serve", "--agent", "claude", "--require"]).run().code(125).refuses(&["claude"]);
}
