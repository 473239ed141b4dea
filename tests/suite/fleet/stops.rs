//! Ends in the middle of a refresh. New tokens that the vendor has sent and nobody has stored are gone: the old refresh
//! token is spent. So a stop waits for an answer under way, and what no program can save is told and repaired by one login.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::LONG;
use super::members::{Fleet, Way};
use crate::support::{TOKEN, Vendor, await_path, needs_root, text};

/// docker kills 10 s after the stop signal.
const DOCKERS_PATIENCE: Duration = Duration::from_secs(10);

/// One container whose agent waits for new tokens.
fn refreshing(vendor: Vendor) -> Fleet {
    let mut fleet = Fleet::start(Way::Live, vendor, 1, LONG);
    fleet.age();
    fleet.ask();
    fleet.vendor.request(TOKEN);
    fleet
}

#[test]
fn a_stop_waits_for_the_answer() {
    needs_root!();
    let vendor = Vendor::strict();
    vendor.ask("set?delay_token=2");
    let mut fleet = refreshing(vendor);
    let member = fleet.members.remove(0);
    member.live.stop();
    let outcome = member.live.wait().code(143);
    // What is stored is what the vendor gave: its refresh token works.
    fleet.vendor.ask("set?delay_token=0");
    fleet.age();
    fleet.join();
    let turn = fleet.ask();
    assert_eq!(fleet.failures(turn), [""; 0], "{outcome}");
    assert_eq!(fleet.refreshes(), ["200 granted"; 2]);
}

#[test]
fn a_stop_waits_a_bounded_time() {
    needs_root!();
    let vendor = Vendor::strict();
    vendor.ask(&format!("hold?path={TOKEN}"));
    let mut fleet = refreshing(vendor);
    let member = fleet.members.remove(0);
    let asked = Instant::now();
    member.live.stop();
    member.live.wait().code(143);
    assert!(asked.elapsed() < DOCKERS_PATIENCE, "{:?}", asked.elapsed());
}

/// The vendor has spent the refresh token and the answer died with its container. By the vendor's rules nobody can
/// refresh any more; all else is up to us: the capture stays whole, the others are told, and one new login repairs all.
#[test]
fn one_new_login_repairs_a_token_lost_with_its_container() {
    needs_root!();
    let vendor = Vendor::strict();
    vendor.ask(&format!("hold?path={TOKEN}"));
    let mut fleet = Fleet::start(Way::Live, vendor, 3, LONG);
    fleet.age();
    let stored = std::fs::read_to_string(fleet.captured()).unwrap();
    fleet.ask_one(0);
    fleet.vendor.request(TOKEN);
    drop(fleet.members.remove(0));
    fleet.vendor.ask("release");

    let turn = fleet.ask();
    let failures = fleet.failures(turn);
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert_eq!(std::fs::read_to_string(fleet.captured()).unwrap(), stored);
    for member in &mut fleet.members {
        member.live.message("blank or gone");
    }

    let login = fleet.vendor.login("claude", 3600);
    let access = text(&serde_json::from_str::<Value>(&login).unwrap()["claudeAiOauth"]["accessToken"]);
    let temporary = fleet.captured().with_file_name("new");
    std::fs::write(&temporary, login).unwrap();
    std::fs::rename(temporary, fleet.captured()).unwrap();
    for member in &fleet.members {
        let file = member.working();
        let has_it = || std::fs::read_to_string(&file).is_ok_and(|text| text.contains(&access));
        await_path(file.parent().unwrap(), "the new login", has_it);
    }
    let turn = fleet.ask();
    assert_eq!(fleet.failures(turn), [""; 0]);
}
