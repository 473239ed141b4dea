//! Whether somebody holds a lock.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

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
