//! One login in many containers: one refresh a rotation, and nobody logged out.

mod members;
mod real;
mod stops;
mod turns;

use std::time::Duration;

use members::{Fleet, Way};
use nix::sys::signal::Signal;

use crate::support::{Gate, Live, Sandbox, Session, Vendor, await_path, needs_root};

/// Guards against hangs only: a rotation takes about 2 s, because an agent that finds the lock taken looks again after
/// 1 to 2 s.
const LONG: Duration = Duration::from_secs(300);

/// Every rotation all agents want to refresh at once: because their tokens are about to expire, or because the vendor
/// does not take them any more. One container is replaced by a new one each time.
#[test]
fn a_fleet_refreshes_once_a_rotation() {
    needs_root!();
    let mut fleet = Fleet::start(Way::Live, Vendor::strict(), 8, LONG);
    for rotation in 1..=5 {
        if rotation % 2 == 0 {
            fleet.vendor.ask("expire");
        } else {
            fleet.age();
        }
        let turn = fleet.ask();
        assert_eq!(fleet.failures(turn), [""; 0], "rotation {rotation}");
        assert_eq!(fleet.refreshes(), vec!["200 granted"; rotation]);
        fleet.replace(rotation % 8);
    }
    fleet.settle();
    let members = std::mem::take(&mut fleet.members);
    for member in members {
        member.end().1.ok().quiet();
    }
}

/// One rotation after another, by the clock and by the vendor's refusal.
fn rotates(way: Way, rotations: usize) {
    let mut fleet = Fleet::start(way, Vendor::strict(), 4, LONG);
    for rotation in 1..=rotations {
        fleet.age();
        let turn = fleet.ask();
        assert_eq!(fleet.failures(turn), [""; 0], "rotation {rotation}");
        assert_eq!(fleet.refreshes(), vec!["200 granted"; rotation]);
    }
    for member in std::mem::take(&mut fleet.members) {
        member.end().1.ok();
    }
}

/// The host's own agent has the capture as its config directory and knows nothing of agent-init.
#[test]
fn a_host_and_its_containers_refresh_once_a_rotation() {
    needs_root!();
    let mut fleet = Fleet::start(Way::Live, Vendor::strict(), 4, LONG);
    fleet.join_host();
    for rotation in 1..=6 {
        if rotation % 2 == 0 {
            fleet.vendor.ask("expire");
        } else {
            fleet.age();
        }
        let turn = fleet.ask();
        assert_eq!(fleet.failures(turn), [""; 0], "rotation {rotation}");
        assert_eq!(fleet.refreshes(), vec!["200 granted"; rotation], "rotation {rotation}");
    }
    fleet.members.pop().unwrap().end();
    fleet.settle();
    assert!(!fleet.captured().with_file_name(".oauth_refresh.lock").exists());
    for member in std::mem::take(&mut fleet.members) {
        member.end().1.ok().quiet();
    }
}

/// The real Claude Code refreshes for a keeper, and stand-in agents follow: none of them asks for tokens, and no turn fails.
#[test]
fn a_keeper_refreshes_for_its_followers() {
    needs_root!();
    let mut fleet = Fleet::start(Way::Follow, Vendor::strict(), 4, LONG);
    let keeper = Sandbox::new();
    for rotation in 1..=3 {
        fleet.vendor.ask("expire");
        fleet.keep(&keeper);
        let stored = Fleet::access(fleet.captured());
        for member in &fleet.members {
            let has_it = || Fleet::access(member.working()) == stored;
            await_path(member.working().parent().unwrap(), "the kept login", has_it);
            assert!(!std::fs::read_to_string(member.working()).unwrap().contains("refreshToken"));
        }
        let turn = fleet.ask();
        assert_eq!(fleet.failures(turn), [""; 0], "rotation {rotation}");
        assert_eq!(fleet.refreshes(), vec!["200 granted"; rotation], "rotation {rotation}");
    }
    for member in std::mem::take(&mut fleet.members) {
        member.end().1.ok().quiet();
    }
}

/// On a network file system: what another machine writes makes no event, and locks hold for all.
#[test]
fn machines_that_share_a_capture_refresh_once_a_rotation() {
    needs_root!();
    rotates(Way::Machines, 2);
}

#[test]
fn machines_that_share_a_store_refresh_once_a_rotation() {
    needs_root!();
    rotates(Way::Store, 2);
}

/// A container on the capture of `store` whose agent does nothing.
fn idle(sandbox: &Sandbox, store: &Sandbox) -> (Live, Gate) {
    let never = sandbox.gate("never");
    let run = sandbox.claude(&format!("say ready; hold '{never}'")).env("AGENT_INIT_CAPTURE", store.text("capture"));
    let mut live = run.start();
    live.line("ready");
    (live, never)
}

/// An agent that tries again shows its intent for a millisecond: that it came and that it went may be read at once.
#[test]
fn an_intent_that_is_gone_again_gets_its_turn() {
    let store = Sandbox::new();
    store.captured("claude", ".credentials.json", &Session::new("a").json());
    let sandboxes = [Sandbox::new(), Sandbox::new()];
    let running = sandboxes.each_ref().map(|sandbox| idle(sandbox, &store));
    for (sandbox, (live, _never)) in sandboxes.iter().zip(&running) {
        let intent = sandbox.path("home/.claude/.oauth_refresh.lock");
        live.signal(Signal::SIGSTOP as i32);
        std::fs::create_dir(&intent).unwrap();
        std::fs::remove_dir(&intent).unwrap();
        live.signal(Signal::SIGCONT as i32);
        let is_shut = || sandbox.exists("home/.claude.lock");
        await_path(&sandbox.path("home"), "an open lock", || !is_shut());
        // No refresh follows; the next one's turn comes.
        await_path(&sandbox.path("home"), "a lock that is shut again", is_shut);
    }
}

/// Killed before its request is sent: the refresh token is unspent, and the next one refreshes.
#[test]
fn the_others_go_on_when_the_container_whose_turn_it_is_is_killed() {
    needs_root!();
    let mut fleet = Fleet::start(Way::Live, Vendor::strict(), 4, LONG);
    fleet.age();
    fleet.stall(0);
    let victim = fleet.members.remove(0);
    let turn = fleet.ask();
    // The others are at it, and the victim has the lease.
    drop(victim);
    assert_eq!(fleet.failures(turn), [""; 0]);
    assert_eq!(fleet.refreshes(), ["200 granted"]);
}
