//! Waiting for something to happen to one entry of a directory.

use std::ffi::OsStr;
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// A watch of one directory.
pub struct Watch(Inotify);

impl Watch {
    pub fn new(directory: &Path, events: AddWatchFlags) -> Self {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC).unwrap();
        inotify.add_watch(directory, events).unwrap();
        Self(inotify)
    }

    /// Waits until it happens to the entry `name`.
    pub fn wait(&self, name: &str) {
        let is_it = |found: Option<&OsStr>| found == Some(OsStr::new(name));
        while !self.0.read_events().unwrap().iter().any(|event| is_it(event.name.as_deref())) {}
    }
}
