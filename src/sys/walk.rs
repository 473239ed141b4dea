//! A path that is walked name by name, where openat2(2) is missing.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path};

use nix::fcntl::OFlag;

/// As many links as the kernel follows: `path_resolution(7)`.
pub(super) const LINKS: usize = 40;

/// A name on the way, whatever it is.
pub(super) const PASSAGE: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// The names that are still to be passed.
#[derive(Default)]
pub(super) struct Way(VecDeque<OsString>);

impl Way {
    /// Puts the components of a path before what is ahead.
    pub(super) fn prepend(&mut self, path: &Path) {
        for component in path.components().rev() {
            if component != Component::CurDir {
                self.0.push_front(component.as_os_str().to_owned());
            }
        }
    }

    pub(super) fn next(&mut self) -> Option<OsString> {
        self.0.pop_front()
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}
