//! Pure. Owners and modes against who reads and writes.

use crate::account::Identity;
use crate::doctor::finding::{Finding, shown};
use crate::doctor::input::{Role, Spot, Surroundings};
use crate::facts::place::may_use;
use crate::sys::stat::Kind;
use crate::words::access_beside_owner;

fn is_read_only(spot: &Spot) -> bool {
    spot.on.as_ref().is_some_and(|mount| mount.read_only)
}

/// A capture, or what is mounted in an agent's place, that we can not look into.
pub fn capture_closed(spot: &Spot, around: &Surroundings) -> Option<Finding> {
    let is_source = spot.role == Role::Capture || (spot.role == Role::Place && spot.mount.is_some());
    let found = spot.found.filter(|found| is_source && found.kind == Kind::Directory && !spot.readable)?;
    let what = format!(
        "uid {} may not look into it: it belongs to {}:{}, mode {:o}",
        around.current.0, found.uid, found.gid, found.mode
    );
    Some(Finding::problem("capture-closed", shown(&spot.path), what, open_fix(around, &shown(&spot.path))))
}

/// A login that we can not read, in a directory that we can look into.
pub fn login_closed(spot: &Spot, around: &Surroundings) -> Option<Finding> {
    let is_login = matches!(spot.role, Role::CapturedLogin | Role::PlacedLogin) && !around.is_running;
    let found = spot.found.filter(|found| is_login && found.kind == Kind::File && !spot.readable)?;
    let what = format!(
        "uid {} may not read it: it belongs to {}:{}, mode {:o}",
        around.current.0, found.uid, found.gid, found.mode
    );
    let directory = spot.path.parent().map(shown).unwrap_or_default();
    Some(Finding::problem("login-closed", shown(&spot.path), what, open_fix(around, &directory)))
}

/// A capture that we can look into and not write to.
pub fn capture_of_another(spot: &Spot, around: &Surroundings) -> Option<Finding> {
    let found = spot.found.filter(|found| spot.role == Role::Capture && found.kind == Kind::Directory)?;
    if !spot.readable || spot.writable || is_read_only(spot) {
        return None;
    }
    let what = format!(
        "uid {} may not write to it (it belongs to {}:{}, mode {:o}): refreshed logins can not be stored",
        around.current.0, found.uid, found.gid, found.mode
    );
    Some(Finding::problem("capture-not-writable", shown(&spot.path), what, open_fix(around, &shown(&spot.path))))
}

fn open_fix(around: &Surroundings, path: &str) -> String {
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
pub fn open_to_others(spot: &Spot, around: &Surroundings) -> Option<Finding> {
    // A running agent writes its own as it likes, in a directory that is closed to others.
    let is_login = match spot.role {
        Role::CapturedLogin | Role::Recovery => true,
        Role::PlacedLogin => !around.is_running,
        _ => false,
    };
    let found = spot.found.filter(|found| is_login && found.kind == Kind::File)?;
    let what = format!("it is a login, and its mode is {:o}: {}", found.mode, access_beside_owner(found.mode)?);
    Some(Finding::problem("open-to-others", shown(&spot.path), what, format!("chmod 600 {}", spot.path.display())))
}

/// A secret that we can not read.
pub fn secret_closed(spot: &Spot, around: &Surroundings) -> Option<Finding> {
    let is_secret = matches!(spot.role, Role::Secret | Role::Named(_));
    let found = spot.found.filter(|found| is_secret && found.kind == Kind::File && !spot.readable)?;
    let what = format!(
        "uid {} may not read it: it belongs to {}:{}, mode {:o}",
        around.current.0, found.uid, found.gid, found.mode
    );
    let fix = format!(
        "compose passes the host's owner and mode on, and ignores uid, gid and mode of file secrets: on the host, chown \
         {} its file; or start the container as root, with agent-init's --user",
        around.current.0
    );
    Some(Finding::problem("secret-closed", shown(&spot.path), what, fix))
}

/// A working directory that the agent can not write to.
pub fn working_directory_closed(spot: &Spot, around: &Surroundings) -> Option<Finding> {
    let found = spot.found.filter(|_| spot.role == Role::WorkingDirectory && around.agent.0 != 0)?;
    let (uid, gid) = around.agent;
    let agent = Identity { uid, gid, groups: None, home: None, name: None };
    if may_use(&found.stat(), &agent) && !is_read_only(spot) {
        return None;
    }
    let what = format!(
        "the agent (uid {uid}) starts there and may not write to it: it belongs to {}:{}, mode {:o}",
        found.uid, found.gid, found.mode
    );
    let is_own_layer = spot.on.as_ref().is_none_or(|mount| mount.point.as_os_str() == "/");
    let fix = if is_own_layer {
        "start it where the agent may write: docker run -w DIR (its home, or a workspace that is mounted with -v)"
            .to_owned()
    } else if found.uid == 0 {
        format!("give what is mounted there to the agent, on the host: chown -R {uid} HOSTDIR")
    } else {
        format!("--user-from {} runs the agent as its owner", spot.path.display())
    };
    Some(Finding::note("working-directory-closed", shown(&spot.path), what, fix))
}
