//! Pure. Our own state, what earlier runs left, and the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::doctor::finding::{Finding, shown};
use crate::doctor::input::{DoctorInput, InspectedPath, PathRole};
use crate::fs::directories;
use crate::sys::stat::Kind;

/// 2025-01-01, before any release of this program.
const EPOCH: Duration = Duration::from_secs(1_735_689_600);
/// Clocks of two machines may differ by so much.
const SKEW: Duration = Duration::from_secs(300);

/// A state directory that is not ours alone.
pub fn state_directory(inspected: &InspectedPath, around: &DoctorInput) -> Option<Finding> {
    // While a run is under way it is that run's, and a command beside it may be another user's.
    let found = inspected.found.filter(|_| inspected.role == PathRole::State && !around.is_running)?;
    let uid = around.current.0;
    let why = match directories::why_not_ours(&found.stat(), uid) {
        None if found.kind == Kind::Directory => return None,
        None => "is not a directory".to_owned(),
        // A start closes it.
        Some(_) if found.uid == uid && directories::is_named_ours(&inspected.path) && inspected.is_empty => {
            return None;
        }
        Some(why) => why,
    };
    Some(Finding::problem(
        "state-directory",
        shown(&inspected.path),
        format!("it {why}"),
        directories::make_it_ours(&inspected.path, uid),
    ))
}

/// A login that a store refused.
pub fn recovery(inspected: &InspectedPath, around: &DoctorInput) -> Option<Finding> {
    inspected.found.filter(|_| inspected.role == PathRole::Recovery && !around.is_running)?;
    let what = "a refreshed login is kept there that the capture refused: what is stored is spent";
    let fix = "make the capture writable and start this container again: it is published then";
    Some(Finding::problem("recovery", shown(&inspected.path), what, fix))
}

/// Logins that lost.
pub fn conflicts(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    let matters = matches!(inspected.role, PathRole::Capture | PathRole::State | PathRole::WorkingCopy)
        && inspected.conflicts > 0;
    let directory = match inspected.role {
        PathRole::State => inspected.path.join("conflicts"),
        _ => inspected.path.join(".agent-init/conflicts"),
    };
    let what = match inspected.conflicts {
        1 => "a login is kept there that lost to another".to_owned(),
        count => format!("{count} logins are kept there that lost to another"),
    };
    let fix = "remove them once the login in use is the one that you want";
    matters.then(|| Finding::note("conflicts", shown(&directory), what, fix))
}

/// What stands where the agent makes its lock: a file delays it, and so does a lock of ours that outlived a killed run.
pub fn refresh_lock(inspected: &InspectedPath, around: &DoctorInput) -> Option<Finding> {
    let found = inspected.found.filter(|_| inspected.role == PathRole::RefreshLock)?;
    let fix = format!("remove it: rm -r {}", inspected.path.display());
    if found.kind != Kind::Directory {
        let what = "the agent locks there while it refreshes, by a directory: this is none, and delays each refresh";
        return Some(Finding::problem("refresh-lock", shown(&inspected.path), what, fix));
    }
    let is_stuck = found.modified.duration_since(around.now).is_ok_and(|ahead| ahead > SKEW);
    if !is_stuck || around.is_running {
        return None;
    }
    let what = "a lock of an earlier run that was killed: the agent cannot refresh until it is gone";
    Some(Finding::problem("refresh-lock", shown(&inspected.path), what, fix))
}

/// A clock that no expiry can be judged by.
pub fn clock(around: &DoctorInput) -> Vec<Finding> {
    let fix = "set the machine's clock (NTP): agents refresh by it, and vendors refuse requests from another time";
    let shown_now = humantime::format_rfc3339_seconds(around.now.max(UNIX_EPOCH)).to_string();
    if around.now.duration_since(UNIX_EPOCH).is_ok_and(|since| since < EPOCH) {
        let what = format!("it says {shown_now}: every token looks good for years");
        return vec![Finding::problem("clock", "clock", what, fix)];
    }
    let stored = around
        .inspected_paths
        .iter()
        .filter(|inspected| matches!(inspected.role, PathRole::CapturedLogin | PathRole::PlacedLogin));
    let ahead = |at: SystemTime| at.duration_since(around.now).is_ok_and(|ahead| ahead > SKEW);
    let newest = stored.filter(|inspected| inspected.found.is_some_and(|found| ahead(found.modified)));
    newest
        .map(|inspected| {
            let what = format!("it says {shown_now}, and {} was written later than that", inspected.path.display());
            Finding::problem("clock", "clock", what, fix)
        })
        .collect()
}
