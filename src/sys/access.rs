//! What this process may do at a path, and how much room there is.

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

/// Whether there is, or may be, anything of this name; a symbolic link is. An I/O error tells of nothing missing: whoever
/// opens it then meets the error. (std's way asks the kernel first whether it knows statx(2),
/// by a call that faults.)
pub fn is_there(path: &Path) -> bool {
    exists(path).unwrap_or(true)
}

/// Whether there is anything of this name; a symbolic link is. For a choice between two places, where neither may be taken
/// for want of an answer.
///
/// # Errors
/// It cannot be told.
pub fn exists(path: &Path) -> io::Result<bool> {
    match lstat(path) {
        Ok(_) => Ok(true),
        Err(errno) if may_be(errno) => Err(errno.into()),
        Err(_) => Ok(false),
    }
}

/// What there is of this name; a symbolic link is a link.
///
/// # Errors
/// As lstat(2).
pub fn entry(path: &Path) -> io::Result<Stat> {
    Ok(lstat(path)?.into())
}

/// Whether there is, or may be, a directory; links are followed.
pub fn is_directory(path: &Path) -> bool {
    stat(path).map_or_else(may_be, |found| found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits())
}

fn may_be(errno: Errno) -> bool {
    crate::sys::errno::is_unknown(&errno.into())
}

/// Whether this process may read the file, or list the directory; links are followed.
pub fn may_read(path: &Path) -> bool {
    may(AT_FDCWD, path, AccessFlags::R_OK)
}

/// Whether this process may look entries of the directory up; links are followed.
pub fn may_pass(path: &Path) -> bool {
    may(AT_FDCWD, path, AccessFlags::X_OK)
}

/// Whether this process may write to the file, or make entries in the directory, now.
pub fn may_write(path: &Path) -> bool {
    may(AT_FDCWD, path, AccessFlags::W_OK)
}

/// Whether this process may do that at `path` beneath `at`; links are followed.
pub(super) fn may(at: impl AsFd, path: &Path, access: AccessFlags) -> bool {
    self::access(at, path, access).is_ok()
}

/// The same, with the kernel's reason where it may not.
pub(super) fn access(at: impl AsFd, path: &Path, access: AccessFlags) -> io::Result<()> {
    match faccessat(&at, path, access, AtFlags::AT_EACCESS) {
        // A seccomp filter that does not know faccessat2(2), which libc asks whatever the flags.
        Err(Errno::EPERM) => by_real_user(at.as_fd(), path, access),
        allowed => Ok(allowed?),
    }
}

/// The same by the system call that every kernel has: our real and effective users are the same.
fn by_real_user(at: BorrowedFd<'_>, path: &Path, access: AccessFlags) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path is a string that ends in NUL and outlives the call; all else are integers.
    Errno::result(unsafe { libc::syscall(libc::SYS_faccessat, at.as_raw_fd(), path.as_ptr(), access.bits()) })?;
    Ok(())
}

/// Bytes that a process which is not root may still write there; `None` where that cannot be told.
pub fn room(path: &Path) -> Option<u64> {
    let found = statvfs(path).ok()?;
    // Some file systems have no inodes to run out of, and say 0 of 0.
    let inodes = found.files() == 0 || found.files_available() > 0;
    Some(if inodes { found.blocks_available().saturating_mul(found.fragment_size()) } else { 0 })
}
