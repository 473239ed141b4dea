//! Pure. Error numbers that decide something, by name.

use std::io;

use nix::errno::Errno;

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error().map(Errno::from_raw) == Some(errno)
}

/// EAGAIN: a limit is reached, for now.
pub fn is_again(error: &io::Error) -> bool {
    is(error, Errno::EAGAIN)
}

/// ENOEXEC: the kernel knows no way to execute this file.
pub fn is_exec_format(error: &io::Error) -> bool {
    is(error, Errno::ENOEXEC)
}

/// ENOSPC, EDQUOT: the disk or the quota is full.
pub fn is_full(error: &io::Error) -> bool {
    is(error, Errno::ENOSPC) || is(error, Errno::EDQUOT)
}

/// ENXIO: what was opened is a socket, or a device that is not there: open(2).
pub fn is_socket(error: &io::Error) -> bool {
    is(error, Errno::ENXIO)
}

/// Whether the error says nothing of what is there: neither that there is nothing, nor what it is, nor whose.
pub fn is_unknown(error: &io::Error) -> bool {
    use Errno::{EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENXIO, EPERM, EXDEV};
    let says = [EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENXIO, EPERM, EXDEV];
    error.raw_os_error().is_some_and(|number| !says.contains(&Errno::from_raw(number)))
}

/// EROFS: a read-only file system or mount.
pub fn is_read_only(error: &io::Error) -> bool {
    is(error, Errno::EROFS)
}

/// ESRCH: nobody is left to signal.
pub fn is_no_such_process(error: &io::Error) -> bool {
    is(error, Errno::ESRCH)
}

/// EEXIST: the name is taken.
pub fn is_there(error: &io::Error) -> bool {
    is(error, Errno::EEXIST)
}

/// ELOOP where no symbolic link is followed, EXDEV for one that leads out of its directory (openat2(2)).
pub fn is_refused_link(error: &io::Error) -> bool {
    is(error, Errno::ELOOP) || is(error, Errno::EXDEV)
}

/// ENOTTY, EIO: the terminal has hung up (`hung_up_tty_ioctl` in the kernel's `tty_io.c` gives either).
pub fn is_hung_up(error: &io::Error) -> bool {
    is(error, Errno::ENOTTY) || is(error, Errno::EIO)
}

/// EPERM, EINVAL, ENOSYS: the kernel has not got it, or a seccomp filter or an emulation does not let it through.
pub fn is_refused_call(error: &io::Error) -> bool {
    [Errno::EPERM, Errno::EINVAL, Errno::ENOSYS].into_iter().any(|errno| is(error, errno))
}
