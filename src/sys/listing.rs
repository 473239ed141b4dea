//! readdir(3) with a destructor that does not panic. Those of nix and std panic on an error of closedir(3), which a
//! network file system that has gone away returns.

use std::ffi::{CStr, OsStr, OsString};
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::libc;

/// The names in a directory, without `.` and `..`, in the order of the file system.
pub(super) struct Listing(NonNull<libc::DIR>);

impl Listing {
    /// Lists an open directory from its beginning.
    pub(super) fn open(directory: OwnedFd) -> io::Result<Listing> {
        let fd = directory.into_raw_fd();
        // SAFETY: fdopendir takes the descriptor over, and leaves it to us when it fails.
        let stream = unsafe { libc::fdopendir(fd) };
        let Some(stream) = NonNull::new(stream) else {
            let error = io::Error::last_os_error();
            // SAFETY: the descriptor was given up above, and nobody else has taken it.
            unsafe { libc::close(fd) };
            return Err(error);
        };
        Ok(Listing(stream))
    }
}

impl Iterator for Listing {
    type Item = io::Result<OsString>;

    fn next(&mut self) -> Option<io::Result<OsString>> {
        loop {
            Errno::clear();
            // SAFETY: the stream is open until it is dropped, and no other thread reads it.
            let entry = unsafe { libc::readdir(self.0.as_ptr()) };
            if entry.is_null() {
                return match Errno::last_raw() {
                    0 => None,
                    number => Some(Err(io::Error::from_raw_os_error(number))),
                };
            }
            // SAFETY: the entry is valid until the next call on this stream, and its name ends with a NUL byte.
            let name = unsafe { CStr::from_ptr((*entry).d_name.as_ptr()) }.to_bytes();
            if name != b"." && name != b".." {
                return Some(Ok(OsStr::from_bytes(name).to_owned()));
            }
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        // SAFETY: the stream is open, and is not used after this. Nothing can be done about an error: the descriptor is
        // closed all the same (close(2)).
        unsafe { libc::closedir(self.0.as_ptr()) };
    }
}
