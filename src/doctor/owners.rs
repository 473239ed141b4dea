//! Pure. Checks owners and modes against the users that read and write.

use crate::account::Identity;
use crate::doctor::finding::{Finding, shown};
use crate::doctor::input::{DoctorInput, InspectedPath, PathRole};
use crate::facts::config_dir::may_use;
use crate::sys::stat::Kind;
use crate::words::access_beside_owner;

fn is_read_only(inspected: &InspectedPath) -> bool {
    inspected.on.as_ref().is_some_and(|mount| mount.read_only)
}

/// A capture or mounted config directory that this process cannot read.
pub fn capture_closed(inspected: &InspectedPath, input: &DoctorInput) -> Option<Finding> {
    let is_source =
        inspected.role == PathRole::Capture || (inspected.role == PathRole::ConfigDir && inspected.mount.is_some());
    let found = inspected.found.filter(|found| is_source && found.kind == Kind::Directory && !inspected.readable)?;
    let what = format!(
        "uid {} cannot read it: it belongs to {}:{}, mode {:o}",
        input.current.0, found.uid, found.gid, found.mode
    );
    Some(Finding::problem("capture-closed", shown(&inspected.path), what, open_fix(input, &shown(&inspected.path))))
}

/// An unreadable login in a readable directory.
pub fn login_closed(inspected: &InspectedPath, input: &DoctorInput) -> Option<Finding> {
    let is_login = matches!(inspected.role, PathRole::CapturedLogin | PathRole::ConfigDirLogin) && !input.is_running;
    let found = inspected.found.filter(|found| is_login && found.kind == Kind::File && !inspected.readable)?;
    let what = format!(
        "uid {} cannot read it: it belongs to {}:{}, mode {:o}",
        input.current.0, found.uid, found.gid, found.mode
    );
    let directory = inspected.path.parent().map(shown).unwrap_or_default();
    Some(Finding::problem("login-closed", shown(&inspected.path), what, open_fix(input, &directory)))
}

/// A capture that is readable and not writable.
pub fn capture_of_another(inspected: &InspectedPath, input: &DoctorInput) -> Option<Finding> {
    let found = inspected.found.filter(|found| inspected.role == PathRole::Capture && found.kind == Kind::Directory)?;
    if !inspected.readable || inspected.writable || is_read_only(inspected) {
        return None;
    }
    let what = format!(
        "uid {} cannot write to it (it belongs to {}:{}, mode {:o}): refreshed logins cannot be stored",
        input.current.0, found.uid, found.gid, found.mode
    );
    Some(Finding::problem(
        "capture-not-writable",
        shown(&inspected.path),
        what,
        open_fix(input, &shown(&inspected.path)),
    ))
}

fn open_fix(input: &DoctorInput, path: &str) -> String {
    if input.current.0 == 0 {
        "give the container the capabilities DAC_OVERRIDE and CHOWN (docker: --cap-add, compose: cap_add)".to_owned()
    } else {
        format!(
            "on the host, give the mounted directory to this user: chown -R {} HOSTDIR (here {path})",
            input.current.0
        )
    }
}

/// A stored login that the group or others can read.
pub fn open_to_others(inspected: &InspectedPath, input: &DoctorInput) -> Option<Finding> {
    // A running agent chooses the mode of its own login, in a directory that is closed to others.
    let is_login = match inspected.role {
        PathRole::CapturedLogin | PathRole::Recovery => true,
        PathRole::ConfigDirLogin => !input.is_running,
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

/// An unreadable secret.
pub fn secret_closed(inspected: &InspectedPath, input: &DoctorInput) -> Option<Finding> {
    let is_secret = matches!(inspected.role, PathRole::Secret | PathRole::Named(_));
    let found = inspected.found.filter(|found| is_secret && found.kind == Kind::File && !inspected.readable)?;
    let what = format!(
        "uid {} cannot read it: it belongs to {}:{}, mode {:o}",
        input.current.0, found.uid, found.gid, found.mode
    );
    let fix = format!(
        "compose keeps the owner and mode of the file on the host, and ignores uid, gid and mode of file secrets: on \
         the host, chown {} the file; or start the container as root with agent-init's --user",
        input.current.0
    );
    Some(Finding::problem("secret-closed", shown(&inspected.path), what, fix))
}

/// A working directory that the agent cannot write to.
pub fn working_directory_closed(inspected: &InspectedPath, input: &DoctorInput) -> Option<Finding> {
    let found = inspected.found.filter(|_| inspected.role == PathRole::WorkingDirectory && input.agent.0 != 0)?;
    let (uid, gid) = input.agent;
    let agent = Identity { uid, gid, groups: None, home: None, name: None };
    if may_use(&found.stat(), &agent) && !is_read_only(inspected) {
        return None;
    }
    let what = format!(
        "the agent (uid {uid}) starts there and cannot write to it: it belongs to {}:{}, mode {:o}",
        found.uid, found.gid, found.mode
    );
    let is_own_layer = inspected.on.as_ref().is_none_or(|mount| mount.point.as_os_str() == "/");
    let fix = if is_own_layer {
        "start it where the agent can write: docker run -w DIR (its HOME, or a workspace that is mounted with -v)"
            .to_owned()
    } else if found.uid == 0 {
        format!("on the host, give the mounted directory to the agent: chown -R {uid} HOSTDIR")
    } else {
        format!("--user-from {} runs the agent as its owner", inspected.path.display())
    };
    Some(Finding::note("working-directory-closed", shown(&inspected.path), what, fix))
}
