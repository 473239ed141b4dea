//! Makes the directories of working copies and of the state.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use anyhow::Context;

use crate::error::Failure;
use crate::sys::dir::{Attributes, Dir};
use crate::sys::stat::{Kind, Stat};
use crate::sys::{access, privilege};
use crate::words::writable_beside_owner;

/// The error for a path, with a hint that depends on our user.
pub fn failure(verb: &str, path: &Path) -> Failure {
    let what = format!("cannot {verb} {}", path.display());
    let hint = if privilege::current().0 == 0 {
        "as root, agent-init needs the capabilities CHOWN and DAC_OVERRIDE and a writable file system; --work-dir sets another directory"
    } else {
        "set a directory that this user can write to with --work-dir or --state-dir, or mount a tmpfs there"
    };
    Failure::new(what).hint(hint)
}

/// The state directory, made if it does not exist. Others may pass through it to a working copy below, and may not list
/// it.
///
/// Fails if it cannot be made, or if it is not ours: in a shared /tmp another user may have been first.
pub fn state_directory(path: &Path) -> anyhow::Result<Dir> {
    let attributes = Attributes { mode: 0o711, owner: None };
    let dir = make_all(path, attributes).with_context(|| failure("make", path))?;
    let stat = dir.stat().with_context(|| failure("inspect", path))?;
    let uid = privilege::current().0;
    let Some(why) = why_not_ours(&stat, uid) else { return Ok(dir) };
    if stat.uid == uid && is_named_ours(path) && close_to_others(&dir, attributes, stat.mode) {
        return Ok(dir);
    }
    Err(not_ours(path, &why, uid).into())
}

/// Checks, without changing anything, whether [`state_directory`] would fail.
pub fn state_directory_is_possible(path: &Path) -> anyhow::Result<()> {
    can_be_made(path)?;
    let Ok(dir) = Dir::open(path) else { return Ok(()) };
    let stat = dir.stat().with_context(|| failure("inspect", path))?;
    let uid = privilege::current().0;
    let is_closed = || stat.uid == uid && is_named_ours(path) && dir.names().is_ok_and(|names| names.is_empty());
    match why_not_ours(&stat, uid) {
        Some(why) if !is_closed() => Err(not_ours(path, &why, uid).into()),
        Some(_) | None => Ok(()),
    }
}

fn not_ours(path: &Path, why: &str, uid: u32) -> Failure {
    Failure::new(format!("the state directory {} {why}", path.display())).hint(make_it_ours(path, uid))
}

/// Checks, without changing anything, whether a directory exists or can be made.
pub fn can_be_made(path: &Path) -> anyhow::Result<()> {
    let existing = path.ancestors().find(|ancestor| access::is_there(ancestor)).unwrap_or(Path::new("/"));
    let opened = Dir::open(existing).and_then(|dir| if existing == path { Ok(()) } else { dir.check_writable() });
    opened.with_context(|| failure("make", path))
}

/// Removes others' write permission from an empty directory of ours. Docker mounts a tmpfs with mode 1777, and
/// Kubernetes an emptyDir with 0777.
fn close_to_others(dir: &Dir, attributes: Attributes, mode: u32) -> bool {
    let is_empty = || dir.names_up_to(1, &|_| true).is_ok_and(|found| found.names.is_empty());
    if !is_empty() || dir.set_mode_and_owner(attributes).is_err() {
        return false;
    }
    // Nothing can be added any more. If something was added in between, it is somebody else's.
    let is_closed = is_empty();
    if !is_closed && dir.set_mode_and_owner(Attributes { mode, owner: None }).is_err() {
        return false;
    }
    is_closed
}

/// The directory of working copies below the state directory. They belong to the agents.
const WORK: &str = "work";

/// Removes temporary files that killed runs left in the state directory: in recovery copies, conflicts, mirrors of
/// stores and the bookkeeping of login files that are mounts.
pub fn sweep(state_dir: &Dir) {
    sweep_below(state_dir, 4);
}

fn sweep_below(dir: &Dir, depth: usize) {
    /// There are a few directories for each agent. Someone who fills one of them must not delay a start.
    const MAX_ENTRIES: usize = 256;
    dir.sweep();
    let Some(depth) = depth.checked_sub(1) else { return };
    let found = dir.names_up_to(MAX_ENTRIES, &|name| name != WORK).unwrap_or_default();
    for name in found.names {
        let is_directory = dir.stat_entry(&name).is_ok_and(|stat| stat.kind == Kind::Directory);
        if let Some(below) = is_directory.then(|| dir.sub(&name).ok()).flatten() {
            sweep_below(&below, depth);
        }
    }
}

/// Makes HOME. Fails if it cannot be made or belongs to another user.
pub fn home(path: &Path, owner: Option<(u32, u32)>) -> anyhow::Result<()> {
    let dir = make_all(path, Attributes { mode: 0o700, owner }).with_context(|| failure("make", path))?;
    let stat = dir.stat().with_context(|| failure("inspect", path))?;
    let uid = owner.map_or(privilege::current().0, |(uid, _)| uid);
    if path == Path::new(crate::account::FALLBACK_HOME) && stat.uid != uid {
        let what = format!("{} belongs to uid {}, and the agent is uid {uid}", path.display(), stat.uid);
        return Err(Failure::new(what).hint("set another home with --home").into());
    }
    Ok(())
}

