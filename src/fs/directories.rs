//! Makes the directories that a working copy and our state live in.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use anyhow::Context;

use crate::error::Failure;
use crate::sys::dir::{Attributes, Dir};
use crate::sys::stat::{Kind, Stat};
use crate::sys::{access, privilege};
use crate::words::writable_beside_owner;

/// An error at a path, with the remedy that fits who we are.
pub fn failure(verb: &str, path: &Path) -> Failure {
    let what = format!("cannot {verb} {}", path.display());
    let hint = if privilege::current().0 == 0 {
        "as root this takes the capabilities CHOWN and DAC_OVERRIDE and a file system that is not read-only; --work-dir names another place"
    } else {
        "name a directory that this user can write to with --work-dir or --state-dir, or mount a tmpfs there"
    };
    Failure::new(what).hint(hint)
}

/// The directory of our state, made if it is not there. Others may pass through it to a working copy below and see
/// nothing else.
///
/// # Errors
/// It cannot be made, or is not ours: in a shared /tmp another user may have been first.
pub fn state_directory(path: &Path) -> anyhow::Result<Dir> {
    let attributes = Attributes { mode: 0o711, owner: None };
    let dir = make_all(path, attributes).with_context(|| failure("make", path))?;
    let stat = dir.stat().with_context(|| failure("look at", path))?;
    let uid = privilege::current().0;
    let Some(why) = why_not_ours(&stat, uid) else { return Ok(dir) };
    if stat.uid == uid && is_named_ours(path) && close(&dir, attributes, stat.mode) {
        return Ok(dir);
    }
    Err(not_ours(path, &why, uid).into())
}

