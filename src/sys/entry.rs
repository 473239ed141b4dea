//! The entry point, which replaces Rust's own start. That reads /proc/self/maps for the guard page of a stack of which
//! we have only one, and installs handlers for its overflow: 4.6 % of a start, and 140 KB of code that nothing else needs.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::fs::OpenOptions;
use std::mem;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::libc;

/// Makes `fn(Vec<OsString>) -> u8` the entry point of the process.
#[macro_export]
macro_rules! entry {
    ($start:path) => {
        #[allow(unsafe_code, missing_docs, clippy::missing_safety_doc)]
        // SAFETY: the one `main` of this program; the C runtime calls it once, with its own argc and argv.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn main(
            argc: ::std::ffi::c_int,
            argv: *const *const ::std::ffi::c_char,
        ) -> ::std::ffi::c_int {
            // SAFETY: as the C runtime passed them.
            ::std::ffi::c_int::from($start(unsafe { $crate::sys::entry::begin(argc, argv) }))
        }
    };
}

/// Does the necessary part of Rust's start, and returns the arguments.
///
/// # Safety
/// `argc` and `argv` are those of `main`.
pub unsafe fn begin(argc: c_int, argv: *const *const c_char) -> Vec<OsString> {
    // SAFETY: SIG_IGN is no code of ours. A reader that has gone is an error of write(2), not our end.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    fill_standard_descriptors();
    let argument = |index| {
        // SAFETY: argv has argc strings that live as long as the process.
        let text = unsafe { CStr::from_ptr(*argv.add(index)) };
        OsStr::from_bytes(text.to_bytes()).to_owned()
    };
    (0..usize::try_from(argc).unwrap_or(0)).map(argument).collect()
}

/// If descriptor 0, 1 or 2 is closed, the next file that is opened would get it, and messages would be written to that
/// file.
fn fill_standard_descriptors() {
    for fd in 0..=2 {
        // SAFETY: F_GETFD only asks.
        if Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) }).is_err() {
            // The lowest free descriptor is this one.
            mem::forget(OpenOptions::new().read(true).write(true).open("/dev/null"));
        }
    }
}
