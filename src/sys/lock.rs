//! flock(2) on files that are never renamed or removed, and directories that are locks by being there.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::libc;
use nix::sys::stat::{Mode, fstatat, futimens, mkdirat};
use nix::sys::time::TimeSpec;

use crate::sys::dir::{Attributes, Dir, set_mode_and_owner, single, stat_file};
use crate::sys::stat::{Kind, Stat};

/// A held flock(2); free again when this is dropped or the process ends, however it ends.
///
/// close(2) frees it, for nobody else has the descriptor: it is closed by exec, and a child that shares our memory has
/// executed its program before we go on. There is no `LOCK_UN`, which a network file system that has gone away answers
/// with an error that a destructor could only panic about.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held for its Drop")] Option<File>);

impl Lock {
    /// Whether it keeps others out: a file system without locks gives one that does not.
    pub fn excludes(&self) -> bool {
        self.0.is_some()
    }
}

/// Takes a flock(2) without waiting.
fn flock(file: &File, operation: libc::c_int) -> nix::Result<()> {
    // SAFETY: flock takes two integers, and the descriptor is open for as long as `file` is borrowed.
    Errno::result(unsafe { libc::flock(file.as_raw_fd(), operation | libc::LOCK_NB) }).map(drop)
}

impl Dir {
    /// Takes an exclusive flock(2) on the entry `name`, made if needed, without waiting: `None` when another has it.
    /// The lock file's mode is 0666 so that a container with another uid can open it. Where the file system has no locks
    /// (NFS without its lock daemon, some FUSE), everybody gets one that excludes nobody.
    ///
    /// # Errors
    /// As openat(2) and flock(2); a file with a second name, which may be another's, or none that is regular.
    pub fn lock(&self, name: &OsStr, owner: Option<(u32, u32)>) -> io::Result<Option<Lock>> {
        single(name)?;
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = File::from(openat(self, name, flags, Mode::from_bits_truncate(0o666))?);
        let stat = stat_file(&file)?;
        // Whoever may write here could have had root open another user's file to all.
        if stat.kind != Kind::File || stat.links > 1 {
            return Err(io::Error::other(format!("{} is no lock file of ours", name.display())));
        }
        // The umask has its say at open. Only its owner or root may widen the mode, and once is enough.
        let _ = set_mode_and_owner(&file, Attributes { mode: 0o666, owner });
        match flock(&file, libc::LOCK_EX) {
            Ok(()) => Ok(Some(Lock(Some(file)))),
            Err(Errno::EWOULDBLOCK) => Ok(None),
            Err(Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(Some(Lock(None))),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes the empty directory `name`: a lock as agents make them. Not dressed: an agent's own lock has its modes too.
    ///
    /// # Errors
    /// As mkdirat(2): EEXIST when somebody has the lock; and openat(2).
    pub fn make_lock(&self, name: &OsStr) -> io::Result<DirectoryLock> {
        single(name)?;
        mkdirat(self, name, Mode::from_bits_truncate(0o755))?;
        let dir = self.sub(name)?;
        let id = dir.stat()?.id;
        Ok(DirectoryLock { dir, id })
    }

    /// The directory `name` as a lock of somebody's; `None` where there is nothing.
    ///
    /// # Errors
    /// As fstatat(2); what is there is not a directory.
    pub fn find_lock(&self, name: &OsStr) -> io::Result<Option<FoundLock>> {
        single(name)?;
        let raw = match fstatat(self, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => return Ok(None),
            found => found?,
        };
        let stat = Stat::from(raw);
        if stat.kind != Kind::Directory {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let seconds = Duration::from_secs(u64::try_from(raw.st_mtime).unwrap_or(0));
        let nanoseconds = Duration::from_nanos(u64::try_from(raw.st_mtime_nsec).unwrap_or(0));
        let modified = UNIX_EPOCH.checked_add(seconds + nanoseconds).unwrap_or(UNIX_EPOCH);
        Ok(Some(FoundLock { id: stat.id, modified }))
    }
}

/// A directory that is somebody's lock, as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundLock {
    /// Device and inode.
    id: (u64, u64),
    /// Whoever holds it sets this now and then.
    pub modified: SystemTime,
}

/// A lock that is a directory, made by us. It outlives us: others judge by its mtime whether its maker lives.
#[derive(Debug)]
pub struct DirectoryLock {
    dir: Dir,
    id: (u64, u64),
}

impl DirectoryLock {
    /// Whether the entry `name` of `parent` is this lock still. Another may have removed it and made its own there.
    pub fn is_at(&self, parent: &Dir, name: &OsStr) -> bool {
        parent.stat_entry(name).is_ok_and(|there| there.id == self.id)
    }

    /// Gives it this mtime. By its handle: whoever holds a lock that another touches takes it for lost.
    ///
    /// # Errors
    /// As futimens(3).
    pub fn date(&self, modified: SystemTime) -> io::Result<()> {
        let since = modified.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        let moment = TimeSpec::from_duration(since);
        Ok(futimens(&self.dir, &moment, &moment)?)
    }

    /// Removes it, if it is at this name of `parent` still.
    ///
    /// # Errors
    /// As unlinkat(2).
    pub fn remove(&self, parent: &Dir, name: &OsStr) -> io::Result<()> {
        if self.is_at(parent, name) { parent.remove_directory(name) } else { Ok(()) }
    }
}

/// Whether another holds an exclusive flock(2) on this file. A shared lock is taken and given up in between: who tries
/// to take an exclusive one in that moment tries again.
///
/// # Errors
/// As flock(2).
pub fn is_held(file: File) -> io::Result<bool> {
    let taken = flock(&file, libc::LOCK_SH);
    drop(file);
    match taken {
        Ok(()) => Ok(false),
        Err(Errno::EWOULDBLOCK) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_lock_is_exclusive_and_ends_with_its_holder() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let held = dir.lock("lock".as_ref(), None).unwrap();
        assert!(held.as_ref().is_some_and(Lock::excludes));
        assert!(dir.lock("lock".as_ref(), None).unwrap().is_none());
        drop(held);
        assert!(dir.lock("lock".as_ref(), None).unwrap().is_some());
        assert_eq!(std::fs::metadata(temp.path().join("lock")).unwrap().mode() & 0o777, 0o666);
    }

    #[test]
    fn another_file_is_not_made_a_lock() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let victim = temp.path().join("victim");
        std::fs::write(&victim, "FAKE").unwrap();
        std::fs::set_permissions(&victim, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::hard_link(&victim, temp.path().join("hard")).unwrap();
        std::os::unix::fs::symlink(&victim, temp.path().join("link")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(temp.path().join("fifo")).status().unwrap().success());
        for name in ["hard", "link", "fifo"] {
            assert!(dir.lock(name.as_ref(), None).is_err(), "{name}");
        }
        assert_eq!(std::fs::metadata(victim).unwrap().mode() & 0o777, 0o600);
    }
}
