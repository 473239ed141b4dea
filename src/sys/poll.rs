//! Waits for descriptors or a deadline, whichever comes first.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A descriptor, and what to wait for.
pub struct Interest<'f>(PollFd<'f>);

impl<'f> Interest<'f> {
    /// Wait for something to read, or for the end of file.
    pub fn to_read(fd: BorrowedFd<'f>) -> Interest<'f> {
        Interest(PollFd::new(fd, PollFlags::POLLIN))
    }

    /// Wait for room to write.
    pub fn to_write(fd: BorrowedFd<'f>) -> Interest<'f> {
        Interest(PollFd::new(fd, PollFlags::POLLOUT))
    }
}

/// Like [`wait_readable`], for reading and writing.
pub fn wait(interests: Vec<Interest<'_>>, deadline: Option<Instant>) -> io::Result<()> {
    let mut poll_fds: Vec<PollFd<'_>> = interests.into_iter().map(|interest| interest.0).collect();
    match poll(&mut poll_fds, timeout(deadline)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Waits until one of `fds` is readable or hung up, or until `deadline`. Without a deadline it waits forever, with no
/// wake-up in between. It may return early with nothing ready (EINTR), which is harmless.
pub fn wait_readable(fds: &[BorrowedFd<'_>], deadline: Option<Instant>) -> io::Result<()> {
    wait(fds.iter().map(|fd| Interest::to_read(*fd)).collect(), deadline)
}

/// Whether a write to `fd` would not block now.
pub fn is_writable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(ready) if ready > 0)
}

/// Rounded up to a millisecond, so that the deadline has passed when poll(2) returns.
fn timeout(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else { return PollTimeout::NONE };
    let left = deadline.saturating_duration_since(Instant::now());
    let millis = left.saturating_add(Duration::from_micros(999)).as_millis();
    PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
}
