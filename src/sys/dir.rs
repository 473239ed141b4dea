//! Directory handles. Every name is looked up beneath a handle, never by a path that somebody else can change.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod, fstat, fstatat, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{AccessFlags, Gid, Uid, UnlinkatFlags, fchown, fsync, unlinkat};

use crate::sys::listing::Listing;
use crate::sys::stat::Stat;
use crate::sys::{access, beneath, resolve};

/// Mode and owner of a file or directory to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// The permission bits.
    pub mode: u32,
    /// Owner and group. `None` leaves ours.
    pub owner: Option<(u32, u32)>,
}

/// When the content of a file is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When the write returns. For what exists nowhere else.
    Synced,
    /// When the kernel writes it. For a copy of something that is kept elsewhere: after a crash of the machine the file
    /// may be old, empty or gone.
    Later,
}

/// Names in a directory, sorted, without `.` and `..`.
#[derive(Debug, Default)]
pub struct Names {
    pub names: Vec<OsString>,
    /// There are more names.
    pub is_cut: bool,
}

#[derive(Debug)]
pub struct Dir(OwnedFd);

const DIRECTORY_FLAGS: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

impl Dir {
    /// Opens a directory by the operator's path. Symbolic links of root's and our own are followed. Anybody else's are
    /// followed only if they stay beneath their directory; otherwise the error says which link leads out.
    pub fn open(path: &Path) -> io::Result<Dir> {
        Ok(Dir(resolve::open(path, DIRECTORY_FLAGS)?))
    }

