//! flock(2) on files that are never renamed or removed.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::Mode;

use super::dir::{Attributes, Dir, Kind, dress, single, stat_file};

/// A held flock(2); free again when this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(Option<Flock<File>>);

impl Lock {
    /// Whether it keeps others out: a file system without locks gives one that does not.
    #[must_use]
    pub fn excludes(&self) -> bool {
        self.0.is_some()
    }
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
        let _ = dress(&file, Attributes { mode: 0o666, owner });
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Lock(Some(lock)))),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS)) => Ok(Some(Lock(None))),
            Err((_, errno)) => Err(errno.into()),
        }
    }
}

/// Whether another holds an exclusive flock(2) on this file. A shared lock is taken and given up in between: who tries
/// to take an exclusive one in that moment tries again.
///
/// # Errors
/// As flock(2).
pub fn is_held(file: File) -> io::Result<bool> {
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => Ok(false),
        Err((_, Errno::EWOULDBLOCK)) => Ok(true),
        Err((_, errno)) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

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
