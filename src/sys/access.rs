//! What exists at a path, what this process may do there, and how much space is free.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::libc;
use nix::sys::stat::{SFlag, lstat, stat};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, faccessat};

use crate::sys::stat::Stat;

/// Whether an entry exists, or may exist, at this path. A symbolic link counts as one. After an I/O error the answer is
/// yes, and whoever opens the path meets the error. (std's function first asks the kernel, by a call that faults,
/// whether it knows statx(2).)
pub fn is_there(path: &Path) -> bool {
    exists(path).unwrap_or(true)
}

/// Whether an entry exists at this path. A symbolic link counts as one. Fails if that cannot be known: for a choice
/// between two directories that must not depend on an error.
pub fn exists(path: &Path) -> io::Result<bool> {
    match lstat(path) {
        Ok(_) => Ok(true),
        Err(errno) if is_unknown(errno) => Err(errno.into()),
        Err(_) => Ok(false),
    }
}

/// The entry at this path. A symbolic link is not followed.
pub fn entry(path: &Path) -> io::Result<Stat> {
    Ok(lstat(path)?.into())
}

/// Whether a directory exists, or may exist, at this path. Links are followed.
pub fn is_directory(path: &Path) -> bool {
    stat(path).map_or_else(is_unknown, |found| found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits())
}

fn is_unknown(errno: Errno) -> bool {
    crate::sys::errno::is_unknown(&errno.into())
}

/// Whether this process may read the file or list the directory. Links are followed.
pub fn may_read(path: &Path) -> bool {
    may(AT_FDCWD, path, AccessFlags::R_OK)
}

/// Whether this process has search permission on the directory. Links are followed.
pub fn may_pass(path: &Path) -> bool {
    may(AT_FDCWD, path, AccessFlags::X_OK)
}

/// Whether this process may write to the file, or make entries in the directory.
pub fn may_write(path: &Path) -> bool {
    may(AT_FDCWD, path, AccessFlags::W_OK)
}

/// Whether this process has this access to `path` beneath `at`. Links are followed.
pub(super) fn may(at: impl AsFd, path: &Path, access: AccessFlags) -> bool {
    self::access(at, path, access).is_ok()
}

/// Like `may`, with the kernel's error.
pub(super) fn access(at: impl AsFd, path: &Path, access: AccessFlags) -> io::Result<()> {
    match faccessat(&at, path, access, AtFlags::AT_EACCESS) {
        // A seccomp filter does not know faccessat2(2), which libc calls whatever the flags.
        Err(Errno::EPERM) => by_real_user(at.as_fd(), path, access),
        allowed => Ok(allowed?),
    }
}

/// The check by faccessat(2), which every kernel has. It uses the real user, which is the same as our effective user.
fn by_real_user(at: BorrowedFd<'_>, path: &Path, access: AccessFlags) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path is a string that ends in NUL and outlives the call; all else are integers.
    Errno::result(unsafe { libc::syscall(libc::SYS_faccessat, at.as_raw_fd(), path.as_ptr(), access.bits()) })?;
    Ok(())
}

/// How many bytes an unprivileged process may still write there. `None` if unknown.
pub fn room(path: &Path) -> Option<u64> {
    let found = statvfs(path).ok()?;
    // Some file systems have no inode limit, and report 0 of 0.
    let has_inodes = found.files() == 0 || found.files_available() > 0;
    Some(if has_inodes { found.blocks_available().saturating_mul(found.fragment_size()) } else { 0 })
}
