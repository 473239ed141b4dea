//! Pure. Our own state, what earlier runs left, and the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::doctor::finding::{Finding, shown};
use crate::doctor::input::{Role, Spot, Surroundings};
use crate::fs::directories;
use crate::sys::stat::Kind;

/// 2025-01-01, before any release of this program.
const EPOCH: Duration = Duration::from_secs(1_735_689_600);
/// Clocks of two machines may differ by so much.
const SKEW: Duration = Duration::from_secs(300);

/// A state directory that is not ours alone.
pub fn state_directory(spot: &Spot, around: &Surroundings) -> Option<Finding> {
    // While a run is under way it is that run's, and a command beside it may be another user's.
    let found = spot.found.filter(|_| spot.role == Role::State && !around.is_running)?;
    let uid = around.current.0;
    let why = match directories::why_not_ours(&found.stat(), uid) {
        None if found.kind == Kind::Directory => return None,
        None => "is not a directory".to_owned(),
        // A start closes it.
        Some(_) if found.uid == uid && directories::is_named_ours(&spot.path) && spot.is_empty => return None,
        Some(why) => why,
    };
    Some(Finding::problem(
        "state-directory",
        shown(&spot.path),
        format!("it {why}"),
        directories::make_it_ours(&spot.path, uid),
    ))
}

/// A login that a store refused.
pub fn recovery(spot: &Spot, around: &Surroundings) -> Option<Finding> {
    spot.found.filter(|_| spot.role == Role::Recovery && !around.is_running)?;
    let what = "a refreshed login is kept there that the capture refused: what is stored is spent";
    let fix = "make the capture writable and start this container again: it is published then";
    Some(Finding::problem("recovery", shown(&spot.path), what, fix))
}

/// Logins that lost.
pub fn conflicts(spot: &Spot, _: &Surroundings) -> Option<Finding> {
    let matters = matches!(spot.role, Role::Capture | Role::State | Role::WorkingCopy) && spot.conflicts > 0;
    let directory = match spot.role {
        Role::State => spot.path.join("conflicts"),
        _ => spot.path.join(".agent-init/conflicts"),
    };
    let what = match spot.conflicts {
        1 => "a login is kept there that lost to another".to_owned(),
        count => format!("{count} logins are kept there that lost to another"),
    };
    let fix = "remove them once the login in use is the one that you want";
    matters.then(|| Finding::note("conflicts", shown(&directory), what, fix))
}

/// What stands where the agent makes its lock: a file delays it, and so does a lock of ours that outlived a killed run.
pub fn refresh_lock(spot: &Spot, around: &Surroundings) -> Option<Finding> {
    let found = spot.found.filter(|_| spot.role == Role::RefreshLock)?;
    let fix = format!("remove it: rm -r {}", spot.path.display());
    if found.kind != Kind::Directory {
        let what = "the agent locks there while it refreshes, by a directory: this is none, and delays each refresh";
        return Some(Finding::problem("refresh-lock", shown(&spot.path), what, fix));
    }
    let is_stuck = found.modified.duration_since(around.now).is_ok_and(|ahead| ahead > SKEW);
    if !is_stuck || around.is_running {
        return None;
    }
    let what = "a lock of an earlier run that was killed: the agent can not refresh until it is gone";
    Some(Finding::problem("refresh-lock", shown(&spot.path), what, fix))
}

/// A clock that no expiry can be judged by.
pub fn clock(around: &Surroundings) -> Vec<Finding> {
    let fix = "set the machine's clock (NTP): agents refresh by it, and vendors refuse requests from another time";
    let shown_now = humantime::format_rfc3339_seconds(around.now.max(UNIX_EPOCH)).to_string();
    if around.now.duration_since(UNIX_EPOCH).is_ok_and(|since| since < EPOCH) {
        let what = format!("it says {shown_now}: every token looks good for years");
        return vec![Finding::problem("clock", "clock", what, fix)];
    }
    let stored = around.spots.iter().filter(|spot| matches!(spot.role, Role::CapturedLogin | Role::PlacedLogin));
    let ahead = |at: SystemTime| at.duration_since(around.now).is_ok_and(|ahead| ahead > SKEW);
    let newest = stored.filter(|spot| spot.found.is_some_and(|found| ahead(found.modified)));
    newest
        .map(|spot| {
            let what = format!("it says {shown_now}, and {} was written later than that", spot.path.display());
            Finding::problem("clock", "clock", what, fix)
        })
        .collect()
}
