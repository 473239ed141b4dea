//! Stop signals, and kills of the keeper while the agent's command goes on.

use super::{STORED, captured, keeper, name_of, requests};
use crate::support::{Sandbox, await_path, needs_root};

/// Waits at a gate in the middle of a request: the vendor has spent the old token, and has not answered yet.
fn slow(sandbox: &Sandbox) -> String {
    super::REFRESH.replace("refresh \"${name}x\"", &format!("hold {}\n\trefresh \"${{name}}x\"", sandbox.text("gate")))
}

fn await_request(sandbox: &Sandbox) {
    await_path(&sandbox.path("vendor"), "a request", || {
        sandbox.exists("vendor/name") && sandbox.read("vendor/name") == "ax\n"
    });
}

#[test]
fn a_stop_waits_for_the_answer_and_publishes() {
    needs_root!();
    for is_pid1 in [false, true] {
        let sandbox = captured(60);
        let mut gate = sandbox.gate("gate");
        let run = keeper(&sandbox, &slow(&sandbox)).arguments(["--grace", "50s"]);
        let mut live = if is_pid1 { run.pid1() } else { run }.start();
        live.message("will be refreshed at ");
        await_request(&sandbox);
        live.stop();
        gate.open();
        live.wait().ok().says(&["claude: refreshed the login in "]).quiet();
        assert_eq!((name_of(&sandbox.read(STORED)).as_str(), requests(&sandbox).len()), ("ax", 1));
    }
}

#[test]
fn a_stop_of_an_idle_keeper_is_immediate() {
    for signal in [1, 2, 3, 15] {
        let sandbox = captured(3600);
        let mut live = keeper(&sandbox, super::REFRESH).start();
        live.message("will be refreshed at ");
        live.signal(signal);
        live.wait().ok().quiet();
    }
}

#[test]
fn the_stop_signal_can_be_chosen() {
    let sandbox = captured(3600);
    let mut live = keeper(&sandbox, super::REFRESH).arguments(["--stop-signal", "USR1"]).start();
    live.message("will be refreshed at ");
    live.signal(10);
    live.wait().ok().quiet();
}

/// The keeper ends before the answer comes, by its grace, a second signal or a kill. The command goes on, and the next
/// keeper waits for it and publishes what it left, without a second request.
#[test]
fn the_answer_that_comes_after_the_keeper_ended_is_published_by_the_next() {
    struct Row {
        what: &'static str,
        end: fn(&crate::support::Live),
        code: Option<i32>,
    }
    let rows = [
        Row { what: "the grace is over", end: crate::support::Live::stop, code: Some(0) },
        Row {
            what: "a second signal",
            end: |live| {
                live.stop();
                live.stop();
            },
            code: Some(0),
        },
        Row { what: "killed", end: |live| live.signal(9), code: None },
    ];
    for Row { what, end, code } in rows {
        let sandbox = captured(60);
        let mut gate = sandbox.gate("gate");
        let mut live = keeper(&sandbox, &slow(&sandbox)).arguments(["--grace", "2s"]).start();
        live.message("will be refreshed at ");
        await_request(&sandbox);
        end(&live);
        let outcome = live.wait();
        assert_eq!(outcome.code, code, "{what}: {outcome}");
        assert_eq!(name_of(&sandbox.read(STORED)), "a", "{what}");
        let mut next = keeper(&sandbox, &slow(&sandbox)).start();
        next.message("will be refreshed at ");
        gate.open();
        next.message("claude: refreshed the login in ");
        next.stop();
        next.wait().ok();
        assert_eq!((name_of(&sandbox.read(STORED)).as_str(), requests(&sandbox).len()), ("ax", 1), "{what}");
    }
}

/// A login that was replaced in the meantime is not undone by an answer that comes late.
#[test]
fn a_late_answer_does_not_replace_a_new_login() {
    let sandbox = captured(60);
    let mut gate = sandbox.gate("gate");
    let mut live = keeper(&sandbox, &slow(&sandbox)).start();
    live.message("will be refreshed at ");
    await_request(&sandbox);
    live.signal(9);
    live.wait();
    gate.open();
    let copy = "state/keep/refresh/claude";
    await_path(&sandbox.path(copy), "an answer", || {
        sandbox.read(&format!("{copy}/.credentials.json")).contains("FAKE-refresh-ax")
    });
    sandbox.captured("claude", ".credentials.json", &crate::support::Session::new("b").json());
    keeper(&sandbox, super::REFRESH).arguments(["--once"]).run().ok();
    assert_eq!((name_of(&sandbox.read(STORED)).as_str(), requests(&sandbox).len()), ("b", 1));
    let kept = std::fs::read_dir(sandbox.path("capture/claude/.agent-init/conflicts")).unwrap();
    assert_eq!(kept.count(), 1);
}
