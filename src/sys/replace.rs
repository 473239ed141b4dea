//! Replacing a file that another process may be replacing in the same moment.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::{NixPath, libc};

use super::dir::{Attributes, Dir};

/// What came of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The new file is in its place.
    Done,
    /// What was there is not what was expected: it is there still.
    Unexpected,
}

impl Dir {
    /// Writes the entry `name` whole in the place of what is expected there: of nothing, without `is_expected`; else of
    /// the file that this says yes to when it is given the name under which the old file is then found.
    ///
    /// rename(2) can not be told what it replaces; `RENAME_EXCHANGE` shows it afterwards, and is undone.
    ///
    /// # Errors
    /// As openat(2), fchown(2), write(2), fsync(2) and renameat2(2).
    pub fn replace_whole(
        &self,
        name: &OsStr,
        bytes: &[u8],
        attributes: Attributes,
        is_expected: Option<&dyn Fn(&OsStr) -> bool>,
    ) -> io::Result<Replaced> {
        let temporary = self.write_temporary(name, bytes, attributes)?;
        let rename = |flags| self.rename(&temporary, name, flags);
        let flags = if is_expected.is_some() { libc::RENAME_EXCHANGE } else { libc::RENAME_NOREPLACE };
        let replaced = match (rename(flags), is_expected) {
            (Ok(()), Some(is_expected)) if !is_expected(&temporary) => {
                rename(libc::RENAME_EXCHANGE).map(|()| Replaced::Unexpected)
            }
            (Ok(()), None) => return Ok(Replaced::Done),
            (Ok(()), Some(_)) => Ok(Replaced::Done),
            // It appeared, or it went, since it was read.
            (Err(Errno::EEXIST | Errno::ENOENT), _) => Ok(Replaced::Unexpected),
            // NFS and others know no flags; EPERM is a seccomp filter's answer to a call that it does not know.
            (Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM), _) => {
                match renameat(self, temporary.as_os_str(), self, name) {
                    Ok(()) => return Ok(Replaced::Done),
                    Err(errno) => Err(errno),
                }
            }
            (Err(errno), _) => Err(errno),
        };
        // The old file, or the new one that did not get there.
        let removed = self.remove(&temporary);
        let replaced = replaced?;
        removed.map(|()| replaced)
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
        assert_eq!(dir.replace_whole(name, b"new", PRIVATE, Some(&old)).unwrap(), Replaced::Unexpected);
        assert_eq!(dir.replace_whole(name, b"old", PRIVATE, None).unwrap(), Replaced::Done);
        assert_eq!(dir.replace_whole(name, b"new", PRIVATE, None).unwrap(), Replaced::Unexpected);
        assert_eq!(read(), "old");
        assert_eq!(dir.replace_whole(name, b"new", PRIVATE, Some(&old)).unwrap(), Replaced::Done);
        assert_eq!(dir.replace_whole(name, b"newer", PRIVATE, Some(&old)).unwrap(), Replaced::Unexpected);
        assert_eq!((read().as_str(), dir.names().unwrap().len()), ("new", 1));
    }
}
