//! flock(2) on files, and directories whose existence is a lock.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, FdFlag, OFlag, fcntl, openat};
use nix::libc;
use nix::sys::stat::{Mode, fstatat, futimens, mkdirat};
use nix::sys::time::TimeSpec;

use crate::sys::dir::{Attributes, Dir, check_component, set_mode_and_owner, stat_file};
use crate::sys::stat::{Kind, Stat};

/// A held flock(2). The kernel releases it when this is dropped or the process ends, for whatever reason.
///
/// close(2) releases it, because nobody else has the descriptor: exec closes it (but see [`Lock::outlive_exec`]), and a
/// child that shares our memory has executed its program before we go on. There is no `LOCK_UN`: a network file system that has gone away answers it
/// with an error, at which a destructor could only panic.
#[derive(Debug)]
pub struct Lock(Option<File>);

impl Lock {
    /// Whether it keeps others out. On a file system without locks it does not.
    pub fn excludes(&self) -> bool {
        self.0.is_some()
    }

    /// Makes the program that this process executes hold the lock too, for as long as it runs. For a child.
    pub fn outlive_exec(&self) -> io::Result<()> {
        let Some(file) = &self.0 else { return Ok(()) };
        fcntl(file, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(())
    }
}

/// Takes a flock(2) without waiting.
fn flock(file: &File, operation: libc::c_int) -> nix::Result<()> {
    // SAFETY: flock takes two integers, and the descriptor is open for as long as `file` is borrowed.
    Errno::result(unsafe { libc::flock(file.as_raw_fd(), operation | libc::LOCK_NB) }).map(drop)
}

impl Dir {
    /// Takes an exclusive flock(2) on the entry `name`, which is made if needed. Never waits: `None` if somebody else
    /// holds it. The file's mode is 0666, so that a container with another uid can open it. On a file system without
    /// locks (NFS without its lock daemon, some FUSE), everybody gets a lock that excludes nobody.
    ///
    /// Fails if the file is not regular, or has a second name and so may be somebody else's.
    pub fn lock(&self, name: &OsStr, owner: Option<(u32, u32)>) -> io::Result<Option<Lock>> {
        check_component(name)?;
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = File::from(openat(self, name, flags, Mode::from_bits_truncate(0o666))?);
        let stat = stat_file(&file)?;
        // Somebody who may write here could make root change the mode of another user's file.
        if stat.kind != Kind::File || stat.links > 1 {
            return Err(io::Error::other(format!("{} is not a lock file", name.display())));
        }
        // open(2) applies the umask. Only the owner or root may widen the mode, and once is enough.
        let _ = set_mode_and_owner(&file, Attributes { mode: 0o666, owner });
        match flock(&file, libc::LOCK_EX) {
            Ok(()) => Ok(Some(Lock(Some(file)))),
            Err(Errno::EWOULDBLOCK) => Ok(None),
            Err(Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(Some(Lock(None))),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes the empty directory `name`, as agents make their locks. Fails with EEXIST if somebody holds the lock. Mode
    /// and owner stay as mkdirat(2) makes them, as those of an agent's own lock do.
    pub fn make_lock(&self, name: &OsStr) -> io::Result<DirectoryLock> {
        check_component(name)?;
        mkdirat(self, name, Mode::from_bits_truncate(0o755))?;
        let dir = self.sub(name)?;
        let id = dir.stat()?.id;
        Ok(DirectoryLock { dir, id })
    }

    /// The directory `name` as somebody's lock. `None` if it does not exist. Fails if it is not a directory.
    pub fn find_lock(&self, name: &OsStr) -> io::Result<Option<FoundLock>> {
        check_component(name)?;
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
        Ok(Some(FoundLock { id: stat.id, modified, mode: stat.mode }))
    }
}

/// A directory that is somebody's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundLock {
    /// Device and inode.
    id: (u64, u64),
    /// Its holder sets this now and then.
    pub modified: SystemTime,
    pub mode: u32,
}

/// A lock that is a directory, made by us. It outlives us: others tell by its mtime whether its maker lives.
#[derive(Debug)]
pub struct DirectoryLock {
    dir: Dir,
    id: (u64, u64),
}

impl DirectoryLock {
    /// Whether the entry `name` of `parent` is still this lock. Somebody may have removed it and made another.
    pub fn is_at(&self, parent: &Dir, name: &OsStr) -> bool {
        parent.stat_entry(name).is_ok_and(|there| there.id == self.id)
    }

    pub fn set_mode_and_owner(&self, attributes: Attributes) -> io::Result<()> {
        self.dir.set_mode_and_owner(attributes)
    }

    /// Sets the mtime. Uses the handle, because an agent whose lock somebody else touches takes it for lost.
    pub fn date(&self, modified: SystemTime) -> io::Result<()> {
        let since = modified.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        let time = TimeSpec::from_duration(since);
        Ok(futimens(&self.dir, &time, &time)?)
    }

    /// Removes the lock, if it still has this name in `parent`.
    pub fn remove(&self, parent: &Dir, name: &OsStr) -> io::Result<()> {
        if self.is_at(parent, name) { parent.remove_directory(name) } else { Ok(()) }
    }
}

/// Whether somebody else holds an exclusive flock(2) on this file. The check takes a shared lock for a moment. Whoever
/// wants an exclusive one at that moment tries again.
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
