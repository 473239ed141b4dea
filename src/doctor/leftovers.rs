//! Pure. Checks the state directory, what earlier runs left, and the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::doctor::finding::{Finding, shown};
use crate::doctor::input::{DoctorInput, InspectedPath, PathRole};
use crate::fs::directories;
use crate::sys::stat::Kind;

/// 2025-01-01, before any release of this program.
const RELEASE: Duration = Duration::from_secs(1_735_689_600);
/// How far the clocks of two machines may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// A state directory that other users can change.
pub fn state_directory(inspected: &InspectedPath, input: &DoctorInput) -> Option<Finding> {
    // A running agent-init owns it, and this command may run as another user.
    let found = inspected.found.filter(|_| inspected.role == PathRole::State && !input.is_running)?;
    let uid = input.current.0;
    let why = match directories::why_not_ours(&found.stat(), uid) {
        None if found.kind == Kind::Directory => return None,
        None => "is not a directory".to_owned(),
        // A start closes it to others.
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
pub fn recovery(inspected: &InspectedPath, input: &DoctorInput) -> Option<Finding> {
    inspected.found.filter(|_| inspected.role == PathRole::Recovery && !input.is_running)?;
    let what = "it holds a refreshed login that the capture refused: the stored login is spent";
    let fix = "make the capture writable and start this container again, which publishes the login";
    Some(Finding::problem("recovery", shown(&inspected.path), what, fix))
}

/// Logins that lost to another one.
pub fn conflicts(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    let matters = matches!(inspected.role, PathRole::Capture | PathRole::State | PathRole::WorkingCopy)
        && inspected.conflicts > 0;
    let directory = match inspected.role {
        PathRole::State => inspected.path.join("conflicts"),
        _ => inspected.path.join(".agent-init/conflicts"),
    };
    let what = match inspected.conflicts {
        1 => "it holds a login that lost to another one".to_owned(),
        count => format!("it holds {count} logins that lost to another one"),
    };
    let fix = "remove them if the login in use is the one that you want";
    matters.then(|| Finding::note("conflicts", shown(&directory), what, fix))
}

/// An obstacle where the agent makes its lock: a file, or a lock that agent-init left when it was killed.
pub fn refresh_lock(inspected: &InspectedPath, input: &DoctorInput) -> Option<Finding> {
    let found = inspected.found.filter(|_| inspected.role == PathRole::RefreshLock)?;
    let fix = format!("remove it: rm -r {}", inspected.path.display());
    if found.kind != Kind::Directory {
        let what = "it is not a directory: the agent makes its lock directory there, so each refresh is delayed";
        return Some(Finding::problem("refresh-lock", shown(&inspected.path), what, fix));
    }
    let is_stuck = found.modified.duration_since(input.now).is_ok_and(|ahead| ahead > CLOCK_SKEW);
    if !is_stuck || input.is_running {
        return None;
    }
    let what = "it is the lock of a run that was killed: the agent cannot refresh until it is removed";
    Some(Finding::problem("refresh-lock", shown(&inspected.path), what, fix))
}

/// A clock that is wrong, so that no expiry can be judged.
pub fn clock(input: &DoctorInput) -> Vec<Finding> {
    let fix = "set the clock of the machine (NTP): agents refresh by it, and vendors refuse requests with a wrong time";
    let shown_now = humantime::format_rfc3339_seconds(input.now.max(UNIX_EPOCH)).to_string();
    if input.now.duration_since(UNIX_EPOCH).is_ok_and(|since| since < RELEASE) {
        let what = format!("it says {shown_now}, which is in the past: expired tokens look valid");
        return vec![Finding::problem("clock", "clock", what, fix)];
    }
    let stored = input
        .inspected_paths
        .iter()
        .filter(|inspected| matches!(inspected.role, PathRole::CapturedLogin | PathRole::ConfigDirLogin));
    let ahead = |at: SystemTime| at.duration_since(input.now).is_ok_and(|ahead| ahead > CLOCK_SKEW);
    let newest = stored.filter(|inspected| inspected.found.is_some_and(|found| ahead(found.modified)));
    newest
        .map(|inspected| {
            let what = format!("it says {shown_now}, but {} was written later", inspected.path.display());
            Finding::problem("clock", "clock", what, fix)
        })
        .collect()
}
