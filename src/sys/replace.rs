//! Replaces a file that another process may be replacing at the same moment.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::{NixPath, libc};

use crate::sys::dir::{Attributes, Dir, Durability};
use crate::sys::lock::DirectoryLock;

/// The result of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The new file is in place.
    Done,
    /// The file was not the expected one. It is still there.
    Unexpected,
    /// Somebody else holds the lock around writes.
    Locked,
}

/// The lock that others hold around their writes: a directory beside the file, held for milliseconds. It keeps the mtime
/// of its creation, so it becomes stale by their rule should we end at that moment.
#[derive(Debug, Clone, Copy)]
pub struct Exclusion<'n> {
    pub name: &'n OsStr,
    /// A lock that is older is abandoned.
    pub dead_after: Duration,
    /// Whether to give up if somebody else holds the lock. Otherwise the file is replaced without it.
    pub is_patient: bool,
}

/// The result of taking the lock.
pub enum Taken<'d> {
    Ours(WriteLock<'d>),
    /// Somebody else holds it.
    Held,
    /// The lock cannot be made, for example in a directory that nobody can write to.
    Unavailable,
}

/// The lock around writes, held by us until it is dropped.
pub struct WriteLock<'d> {
    dir: &'d Dir,
    name: &'d OsStr,
    lock: DirectoryLock,
}

impl Drop for WriteLock<'_> {
    fn drop(&mut self) {
        // A lock that stays becomes stale soon.
        let _ = self.lock.remove(self.dir, self.name);
    }
}

impl Dir {
    /// Writes the entry `name` atomically over the file that is expected there. Without `is_expected`, no file is
    /// expected. Otherwise `is_expected` gets the name under which the old file is then found, and says whether it is
    /// the expected one.
    ///
    /// The new content is a copy of what is stored elsewhere, so nothing waits for the disk.
    ///
    /// rename(2) cannot be told which file to replace. `RENAME_EXCHANGE` reveals it afterwards, and can be undone.
    pub fn replace_whole(
        &self,
        name: &OsStr,
        bytes: &[u8],
        attributes: Attributes,
        is_expected: Option<&dyn Fn(&OsStr) -> bool>,
        exclusion: Option<&Exclusion<'_>>,
    ) -> io::Result<Replaced> {
        // Checked before anything is written, because a waiting caller asks often.
        if exclusion.is_some_and(|exclusion| exclusion.is_patient && self.is_locked_by_others(exclusion)) {
            return Ok(Replaced::Locked);
        }
        // The file is written before the lock is taken, so the lock is held for a rename only.
        let temporary = self.write_temporary(name, bytes, attributes, Durability::Later)?;
        let taken = exclusion.map(|exclusion| self.take_write_lock(exclusion));
        if matches!(taken, Some(Taken::Held)) && exclusion.is_some_and(|exclusion| exclusion.is_patient) {
            return self.remove(&temporary).map(|()| Replaced::Locked);
        }
        let replaced = self.rename_into_place(&temporary, name, is_expected);
        drop(taken);
        match replaced {
            Ok((replaced, true)) => self.remove(&temporary).map(|()| replaced),
            Ok((replaced, false)) => Ok(replaced),
            Err(error) => {
                let _ = self.remove(&temporary);
                Err(error)
            }
        }
    }

