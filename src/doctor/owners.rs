//! Pure. Owners and modes against who reads and writes.

use crate::account::Identity;
use crate::doctor::finding::{Finding, shown};
use crate::doctor::input::{DoctorInput, InspectedPath, PathRole};
use crate::facts::config_dir::may_use;
use crate::sys::stat::Kind;
use crate::words::access_beside_owner;

fn is_read_only(inspected: &InspectedPath) -> bool {
    inspected.on.as_ref().is_some_and(|mount| mount.read_only)
}

/// A capture, or what is mounted in an agent's place, that we cannot look into.
pub fn capture_closed(inspected: &InspectedPath, around: &DoctorInput) -> Option<Finding> {
    let is_source =
        inspected.role == PathRole::Capture || (inspected.role == PathRole::Place && inspected.mount.is_some());
    let found = inspected.found.filter(|found| is_source && found.kind == Kind::Directory && !inspected.readable)?;
    let what = format!(
        "uid {} may not look into it: it belongs to {}:{}, mode {:o}",
        around.current.0, found.uid, found.gid, found.mode
    );
    Some(Finding::problem("capture-closed", shown(&inspected.path), what, open_fix(around, &shown(&inspected.path))))
}

/// A login that we cannot read, in a directory that we can look into.
pub fn login_closed(inspected: &InspectedPath, around: &DoctorInput) -> Option<Finding> {
    let is_login = matches!(inspected.role, PathRole::CapturedLogin | PathRole::PlacedLogin) && !around.is_running;
    let found = inspected.found.filter(|found| is_login && found.kind == Kind::File && !inspected.readable)?;
    let what = format!(
        "uid {} may not read it: it belongs to {}:{}, mode {:o}",
        around.current.0, found.uid, found.gid, found.mode
    );
    let directory = inspected.path.parent().map(shown).unwrap_or_default();
    Some(Finding::problem("login-closed", shown(&inspected.path), what, open_fix(around, &directory)))
}

/// A capture that we can look into and not write to.
pub fn capture_of_another(inspected: &InspectedPath, around: &DoctorInput) -> Option<Finding> {
    let found = inspected.found.filter(|found| inspected.role == PathRole::Capture && found.kind == Kind::Directory)?;
    if !inspected.readable || inspected.writable || is_read_only(inspected) {
        return None;
    }
    let what = format!(
        "uid {} may not write to it (it belongs to {}:{}, mode {:o}): refreshed logins cannot be stored",
        around.current.0, found.uid, found.gid, found.mode
    );
    Some(Finding::problem(
        "capture-not-writable",
        shown(&inspected.path),
        what,
        open_fix(around, &shown(&inspected.path)),
    ))
}

fn open_fix(around: &DoctorInput, path: &str) -> String {
    if around.current.0 == 0 {
        "give the container the capabilities DAC_OVERRIDE and CHOWN (docker: --cap-add, compose: cap_add)".to_owned()
    } else {
        format!(
            "give what is mounted there to this user, on the host: chown -R {} HOSTDIR (here {path})",
            around.current.0
        )
    }
}

/// A stored login that is open to the group or to others.
pub fn open_to_others(inspected: &InspectedPath, around: &DoctorInput) -> Option<Finding> {
    // A running agent writes its own as it likes, in a directory that is closed to others.
    let is_login = match inspected.role {
        PathRole::CapturedLogin | PathRole::Recovery => true,
        PathRole::PlacedLogin => !around.is_running,
        _ => false,
    };
    let found = inspected.found.filter(|found| is_login && found.kind == Kind::File)?;
    let what = format!("it is a login, and its mode is {:o}: {}", found.mode, access_beside_owner(found.mode)?);
    Some(Finding::problem(
        "open-to-others",
        shown(&inspected.path),
        what,
        format!("chmod 600 {}", inspected.path.display()),
    ))
}

/// A secret that we cannot read.
pub fn secret_closed(inspected: &InspectedPath, around: &DoctorInput) -> Option<Finding> {
    let is_secret = matches!(inspected.role, PathRole::Secret | PathRole::Named(_));
    let found = inspected.found.filter(|found| is_secret && found.kind == Kind::File && !inspected.readable)?;
    let what = format!(
        "uid {} may not read it: it belongs to {}:{}, mode {:o}",
        around.current.0, found.uid, found.gid, found.mode
    );
    let fix = format!(
        "compose passes the host's owner and mode on, and ignores uid, gid and mode of file secrets: on the host, chown \
         {} its file; or start the container as root, with agent-init's --user",
        around.current.0
    );
    Some(Finding::problem("secret-closed", shown(&inspected.path), what, fix))
}

/// A working directory that the agent cannot write to.
pub fn working_directory_closed(inspected: &InspectedPath, around: &DoctorInput) -> Option<Finding> {
    let found = inspected.found.filter(|_| inspected.role == PathRole::WorkingDirectory && around.agent.0 != 0)?;
    let (uid, gid) = around.agent;
    let agent = Identity { uid, gid, groups: None, home: None, name: None };
    if may_use(&found.stat(), &agent) && !is_read_only(inspected) {
        return None;
    }
    let what = format!(
        "the agent (uid {uid}) starts there and may not write to it: it belongs to {}:{}, mode {:o}",
        found.uid, found.gid, found.mode
    );
    let is_own_layer = inspected.on.as_ref().is_none_or(|mount| mount.point.as_os_str() == "/");
    let fix = if is_own_layer {
        "start it where the agent may write: docker run -w DIR (its home, or a workspace that is mounted with -v)"
            .to_owned()
    } else if found.uid == 0 {
        format!("give what is mounted there to the agent, on the host: chown -R {uid} HOSTDIR")
    } else {
        format!("--user-from {} runs the agent as its owner", inspected.path.display())
    };
    Some(Finding::note("working-directory-closed", shown(&inspected.path), what, fix))
}
