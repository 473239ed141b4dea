//! Directories as handles: every name is looked up beneath one, never by a path that somebody else can swap.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{AccessFlags, Gid, Uid, UnlinkatFlags, fchown, fsync, unlinkat};

use crate::sys::listing::Listing;
use crate::sys::stat::Stat;
use crate::sys::{access, beneath, resolve};

/// Mode and owner of something that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits.
    pub mode: u32,
    /// Owner and group; `None` leaves ours.
    pub owner: Option<(u32, u32)>,
}

/// Names in a directory, sorted, without `.` and `..`.
#[derive(Debug, Default)]
pub struct Names {
    /// Those that were read.
    pub names: Vec<OsString>,
    /// There are more.
    pub is_cut: bool,
}

/// An open directory.
#[derive(Debug)]
pub struct Dir(OwnedFd);

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

impl Dir {
    /// Opens a directory by a path that the operator gave. Symbolic links of root's and of ours are followed; another's
    /// only to what is beneath the directory that holds it.
    ///
    /// # Errors
    /// As open(2); a link that leads elsewhere in words.
    pub fn open(path: &Path) -> io::Result<Dir> {
        Ok(Dir(resolve::open(path, DIRECTORY)?))
    }

    /// Opens a directory that we may pass through and perhaps not list, to look its entries up by name.
    ///
    /// # Errors
    /// As open(2).
    pub fn passage(path: &Path) -> io::Result<Dir> {
        Ok(Dir(resolve::open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)?))
    }

    /// Opens the subdirectory `name`, which must not be a symbolic link.
    ///
    /// # Errors
    /// As openat(2): ELOOP or ENOTDIR for a link.
    pub fn sub(&self, name: &OsStr) -> io::Result<Dir> {
        single(name)?;
        Ok(Dir(openat(&self.0, name, DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty())?))
    }

    /// The subdirectory `name`, made with these attributes if it is not there; one that is there keeps its own.
    ///
    /// # Errors
    /// As mkdirat(2), openat(2) and fchown(2).
    pub fn make(&self, name: &OsStr, attributes: Attributes) -> io::Result<Dir> {
        single(name)?;
        match mkdirat(&self.0, name, Mode::from_bits_truncate(0o700)) {
            Ok(()) => {
                let made = self.sub(name)?;
                made.set_mode_and_owner(attributes)?;
                Ok(made)
            }
            Err(Errno::EEXIST) => self.sub(name),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Gives this directory a mode and an owner.
    ///
    /// # Errors
    /// As fchown(2) and fchmod(2).
    pub fn set_mode_and_owner(&self, attributes: Attributes) -> io::Result<()> {
        set_mode_and_owner(&self.0, attributes)
    }

    /// A directory beneath this one; symbolic links in `path` are followed as long as they stay beneath it.
    ///
    /// # Errors
    /// As openat2(2): EXDEV for a way out.
    pub fn sub_beneath(&self, path: &Path) -> io::Result<Dir> {
        Ok(Dir(beneath::open(&self.0, path, DIRECTORY)?))
    }

    /// A file beneath this directory, opened for reading without waiting; symbolic links in `path` are followed as
    /// long as they stay beneath it.
    ///
    /// # Errors
    /// As openat2(2): EXDEV for a way out.
    pub fn file_beneath(&self, path: &Path) -> io::Result<File> {
        Ok(File::from(beneath::open(&self.0, path, READING)?))
    }

    /// The entry `name`, opened for reading without waiting; never through a symbolic link.
    ///
    /// # Errors
    /// As openat(2): ELOOP for a symbolic link.
    pub fn file(&self, name: &OsStr) -> io::Result<File> {
        single(name)?;
        Ok(File::from(openat(&self.0, name, READING | OFlag::O_NOFOLLOW, Mode::empty())?))
    }

    /// What the entry `name` is; a symbolic link is a link.
    ///
    /// # Errors
    /// As fstatat(2).
    pub fn stat_entry(&self, name: &OsStr) -> io::Result<Stat> {
        Ok(fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?.into())
    }

    /// What this directory is.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn stat(&self) -> io::Result<Stat> {
        Ok(fstat(&self.0)?.into())
    }

    /// Whether this process may make entries here now: permission bits, capabilities and a read-only mount.
    pub fn is_writable(&self) -> bool {
        access::may(&self.0, ".".as_ref(), AccessFlags::W_OK | AccessFlags::X_OK)
    }

    /// Why this process may not make entries here now.
    ///
    /// # Errors
    /// As faccessat(2): what making one would say.
    pub fn would_write(&self) -> io::Result<()> {
        access::access(&self.0, ".".as_ref(), AccessFlags::W_OK | AccessFlags::X_OK)
    }

    /// Whether this process may write to the entry `name` now.
    pub fn may_write(&self, name: &OsStr) -> bool {
        single(name).is_ok() && access::may(&self.0, name.as_ref(), AccessFlags::W_OK)
    }

    /// The names in this directory, sorted, without `.` and `..`.
    ///
    /// # Errors
    /// As readdir(3).
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        self.names_up_to(usize::MAX, &|_| true).map(|found| found.names)
    }

    /// As [`Dir::names`], of a directory that others may fill: at most so many of the names that are wanted, whichever the
    /// file system gives first.
    ///
    /// # Errors
    /// As readdir(3).
    pub fn names_up_to(&self, most: usize, is_wanted: &dyn Fn(&OsStr) -> bool) -> io::Result<Names> {
        let mut found = Names::default();
        for name in self.list()? {
            let name = name?;
            if !is_wanted(&name) {
                continue;
            }
            if found.names.len() == most {
                found.is_cut = true;
                break;
            }
            found.names.push(name);
        }
        found.names.sort();
        Ok(found)
    }

    fn list(&self) -> io::Result<Listing> {
        Listing::of(openat(&self.0, ".", DIRECTORY, Mode::empty())?)
    }

    /// Writes the entry `name` whole: a new file beside it, its attributes, its bytes on disk, then rename(2). A reader
    /// or a crash sees the old file or the new one, and no other process ever opens it with other rights.
    ///
    /// # Errors
    /// As openat(2), fchown(2), write(2), fsync(2) and renameat(2). The temporary file is removed.
    pub fn write_whole(&self, name: &OsStr, bytes: &[u8], attributes: Attributes) -> io::Result<()> {
        self.write_whole_by_way_of(self, name, bytes, attributes)
    }

    /// As [`Dir::write_whole`], with the new file made in `staging`, a directory of the same file system: watchers of
    /// this one then hear of a single rename.
    ///
    /// # Errors
    /// As [`Dir::write_whole`].
    pub fn write_whole_by_way_of(
        &self,
        staging: &Dir,
        name: &OsStr,
        bytes: &[u8],
        attributes: Attributes,
    ) -> io::Result<()> {
        let temporary = staging.write_temporary(name, bytes, attributes)?;
        let renamed = renameat(&staging.0, temporary.as_os_str(), &self.0, name);
        if renamed.is_err() {
            let _ = staging.remove(&temporary);
        }
        Ok(renamed?)
    }

    /// Writes a new file that shall become `name`, its bytes on disk, and returns its own name.
    ///
    /// # Errors
    /// As openat(2), fchown(2), write(2) and fsync(2); there is then no file.
    pub(super) fn write_temporary(&self, name: &OsStr, bytes: &[u8], attributes: Attributes) -> io::Result<OsString> {
        single(name)?;
        let temporary = temporary_name(name);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&self.0, temporary.as_os_str(), flags, Mode::from_bits_truncate(0o600))?);
        let written =
            set_mode_and_owner(&file, attributes).and_then(|()| file.write_all(bytes)).and_then(|()| file.sync_all());
        if written.is_err() {
            let _ = self.remove(&temporary);
        }
        written.map(|()| temporary)
    }

    /// Overwrites the existing entry `name` in its own inode, for a file that is itself a mount point: rename(2) onto
    /// one gives EBUSY. Not atomic: the caller keeps a recovery copy until this returns.
    ///
    /// # Errors
    /// As openat(2), ftruncate(2), write(2) and fsync(2).
    pub fn overwrite(&self, name: &OsStr, bytes: &[u8]) -> io::Result<()> {
        single(name)?;
        let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&self.0, name, flags, Mode::empty())?);
        file.write_all(bytes)?;
        file.set_len(bytes.len() as u64)?;
        file.sync_all()
    }

    /// Removes temporary files of ours ([`Dir::write_whole`]) that a killed process left: those that nobody has written
    /// to for 10 s, by the file system's own clock. A neighbour that writes right now keeps its own.
    ///
    /// What stays for an error stays until the next start: it is in a directory that its owner alone may enter.
    pub fn sweep(&self) {
        let Ok(names) = self.temporaries() else { return };
        if names.is_empty() {
            return;
        }
        let Ok(now) = self.clock() else { return };
        for name in names {
            // Never a directory: unlinkat(2) refuses one.
            if self.modified(&name).is_ok_and(|modified| modified.abs_diff(now) > ABANDONED) {
                let _ = self.remove(&name);
            }
        }
    }

    /// The temporary files among the first entries of this directory: an agent can make any number of others.
    fn temporaries(&self) -> io::Result<Vec<OsString>> {
        const ENTRIES: usize = 4096;
        let mut found = Vec::new();
        for name in self.list()?.take(ENTRIES) {
            let name = name?;
            if is_temporary(&name) {
                found.push(name);
            }
        }
        Ok(found)
    }

    /// The time of this file system, in seconds: a server's clock is not ours.
    fn clock(&self) -> io::Result<i64> {
        let name = self.write_temporary(OsStr::new("clock"), b"", Attributes { mode: 0o600, owner: None })?;
        let now = self.modified(&name);
        self.remove(&name)?;
        now
    }

    /// When the entry `name` was last written to, in seconds.
    fn modified(&self, name: &OsStr) -> io::Result<i64> {
        Ok(fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?.st_mtime)
    }

    /// Removes a file (never a directory).
    ///
    /// # Errors
    /// As unlinkat(2).
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        single(name)?;
        Ok(unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Removes the empty directory `name`, if it is there.
    ///
    /// # Errors
    /// As unlinkat(2): ENOTEMPTY, ENOTDIR.
    pub fn remove_directory(&self, name: &OsStr) -> io::Result<()> {
        single(name)?;
        match unlinkat(&self.0, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Puts this directory's entries on disk.
    ///
    /// # Errors
    /// As fsync(2).
    pub fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.0)?)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `O_NONBLOCK`: a fifo planted under a name must not stop us in open(2).
const READING: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// What an open file is.
///
/// # Errors
/// As fstat(2).
pub fn stat_file(file: &File) -> io::Result<Stat> {
    Ok(fstat(file)?.into())
}

/// Gives an open file or directory an owner and a mode.
///
/// # Errors
/// As fchown(2) and fchmod(2).
pub fn set_mode_and_owner(file: impl AsFd, attributes: Attributes) -> io::Result<()> {
    let now = Stat::from(fstat(&file)?);
    let give = |(uid, gid)| fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    let mut owner = (now.uid, now.gid);
    // The mode first: once the file is another's, it takes CAP_FOWNER.
    if now.mode != attributes.mode {
        let mode = Mode::from_bits_truncate(attributes.mode);
        match fchmod(&file, mode) {
            // It is another's already. CAP_CHOWN alone does it too, by way of us.
            Err(Errno::EPERM) if now.uid != Uid::effective().as_raw() => {
                owner = (Uid::effective().as_raw(), now.gid);
                give(owner)?;
                fchmod(&file, mode)?;
            }
            changed => changed?,
        }
    }
    let wanted = attributes.owner.unwrap_or((now.uid, now.gid));
    if wanted != owner {
        give(wanted)?;
    }
    Ok(())
}

/// At most `limit` bytes of a file: `None` when there are more. What is read is wiped when it is dropped.
///
/// # Errors
/// As read(2).
pub fn read_limited(file: &File, limit: u64) -> io::Result<Option<zeroize::Zeroizing<Vec<u8>>>> {
    let mut bytes =
        zeroize::Zeroizing::new(Vec::with_capacity(usize::try_from(stat_file(file)?.size.min(limit)).unwrap_or(0) + 1));
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// A name is one component: never a way to somewhere else.
pub(super) fn single(name: &OsStr) -> io::Result<()> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(())
}

/// A temporary file that was not written to for so many seconds is nobody's any more: a login is written in milliseconds.
/// Both ways, for the clock may have been wrong when it was written.
const ABANDONED: u64 = 10;

/// Whether this is the name of a temporary file of ours: `.NAME.NANOSECONDS.PID.NUMBER.tmp`.
pub fn is_temporary(name: &OsStr) -> bool {
    let Some(name) = name.to_str().and_then(|name| name.strip_prefix('.')?.strip_suffix(".tmp")) else { return false };
    let mut parts = name.rsplitn(4, '.');
    let all = |part: Option<&str>, test: fn(&u8) -> bool| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| test(&byte)))
    };
    let number = all(parts.next(), u8::is_ascii_digit);
    let pid = all(parts.next(), u8::is_ascii_digit);
    let nanos = all(parts.next(), u8::is_ascii_hexdigit);
    number && pid && nanos && parts.next().is_some_and(|name| !name.is_empty())
}