/// What [`state_directory`] would refuse, as far as a look tells.
///
/// # Errors
/// As [`state_directory`].
pub fn state_directory_is_possible(path: &Path) -> anyhow::Result<()> {
    can_be_made(path)?;
    let Ok(dir) = Dir::open(path) else { return Ok(()) };
    let stat = dir.stat().with_context(|| failure("look at", path))?;
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

/// Whether a directory is there or can be made, as far as a look tells.
///
/// # Errors
/// What making it would say.
pub fn can_be_made(path: &Path) -> anyhow::Result<()> {
    let existing = path.ancestors().find(|ancestor| access::is_there(ancestor)).unwrap_or(Path::new("/"));
    let opened = Dir::open(existing).and_then(|dir| if existing == path { Ok(()) } else { dir.would_write() });
    opened.with_context(|| failure("make", path))
}

/// Closes a directory of ours that others could write to, if nobody has put anything there yet: a tmpfs of docker's has
/// mode 1777, an emptyDir of Kubernetes' 0777.
fn close(dir: &Dir, attributes: Attributes, mode: u32) -> bool {
    let is_empty = || dir.names_up_to(1, &|_| true).is_ok_and(|found| found.names.is_empty());
    if !is_empty() || dir.set_mode_and_owner(attributes).is_err() {
        return false;
    }
    // Once it is closed nothing comes in any more; what came in between is somebody's.
    let is_closed = is_empty();
    if !is_closed && dir.set_mode_and_owner(Attributes { mode, owner: None }).is_err() {
        return false;
    }
    is_closed
}

/// Where working copies are below our state directory: they are the agents'.
const WORK: &str = "work";

/// Removes temporary files that killed runs left in our state directory: in recovery copies, conflicts, mirrors of stores
/// and the notes of login files that are mounts of their own.
pub fn sweep(state_dir: &Dir) {
    sweep_below(state_dir, 4);
}

fn sweep_below(dir: &Dir, depth: usize) {
    /// A few directories for each agent; who fills one of them does not hold a start up.
    const ENTRIES: usize = 256;
    dir.sweep();
    let Some(depth) = depth.checked_sub(1) else { return };
    let found = dir.names_up_to(ENTRIES, &|name| name != WORK).unwrap_or_default();
    for name in found.names {
        let is_directory = dir.stat_entry(&name).is_ok_and(|stat| stat.kind == Kind::Directory);
        if let Some(below) = is_directory.then(|| dir.sub(&name).ok()).flatten() {
            sweep_below(&below, depth);
        }
    }
}

/// HOME, where it is ours to make.
///
/// # Errors
/// It cannot be made, or belongs to another user.
pub fn home(path: &Path, owner: Option<(u32, u32)>) -> anyhow::Result<()> {
    let dir = make_all(path, Attributes { mode: 0o700, owner }).with_context(|| failure("make", path))?;
    let stat = dir.stat().with_context(|| failure("look at", path))?;
    let uid = owner.map_or(privilege::current().0, |(uid, _)| uid);
    if path == Path::new(crate::account::FALLBACK_HOME) && stat.uid != uid {
        let what = format!("{} belongs to uid {}, and the agent is uid {uid}", path.display(), stat.uid);
        return Err(Failure::new(what).hint("name another home with --home").into());
    }
    Ok(())
}

/// The directory that the operator wants working copies in, made if it is not there.
///
/// # Errors
/// It cannot be made.
pub fn parent_of_working_copies(path: &Path, owner: Option<(u32, u32)>) -> anyhow::Result<()> {
    make_all(path, Attributes { mode: 0o700, owner }).map(drop).with_context(|| failure("make", path))
}

/// A directory of the agent's, 0700, made with what is missing above it, and whether it belonged to somebody else.
/// `trusted`: the operator's or our own part of the path, which may lead through links. Below it none is followed: an
/// agent of an earlier run may have put it there.
///
/// # Errors
/// It cannot be made, or is no directory.
pub fn private_directory(path: &Path, trusted: &Path, owner: Option<(u32, u32)>) -> anyhow::Result<(Dir, bool)> {
    let attributes = Attributes { mode: 0o700, owner };
    let dir = make_below(path, trusted, attributes).with_context(|| failure("make", path))?;
    let was = dir.stat().with_context(|| failure("look at", path))?;
    dir.set_mode_and_owner(attributes).with_context(|| failure("take over", path))?;
    dir.sweep();
    Ok((dir, owner.is_some_and(|(uid, _)| was.uid != uid)))
}

/// The directory of the agent's at `path`, which an agent that runs may have put there: below `trusted` no link is
/// followed, and it must belong to `uid`.
///
/// # Errors
/// It is not there, or is not that.
pub fn directory_of(path: &Path, trusted: &Path, uid: u32) -> io::Result<Dir> {
    let below = path.strip_prefix(trusted).map_err(io::Error::other)?;
    let dir = below.components().try_fold(Dir::open(trusted)?, |dir, name| dir.sub(OsStr::new(&name)))?;
    if dir.stat()?.uid == uid { Ok(dir) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

/// Opens `path`, making what is missing. What exists above it is the operator's and may be a link; the last component is
/// never one.
fn make_all(path: &Path, attributes: Attributes) -> io::Result<Dir> {
    let existing = path.ancestors().skip(1).find(|ancestor| access::is_directory(ancestor)).unwrap_or(Path::new("/"));
    make_below(path, existing, attributes)
}

fn make_below(path: &Path, trusted: &Path, attributes: Attributes) -> io::Result<Dir> {
    let below = path.strip_prefix(trusted).map_err(io::Error::other)?;
    below.components().try_fold(Dir::open(trusted)?, |dir, name| dir.make(OsStr::new(&name), attributes))
}

/// Why a directory is none for our state: whose it is, or who may write there.
pub fn why_not_ours(stat: &Stat, uid: u32) -> Option<String> {
    if stat.uid != uid {
        return Some(format!("belongs to uid {}, and agent-init runs as uid {uid}", stat.uid));
    }
    writable_beside_owner(stat.mode).map(|who| format!("has mode {:o}: {who}", stat.mode))
}

/// Whether a directory is made for us and nobody else: `/run/agent-init`, `/tmp/agent-init-1000`. What --state-dir names
/// may be /tmp, which is not ours to close.
pub fn is_named_ours(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"agent-init"))
}

/// The remedy for a state directory that is not ours.
pub fn make_it_ours(path: &Path, uid: u32) -> String {
    let path = path.display();
    format!(
        "remove it, name another with --state-dir, or mount it as ours: docker run --tmpfs {path}:mode=755,uid={uid}"
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_is_missing_is_made_private() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b/.x");
        private_directory(&path, temp.path(), None).unwrap();
        for part in ["a", "a/b", "a/b/.x"] {
            assert_eq!(temp.path().join(part).metadata().unwrap().permissions().mode() & 0o7777, 0o700);
        }
    }

    #[test]
    fn a_link_in_the_place_is_refused_and_its_target_untouched() {
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
    fn a_new_mount_of_our_name_is_closed() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("agent-init");
        std::fs::create_dir(&path).unwrap();
        let open = || std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o1777)).unwrap();
        open();
        assert!(state_directory(&path).is_ok());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o711);
        // Somebody may have put something there.
        open();
        std::fs::write(path.join("state.json"), "{}").unwrap();
        assert!(state_directory(&path).is_err());
    }
}