    /// Opens a directory with `O_PATH`, which needs only search permission, to look up entries by name.
    pub fn open_search_only(path: &Path) -> io::Result<Dir> {
        Ok(Dir(resolve::open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)?))
    }

    /// Opens the subdirectory `name`. Fails with ELOOP or ENOTDIR for a symbolic link.
    pub fn sub(&self, name: &OsStr) -> io::Result<Dir> {
        check_component(name)?;
        Ok(Dir(openat(&self.0, name, DIRECTORY_FLAGS | OFlag::O_NOFOLLOW, Mode::empty())?))
    }

    /// Opens the subdirectory `name`. If it does not exist, it is made with these attributes.
    pub fn make(&self, name: &OsStr, attributes: Attributes) -> io::Result<Dir> {
        check_component(name)?;
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

    /// A second descriptor for the same directory. Nothing is looked up.
    pub fn duplicate(&self) -> io::Result<Dir> {
        Ok(Dir(self.0.try_clone()?))
    }

    pub fn set_mode_and_owner(&self, attributes: Attributes) -> io::Result<()> {
        set_mode_and_owner(&self.0, attributes)
    }

    /// Opens a directory beneath this one. Symbolic links are followed as long as they stay beneath; EXDEV if one leads
    /// out.
    pub fn sub_beneath(&self, path: &Path) -> io::Result<Dir> {
        Ok(Dir(beneath::open(&self.0, path, DIRECTORY_FLAGS)?))
    }

    /// Opens a file beneath this directory for reading, without blocking. Symbolic links are followed as long as they
    /// stay beneath; EXDEV if one leads out.
    pub fn file_beneath(&self, path: &Path) -> io::Result<File> {
        Ok(File::from(beneath::open(&self.0, path, READ_FLAGS)?))
    }

    /// Opens the entry `name` for reading, without blocking. Fails with ELOOP for a symbolic link.
    pub fn file(&self, name: &OsStr) -> io::Result<File> {
        check_component(name)?;
        Ok(File::from(openat(&self.0, name, READ_FLAGS | OFlag::O_NOFOLLOW, Mode::empty())?))
    }

    /// The metadata of the entry `name`. A symbolic link is not followed.
    pub fn stat_entry(&self, name: &OsStr) -> io::Result<Stat> {
        Ok(fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?.into())
    }

    pub fn stat(&self) -> io::Result<Stat> {
        Ok(fstat(&self.0)?.into())
    }

    /// Whether this process may make entries here now, by permission bits, capabilities and mount.
    pub fn is_writable(&self) -> bool {
        access::may(&self.0, ".".as_ref(), AccessFlags::W_OK | AccessFlags::X_OK)
    }

    /// Fails with the kernel's reason if this process may not make entries here now.
    pub fn check_writable(&self) -> io::Result<()> {
        access::access(&self.0, ".".as_ref(), AccessFlags::W_OK | AccessFlags::X_OK)
    }

    /// Whether this process may write to the entry `name` now.
    pub fn may_write(&self, name: &OsStr) -> bool {
        check_component(name).is_ok() && access::may(&self.0, name.as_ref(), AccessFlags::W_OK)
    }

    /// The names in this directory, sorted, without `.` and `..`.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        self.names_up_to(usize::MAX, &|_| true).map(|found| found.names)
    }

    /// Like [`Dir::names`], for a directory that others may fill: at most `most` of the wanted names, the first ones
    /// that the file system returns.
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
        Listing::open(openat(&self.0, ".", DIRECTORY_FLAGS, Mode::empty())?)
    }

    /// Writes the entry `name` atomically: writes a new file with its attributes, syncs it, and renames it. A reader or
    /// a crash sees either the old file or the new one, and nobody can open the new one with other permissions. After
    /// an error the temporary file is removed.
    pub fn write_whole(&self, name: &OsStr, bytes: &[u8], attributes: Attributes) -> io::Result<()> {
        self.write_whole_staged_in(self, name, bytes, attributes)
    }

    /// Like [`Dir::write_whole`], but does not wait for the disk: for what can be made again.
    pub fn write_copy(&self, name: &OsStr, bytes: &[u8], attributes: Attributes) -> io::Result<()> {
        let temporary = self.write_temporary(name, bytes, attributes, Durability::Later)?;
        self.rename_temporary(self, &temporary, name)
    }

    /// Makes the entry `name` an empty file. An entry that is there stays as it is.
    pub fn make_file(&self, name: &OsStr, attributes: Attributes) -> io::Result<()> {
        check_component(name)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(&self.0, name, flags, Mode::from_bits_truncate(0o600)) {
            Ok(made) => set_mode_and_owner(File::from(made), attributes),
            Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes the entry `name` a symbolic link, which belongs to `owner`.
    pub fn make_link(&self, target: &Path, name: &OsStr, owner: Option<(u32, u32)>) -> io::Result<()> {
        check_component(name)?;
        nix::unistd::symlinkat(target, &self.0, name)?;
        let Some((uid, gid)) = owner else { return Ok(()) };
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        Ok(nix::unistd::fchownat(&self.0, name, Some(uid), Some(gid), nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    /// Renames an entry within this directory. Nothing is replaced: fails with EEXIST. Nobody else may write here
    /// meanwhile.
    pub fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        check_component(from)?;
        check_component(to)?;
        if self.stat_entry(to).is_ok() {
            return Err(Errno::EEXIST.into());
        }
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    /// Where the entry `name` leads, if it is a symbolic link.
    pub fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        check_component(name)?;
        Ok(nix::fcntl::readlinkat(&self.0, name)?.into())
    }

    /// Makes the entry `name` a copy of what is left of `from`, at most `limit` bytes, with this mtime. Like
    /// [`Dir::write_copy`]. The kernel copies (`copy_file_range(2)`), and shares blocks where the file system can. Fails
    /// with EFBIG if there is more.
    pub fn copy_file(
        &self,
        name: &OsStr,
        from: &File,
        limit: u64,
        modified: (i64, i64),
        attributes: Attributes,
    ) -> io::Result<u64> {
        check_component(name)?;
        let temporary = temporary_name(name);
        let mut file = self.make_temporary(&temporary)?;
        let mut copy = || {
            set_mode_and_owner(&file, attributes)?;
            // Most files are small, and then read(2) and write(2) are cheaper than what follows.
            let mut first = Vec::with_capacity(SMALL_FILE);
            from.take(SMALL_FILE as u64).read_to_end(&mut first)?;
            file.write_all(&first)?;
            let rest = if first.len() < SMALL_FILE { 0 } else { io::copy(&mut from.take(limit + 1), &mut file)? };
            let copied = first.len() as u64 + rest;
            if copied > limit {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            let (seconds, nanoseconds) = modified;
            let modified = TimeSpec::new(seconds, nanoseconds);
            futimens(&file, &TimeSpec::UTIME_OMIT, &modified)?;
            Ok(copied)
        };
        match copy() {
            Ok(copied) => self.rename_temporary(self, &temporary, name).map(|()| copied),
            Err(error) => {
                let _ = self.remove(&temporary);
                Err(error)
            }
        }
    }

    /// Like [`Dir::write_whole`], with the temporary file in `staging`, a directory of the same file system. Watchers
    /// of this directory then see a single rename.
    pub fn write_whole_staged_in(
        &self,
        staging: &Dir,
        name: &OsStr,
        bytes: &[u8],
        attributes: Attributes,
    ) -> io::Result<()> {
        let temporary = staging.write_temporary(name, bytes, attributes, Durability::Synced)?;
        self.rename_temporary(staging, &temporary, name)
    }

    fn rename_temporary(&self, staging: &Dir, temporary: &OsStr, name: &OsStr) -> io::Result<()> {
        let renamed = renameat(&staging.0, temporary, &self.0, name);
        if renamed.is_err() {
            let _ = staging.remove(temporary);
        }
        Ok(renamed?)
    }

    /// Writes a new file that will become `name`. Returns its temporary name. After an error there is no file.
    pub(super) fn write_temporary(
        &self,
        name: &OsStr,
        bytes: &[u8],
        attributes: Attributes,
        durability: Durability,
    ) -> io::Result<OsString> {
        check_component(name)?;
        let temporary = temporary_name(name);
        let mut file = self.make_temporary(&temporary)?;
        let sync = |file: &File| if durability == Durability::Synced { file.sync_all() } else { Ok(()) };
        let written =
            set_mode_and_owner(&file, attributes).and_then(|()| file.write_all(bytes)).and_then(|()| sync(&file));
        if written.is_err() {
            let _ = self.remove(&temporary);
        }
        written.map(|()| temporary)
    }

    fn make_temporary(&self, temporary: &OsStr) -> io::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(File::from(openat(&self.0, temporary, flags, Mode::from_bits_truncate(0o600))?))
    }

    /// Overwrites the existing entry `name` in place. For a file that is a mount point: rename(2) onto one fails with
    /// EBUSY. Not atomic, so the caller keeps a recovery copy until this returns.
    pub fn overwrite(&self, name: &OsStr, bytes: &[u8]) -> io::Result<()> {
        check_component(name)?;
        let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&self.0, name, flags, Mode::empty())?);
        file.write_all(bytes)?;
        file.set_len(bytes.len() as u64)?;
        file.sync_all()
    }

    /// Removes temporary files of [`Dir::write_whole`] that killed processes left: those that have not been written to
    /// for 10 s, by the file system's own clock. A process that is writing right now keeps its own.
    ///
    /// After an error the files stay until the next start. Only the owner of their directory may enter it.
    pub fn sweep(&self) {
        let Ok(names) = self.temporaries() else { return };
        if names.is_empty() {
            return;
        }
        let Ok(now) = self.clock() else { return };
        for name in names {
            // Never a directory: unlinkat(2) refuses one.
            if self.modified(&name).is_ok_and(|modified| modified.abs_diff(now) > ABANDONED_AFTER) {
                let _ = self.remove(&name);
            }
        }
    }

    /// The temporary files among the first entries of this directory. An agent can make any number of others.
    fn temporaries(&self) -> io::Result<Vec<OsString>> {
        const MAX_ENTRIES: usize = 4096;
        let mut found = Vec::new();
        for name in self.list()?.take(MAX_ENTRIES) {
            let name = name?;
            if is_temporary(&name) {
                found.push(name);
            }
        }
        Ok(found)
    }

    /// The time of this file system in seconds. A file server has a clock of its own.
    fn clock(&self) -> io::Result<i64> {
        let name =
            self.write_temporary(OsStr::new("clock"), b"", Attributes { mode: 0o600, owner: None }, Durability::Later)?;
        let now = self.modified(&name);
        self.remove(&name)?;
        now
    }

    /// The mtime of the entry `name`, in seconds.
    fn modified(&self, name: &OsStr) -> io::Result<i64> {
        Ok(fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW)?.st_mtime)
    }

    /// Removes a file, never a directory.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        check_component(name)?;
        Ok(unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Removes the empty directory `name`, if it exists. Fails with ENOTEMPTY or ENOTDIR.
    pub fn remove_directory(&self, name: &OsStr) -> io::Result<()> {
        check_component(name)?;
        match unlinkat(&self.0, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Writes this directory's entries to disk.
    pub fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.0)?)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How much of a file is copied at once.
const SMALL_FILE: usize = 32 * 1024;

/// `O_NONBLOCK`: open(2) of a planted fifo must not block.
const READ_FLAGS: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

pub fn stat_file(file: &File) -> io::Result<Stat> {
    Ok(fstat(file)?.into())
}

pub fn set_mode_and_owner(file: impl AsFd, attributes: Attributes) -> io::Result<()> {
    let now = Stat::from(fstat(&file)?);
    let change_owner = |(uid, gid)| fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    let mut owner = (now.uid, now.gid);
    // The mode first: once the file belongs to somebody else, changing it needs CAP_FOWNER.
    if now.mode != attributes.mode {
        let mode = Mode::from_bits_truncate(attributes.mode);
        match fchmod(&file, mode) {
            // It already belongs to somebody else. With CAP_CHOWN alone it can be changed by taking it over first.
            Err(Errno::EPERM) if now.uid != Uid::effective().as_raw() => {
                owner = (Uid::effective().as_raw(), now.gid);
                change_owner(owner)?;
                fchmod(&file, mode)?;
            }
            changed => changed?,
        }
    }
    let wanted = attributes.owner.unwrap_or((now.uid, now.gid));
    if wanted != owner {
        change_owner(wanted)?;
    }
    Ok(())
}

/// Reads a file of at most `limit` bytes. `None` if it is larger. The bytes are wiped on drop.
pub fn read_limited(file: &File, limit: u64) -> io::Result<Option<zeroize::Zeroizing<Vec<u8>>>> {
    let mut bytes =
        zeroize::Zeroizing::new(Vec::with_capacity(usize::try_from(stat_file(file)?.size.min(limit)).unwrap_or(0) + 1));
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// Checks that a name is one component and leads nowhere else.
pub(super) fn check_component(name: &OsStr) -> io::Result<()> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(())
}

/// A temporary file with an mtime this many seconds away is abandoned: a login is written in milliseconds. The future
/// counts too, because the clock may have been wrong when it was written.
const ABANDONED_AFTER: u64 = 10;

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

/// Containers that share a directory all have PID 1, so the clock and a counter make names differ. `O_EXCL` covers the
/// remaining chance of a collision.
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
    fn write_whole_replaces_a_planted_link_but_not_its_target() {
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
    fn only_abandoned_temporary_files_are_swept() {
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
        write(".a.b.18f.1.7.tmp", ABANDONED_AFTER + 5);
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
    fn names_of_several_components_are_refused() {
        let (_temp, dir) = dir();
        for name in ["", ".", "..", "a/b", "/etc/passwd"] {
            assert!(dir.file(name.as_ref()).is_err(), "{name}");
            assert!(dir.write_whole(name.as_ref(), b"", Attributes { mode: 0o600, owner: None }).is_err(), "{name}");
        }
    }

    #[test]
    fn links_are_followed_only_beneath_the_directory() {
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
