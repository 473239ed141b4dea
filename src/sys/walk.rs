//! Walks a path name by name, if openat2(2) is missing.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path};

use nix::fcntl::OFlag;

/// The maximum number of links that the kernel follows (`path_resolution(7)`).
pub(super) const MAX_LINKS: usize = 40;

/// Opens an entry of any type, without following a link.
pub(super) const PATH_NOFOLLOW: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// The names that are still to be walked.
#[derive(Default)]
pub(super) struct PathWalk(VecDeque<OsString>);

impl PathWalk {
    /// Puts the components of a path in front.
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
