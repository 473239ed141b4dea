//! Replacing a file that another process may be replacing in the same moment.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::{NixPath, libc};

use crate::sys::dir::{Attributes, Dir};
use crate::sys::lock::DirectoryLock;

/// What came of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The new file is in its place.
    Done,
    /// What was there is not what was expected: it is there still.
    Unexpected,
    /// Another holds the lock around writes.
    Locked,
}

/// The lock that others make around their writes: a directory beside the file, held for the rename alone. What it was
/// made with, the time of now, is what makes it stale by their rule should we end in that moment.
#[derive(Debug, Clone, Copy)]
pub struct Exclusion<'n> {
    /// Its name.
    pub name: &'n OsStr,
    /// One that is older is nobody's.
    pub dead_after: Duration,
    /// Another's is waited for; else it is done without.
    pub is_patient: bool,
}

/// What came of taking it.
enum Taken {
    Ours(DirectoryLock),
    Anothers,
    /// It cannot be made, as in a directory that nobody can write to.
    Nobodys,
}

impl Dir {
    /// Writes the entry `name` whole in the place of what is expected there: of nothing, without `is_expected`; else of
    /// the file that this says yes to when it is given the name under which the old file is then found.
    ///
    /// rename(2) cannot be told what it replaces; `RENAME_EXCHANGE` shows it afterwards, and is undone.
    ///
    /// # Errors
    /// As openat(2), fchown(2), write(2), fsync(2) and renameat2(2).
    pub fn replace_whole(
        &self,
        name: &OsStr,
        bytes: &[u8],
        attributes: Attributes,
        is_expected: Option<&dyn Fn(&OsStr) -> bool>,
        exclusion: Option<&Exclusion<'_>>,
    ) -> io::Result<Replaced> {
        // Before anything is written: what waits asks often.
        if exclusion.is_some_and(|exclusion| exclusion.is_patient && self.is_excluded(exclusion)) {
            return Ok(Replaced::Locked);
        }
        // On disk before the lock is taken, which is then held for a rename and not for a slow disk.
        let temporary = self.write_temporary(name, bytes, attributes)?;
        let lock = match exclusion.map(|exclusion| (exclusion, self.exclude(exclusion))) {
            Some((exclusion, Taken::Ours(lock))) => Some((lock, exclusion.name)),
            Some((exclusion, Taken::Anothers)) if exclusion.is_patient => {
                return self.remove(&temporary).map(|()| Replaced::Locked);
            }
            Some((_, Taken::Anothers | Taken::Nobodys)) | None => None,
        };
        let replaced = self.put_in_place(&temporary, name, is_expected);
        if let Some((lock, name)) = lock {
            // One that stays is stale by its date, soon.
            let _ = lock.remove(self, name);
        }
        match replaced {
            Ok((replaced, true)) => self.remove(&temporary).map(|()| replaced),
            Ok((replaced, false)) => Ok(replaced),
            Err(error) => {
                let _ = self.remove(&temporary);
                Err(error)
            }
        }
    }

    /// Renames the new file to its name; and whether there is a file left that has to go, the old one, or the new one that
    /// did not get there.
    fn put_in_place(
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
            // It appeared, or it went, since it was read.
            (Err(Errno::EEXIST | Errno::ENOENT), _) => Ok((Replaced::Unexpected, true)),
            // NFS and others know no flags; EPERM is a seccomp filter's answer to a call that it does not know.
            (Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM), _) => {
                renameat(self, temporary, self, name)?;
                Ok((Replaced::Done, false))
            }
            (Err(errno), _) => Err(errno.into()),
        }
    }

    /// Whether another holds the lock around writes.
    fn is_excluded(&self, exclusion: &Exclusion<'_>) -> bool {
        let found = self.find_lock(exclusion.name).ok().flatten();
        let age = |modified| SystemTime::now().duration_since(modified).unwrap_or_default();
        found.is_some_and(|found| age(found.modified) <= exclusion.dead_after)
    }

    fn exclude(&self, exclusion: &Exclusion<'_>) -> Taken {
        let make = || self.make_lock(exclusion.name);
        match make() {
            Ok(lock) => Taken::Ours(lock),
            Err(_) if self.is_excluded(exclusion) => Taken::Anothers,
            // One that is nobody's goes, as it would for the next of those who use it.
            Err(_) => match self.remove_directory(exclusion.name).and_then(|()| make()) {
                Ok(lock) => Taken::Ours(lock),
                Err(_) => Taken::Nobodys,
            },
        }
    }

    /// renameat2(2) within this directory. By its number: musl has no function for it before 1.2.6.
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
    fn only_what_is_expected_is_replaced() {
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
    fn a_write_waits_for_the_lock_of_those_who_live() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let (name, lock) = (OsStr::new("login"), temp.path().join("lock"));
        let write = |bytes: &str, is_patient| {
            let exclusion = Exclusion { name: OsStr::new("lock"), dead_after: Duration::from_secs(15), is_patient };
            // Seen from within: the lock is held while the file is exchanged.
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
        // Another is at it.
        std::fs::create_dir(&lock).unwrap();
        assert_eq!(
            (write("three", true).0, login().as_str(), dir.names().unwrap().len()),
            (Replaced::Locked, "two", 2)
        );
        // Waited for long enough: done without, and what is another's stays.
        assert_eq!((write("four", false).0, login().as_str(), lock.exists()), (Replaced::Done, "four", true));
        // Nobody's.
        let old = SystemTime::now() - Duration::from_secs(16);
        std::fs::File::open(&lock).unwrap().set_modified(old).unwrap();
        assert_eq!(write("five", true), (Replaced::Done, true));
        assert!(!lock.exists());
        // No lock at all, and nothing that could be one.
        std::fs::write(&lock, "").unwrap();
        assert_eq!(write("six", true).0, Replaced::Done);
        assert!(lock.exists());
    }
}