/// Makes the operator's directory for working copies, if it does not exist.
pub fn parent_of_working_copies(path: &Path, owner: Option<(u32, u32)>) -> anyhow::Result<()> {
    make_all(path, Attributes { mode: 0o700, owner }).map(drop).with_context(|| failure("make", path))
}

/// Opens a directory of the agent's, and makes it (0700) with its missing parents. Also returns whether it belonged to
/// somebody else. `trusted`: the part of the path that belongs to the operator or to agent-init, and may contain
/// symbolic links. Links below it are refused: an agent of an earlier run may have put them there.
pub fn private_directory(path: &Path, trusted: &Path, owner: Option<(u32, u32)>) -> anyhow::Result<(Dir, bool)> {
    let attributes = Attributes { mode: 0o700, owner };
    let dir = make_below(path, trusted, attributes).with_context(|| failure("make", path))?;
    let before = dir.stat().with_context(|| failure("inspect", path))?;
    dir.set_mode_and_owner(attributes).with_context(|| failure("change mode and owner of", path))?;
    dir.sweep();
    Ok((dir, owner.is_some_and(|(uid, _)| before.uid != uid)))
}

/// Opens the agent's directory at `path`. A running agent may have replaced parts of the path, so below `trusted` no
/// link is followed, and the directory must belong to `uid`.
pub fn directory_of(path: &Path, trusted: &Path, uid: u32) -> io::Result<Dir> {
    let below = path.strip_prefix(trusted).map_err(io::Error::other)?;
    let dir = below.components().try_fold(Dir::open(trusted)?, |dir, name| dir.sub(OsStr::new(&name)))?;
    if dir.stat()?.uid == uid { Ok(dir) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

/// Opens `path`, and makes what is missing. Existing parents belong to the operator and may be symbolic links. The last
/// component must not be one.
fn make_all(path: &Path, attributes: Attributes) -> io::Result<Dir> {
    let existing = path.ancestors().skip(1).find(|ancestor| access::is_directory(ancestor)).unwrap_or(Path::new("/"));
    make_below(path, existing, attributes)
}

fn make_below(path: &Path, trusted: &Path, attributes: Attributes) -> io::Result<Dir> {
    let below = path.strip_prefix(trusted).map_err(io::Error::other)?;
    below.components().try_fold(Dir::open(trusted)?, |dir, name| dir.make(OsStr::new(&name), attributes))
}

/// Why a directory is not suitable for our state: its owner, or who else may write to it.
pub fn why_not_ours(stat: &Stat, uid: u32) -> Option<String> {
    if stat.uid != uid {
        return Some(format!("belongs to uid {}, and agent-init runs as uid {uid}", stat.uid));
    }
    writable_beside_owner(stat.mode).map(|who| format!("has mode {:o}: {who}", stat.mode))
}

/// Whether a directory's name says that it is for agent-init alone: `/run/agent-init`, `/tmp/agent-init-1000`. The
/// directory that --state-dir sets may be /tmp, whose mode we must not change.
pub fn is_named_ours(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"agent-init"))
}

/// The hint for a state directory that is not ours.
pub fn make_it_ours(path: &Path, uid: u32) -> String {
    let path = path.display();
    format!(
        "remove it, set another with --state-dir, or mount it for this user: docker run --tmpfs {path}:mode=755,uid={uid}"
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn missing_directories_are_made_private() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b/.x");
        private_directory(&path, temp.path(), None).unwrap();
        for part in ["a", "a/b", "a/b/.x"] {
            assert_eq!(temp.path().join(part).metadata().unwrap().permissions().mode() & 0o7777, 0o700);
        }
    }

    #[test]
    fn a_link_is_refused_and_its_target_untouched() {
        let temp = tempfile::tempdir().unwrap();
        let target = temp.path().join("target");
        std::fs::create_dir(&target).unwrap();
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o755)).unwrap();
        symlink(&target, temp.path().join(".x")).unwrap();
        for path in [".x", ".x/below"] {
            assert!(private_directory(&temp.path().join(path), temp.path(), None).is_err(), "{path}");
        }
        assert!(!target.join("below").exists());
        assert_eq!(target.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
    }

    #[test]
    fn a_state_directory_that_others_can_write_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("state");
        assert!(state_directory(&path).is_ok());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(state_directory(&path).is_err());
    }

    #[test]
    fn an_empty_mount_with_our_name_is_closed_to_others() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("agent-init");
        std::fs::create_dir(&path).unwrap();
        let open_to_all = || std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o1777)).unwrap();
        open_to_all();
        assert!(state_directory(&path).is_ok());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o711);
        // Somebody has put something there.
        open_to_all();
        std::fs::write(path.join("state.json"), "{}").unwrap();
        assert!(state_directory(&path).is_err());
    }
}
