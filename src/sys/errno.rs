//! The error numbers that decisions depend on, by name. Pure.

use std::io;

use nix::errno::Errno;

fn has_errno(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error().map(Errno::from_raw) == Some(errno)
}

/// The same error of the kernel once more, since an [`io::Error`] cannot be cloned.
pub fn same(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// EAGAIN: a limit is reached at the moment.
pub fn is_again(error: &io::Error) -> bool {
    has_errno(error, Errno::EAGAIN)
}

/// ENOEXEC: the kernel cannot execute this file.
pub fn is_exec_format(error: &io::Error) -> bool {
    has_errno(error, Errno::ENOEXEC)
}

/// ENOSPC, EDQUOT: the disk or the quota is full.
pub fn is_full(error: &io::Error) -> bool {
    has_errno(error, Errno::ENOSPC) || has_errno(error, Errno::EDQUOT)
}

/// ENXIO: the path is a socket, or a device that does not exist (open(2)).
pub fn is_socket(error: &io::Error) -> bool {
    has_errno(error, Errno::ENXIO)
}

/// Whether the error leaves open what the path is. The others say that there is nothing, or what it is, or whose.
pub fn is_unknown(error: &io::Error) -> bool {
    use Errno::{EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENXIO, EPERM, EXDEV};
    let conclusive = [EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENXIO, EPERM, EXDEV];
    error.raw_os_error().is_some_and(|number| !conclusive.contains(&Errno::from_raw(number)))
}

/// EROFS: a read-only file system or mount.
pub fn is_read_only(error: &io::Error) -> bool {
    has_errno(error, Errno::EROFS)
}

/// ESRCH: no such process is left.
pub fn is_no_such_process(error: &io::Error) -> bool {
    has_errno(error, Errno::ESRCH)
}

/// EEXIST: the name exists.
pub fn exists(error: &io::Error) -> bool {
    has_errno(error, Errno::EEXIST)
}

/// ELOOP for a symbolic link that is not followed, EXDEV for one that leads out of its directory (openat2(2)).
pub fn is_refused_link(error: &io::Error) -> bool {
    has_errno(error, Errno::ELOOP) || has_errno(error, Errno::EXDEV)
}

/// ENOTTY, EIO: the terminal has hung up (`hung_up_tty_ioctl` in the kernel's `tty_io.c` returns either).
pub fn is_hung_up(error: &io::Error) -> bool {
    has_errno(error, Errno::ENOTTY) || has_errno(error, Errno::EIO)
}

/// EPERM, EINVAL, ENOSYS: the kernel lacks the call, or a seccomp filter or an emulation refuses it.
pub fn is_refused_call(error: &io::Error) -> bool {
    [Errno::EPERM, Errno::EINVAL, Errno::ENOSYS].into_iter().any(|errno| has_errno(error, errno))
}
