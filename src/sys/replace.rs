//! Replacing a file that another process may be replacing in the same moment.

use std::ffi::OsStr;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{RenameFlags, renameat, renameat2};

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
        let rename = |flags| renameat2(self, temporary.as_os_str(), self, name, flags);
        let flags = if is_expected.is_some() { RenameFlags::RENAME_EXCHANGE } else { RenameFlags::RENAME_NOREPLACE };
        let replaced = match (rename(flags), is_expected) {
            (Ok(()), Some(is_expected)) if !is_expected(&temporary) => {
                rename(RenameFlags::RENAME_EXCHANGE).map(|()| Replaced::Unexpected)
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