/// Containers that share a directory are all PID 1: the clock and a counter tell their files apart, and `O_EXCL` what
/// is left of the odds.
fn temporary_name(name: &OsStr) -> OsString {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{nanos:x}.{}.{}.tmp", crate::sys::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
    temporary
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn dir() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        (temp, dir)
    }

    #[test]
    fn write_whole_replaces_a_planted_link_and_not_its_target() {
        let (temp, dir) = dir();
        std::fs::write(temp.path().join("victim"), "old").unwrap();
        symlink("victim", temp.path().join("login")).unwrap();
        dir.write_whole("login".as_ref(), b"new", Attributes { mode: 0o600, owner: None }).unwrap();
        assert_eq!(std::fs::read_to_string(temp.path().join("victim")).unwrap(), "old");
        let written = std::fs::symlink_metadata(temp.path().join("login")).unwrap();
        assert!(written.is_file());
        assert_eq!(written.permissions().mode() & 0o7777, 0o600);
        assert_eq!(dir.names().unwrap(), ["login", "victim"]);
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let (temp, dir) = dir();
        std::fs::create_dir(temp.path().join("login")).unwrap();
        assert!(dir.write_whole("login".as_ref(), b"new", Attributes { mode: 0o600, owner: None }).is_err());
        assert_eq!(dir.names().unwrap(), ["login"]);
    }

    #[test]
    fn what_a_killed_writer_left_is_swept_and_nothing_else() {
        let (temp, dir) = dir();
        let write = |name: &str, seconds: u64| {
            let file = std::fs::File::create(temp.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(seconds)).unwrap();
        };
        let ours = temporary_name("login".as_ref());
        assert!(is_temporary(&ours), "{ours:?}");
        let others =
            ["login", ".login.tmp", ".login.12.tmp", "login.1a.1.0.tmp", ".1a.1.0.tmp", ".x.1g.1.0.tmp", ".x.1.1..tmp"];
        for name in others {
            assert!(!is_temporary(name.as_ref()), "{name}");
            write(name, 3600);
        }
        write(ours.to_str().unwrap(), 3600);
        write(".a.b.18f.1.7.tmp", ABANDONED + 5);
        write(".neighbour.18f.1.7.tmp", 0);
        std::fs::create_dir(temp.path().join(".directory.18f.1.7.tmp")).unwrap();
        let ahead = std::fs::File::create(temp.path().join(".ahead.18f.1.7.tmp")).unwrap();
        ahead.set_modified(SystemTime::now() + std::time::Duration::from_secs(3600)).unwrap();
        dir.sweep();
        let mut expected: Vec<&str> =
            others.into_iter().chain([".neighbour.18f.1.7.tmp", ".directory.18f.1.7.tmp"]).collect();
        expected.sort_unstable();
        assert_eq!(dir.names().unwrap(), expected);
    }

    #[test]
    fn names_with_a_way_out_are_refused() {
        let (_temp, dir) = dir();
        for name in ["", ".", "..", "a/b", "/etc/passwd"] {
            assert!(dir.file(name.as_ref()).is_err(), "{name}");
            assert!(dir.write_whole(name.as_ref(), b"", Attributes { mode: 0o600, owner: None }).is_err(), "{name}");
        }
    }

    #[test]
    fn links_are_followed_beneath_and_not_out() {
        let (temp, dir) = dir();
        std::fs::create_dir(temp.path().join("..2024")).unwrap();
        std::fs::write(temp.path().join("..2024/key"), "v").unwrap();
        symlink("..2024", temp.path().join("..data")).unwrap();
        symlink("..data/key", temp.path().join("key")).unwrap();
        symlink("/etc/passwd", temp.path().join("out")).unwrap();
        assert!(dir.file_beneath("key".as_ref()).is_ok());
        assert!(dir.file_beneath("out".as_ref()).is_err());
        assert!(dir.file("key".as_ref()).is_err());
    }
}