    /// Renames the new file to its name. Also returns whether the temporary name must be removed: it is the old file,
    /// or a new one that was not put in place.
    fn rename_into_place(
        &self,
        temporary: &OsStr,
        name: &OsStr,
        is_expected: Option<&dyn Fn(&OsStr) -> bool>,
    ) -> io::Result<(Replaced, bool)> {
        let rename = |flags| self.rename(temporary, name, flags);
        let flags = if is_expected.is_some() { libc::RENAME_EXCHANGE } else { libc::RENAME_NOREPLACE };
        match (rename(flags), is_expected) {
            (Ok(()), Some(is_expected)) if !is_expected(temporary) => {
                rename(libc::RENAME_EXCHANGE)?;
                Ok((Replaced::Unexpected, true))
            }
            (Ok(()), is_expected) => Ok((Replaced::Done, is_expected.is_some())),
            // The file appeared or vanished after it was read.
            (Err(Errno::EEXIST | Errno::ENOENT), _) => Ok((Replaced::Unexpected, true)),
            // NFS and others support no flags. EPERM is the answer of a seccomp filter that does not know the call.
            (Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM), _) => {
                renameat(self, temporary, self, name)?;
                Ok((Replaced::Done, false))
            }
            (Err(errno), _) => Err(errno.into()),
        }
    }

    /// Whether somebody else holds the lock around writes.
    fn is_locked_by_others(&self, exclusion: &Exclusion<'_>) -> bool {
        let found = self.find_lock(exclusion.name).ok().flatten();
        let age = |modified| SystemTime::now().duration_since(modified).unwrap_or_default();
        found.is_some_and(|found| age(found.modified) <= exclusion.dead_after)
    }

    /// Takes the lock around writes, unless somebody else holds it.
    pub fn take_write_lock<'d>(&'d self, exclusion: &Exclusion<'d>) -> Taken<'d> {
        let make = || self.make_lock(exclusion.name);
        let made = match make() {
            Err(_) if self.is_locked_by_others(exclusion) => return Taken::Held,
            // An abandoned lock is removed, as its next user would do.
            Err(_) => self.remove_directory(exclusion.name).and_then(|()| make()),
            made => made,
        };
        made.map_or(Taken::Unavailable, |lock| Taken::Ours(WriteLock { dir: self, name: exclusion.name, lock }))
    }

    /// renameat2(2) within this directory, by its number: musl has no function for it before 1.2.6.
    fn rename(&self, from: &OsStr, to: &OsStr, flags: libc::c_uint) -> nix::Result<()> {
        let (directory, call) = (self.as_fd().as_raw_fd(), libc::SYS_renameat2);
        let result = from.with_nix_path(|from| {
            // SAFETY: both names are NUL-terminated and live until the call returns; it keeps neither.
            to.with_nix_path(|to| unsafe {
                libc::syscall(call, directory, from.as_ptr(), directory, to.as_ptr(), flags)
            })
        })??;
        Errno::result(result).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: Attributes = Attributes { mode: 0o600, owner: None };

    #[test]
    fn only_the_expected_file_is_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let name = OsStr::new("login");
        let read = || std::fs::read_to_string(temp.path().join("login")).unwrap_or_default();
        let old = |at: &OsStr| std::fs::read_to_string(temp.path().join(at)).unwrap() == "old";
        assert_eq!(dir.replace_whole(name, b"new", PRIVATE, Some(&old), None).unwrap(), Replaced::Unexpected);
        assert_eq!(dir.replace_whole(name, b"old", PRIVATE, None, None).unwrap(), Replaced::Done);
        assert_eq!(dir.replace_whole(name, b"new", PRIVATE, None, None).unwrap(), Replaced::Unexpected);
        assert_eq!(read(), "old");
        assert_eq!(dir.replace_whole(name, b"new", PRIVATE, Some(&old), None).unwrap(), Replaced::Done);
        assert_eq!(dir.replace_whole(name, b"newer", PRIVATE, Some(&old), None).unwrap(), Replaced::Unexpected);
        assert_eq!((read().as_str(), dir.names().unwrap().len()), ("new", 1));
    }

    #[test]
    fn a_write_waits_for_a_live_lock() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let (name, lock) = (OsStr::new("login"), temp.path().join("lock"));
        let write = |bytes: &str, is_patient| {
            let exclusion = Exclusion { name: OsStr::new("lock"), dead_after: Duration::from_secs(15), is_patient };
            // Checked from within: the lock is held while the file is exchanged.
            let was_held = std::cell::Cell::new(false);
            let any = |_: &OsStr| {
                was_held.set(lock.exists());
                true
            };
            let expected = temp.path().join("login").exists().then_some(&any as &dyn Fn(&OsStr) -> bool);
            let replaced = dir.replace_whole(name, bytes.as_bytes(), PRIVATE, expected, Some(&exclusion)).unwrap();
            (replaced, was_held.get())
        };
        let login = || std::fs::read_to_string(temp.path().join("login")).unwrap();
        assert_eq!(write("one", true), (Replaced::Done, false));
        assert_eq!(write("two", true), (Replaced::Done, true));
        assert!(!lock.exists());
        // Somebody else holds the lock.
        std::fs::create_dir(&lock).unwrap();
        assert_eq!(
            (write("three", true).0, login().as_str(), dir.names().unwrap().len()),
            (Replaced::Locked, "two", 2)
        );
        // After the wait it is replaced without the lock, which stays.
        assert_eq!((write("four", false).0, login().as_str(), lock.exists()), (Replaced::Done, "four", true));
        // An abandoned lock.
        let old = SystemTime::now() - Duration::from_secs(16);
        std::fs::File::open(&lock).unwrap().set_modified(old).unwrap();
        assert_eq!(write("five", true), (Replaced::Done, true));
        assert!(!lock.exists());
        // Something that is not a lock stands in its place.
        std::fs::write(&lock, "").unwrap();
        assert_eq!(write("six", true).0, Replaced::Done);
        assert!(lock.exists());
    }
}
