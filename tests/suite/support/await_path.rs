//! Waiting for the file system.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::LIMIT;

/// A lock that is taken, and what is below the directory, give no event: they are looked at so often.
const LOOK: Duration = Duration::from_millis(100);

/// Waits until `done` holds, looking again at each change in `directory` (not below it).
pub fn await_path(directory: &Path, what: &str, mut done: impl FnMut() -> bool) {
    let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).unwrap();
    let changes = AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MOVE
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_DELETE;
    watch.add_watch(directory, changes).unwrap();
    let limit = Instant::now() + LIMIT;
    while !done() {
        let left = limit.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "{what} did not come about in {}", directory.display());
        let timeout = PollTimeout::try_from(left.min(LOOK)).unwrap();
        poll(&mut [PollFd::new(watch.as_fd(), PollFlags::POLLIN)], timeout).unwrap();
        while watch.read_events().is_ok_and(|events| !events.is_empty()) {}
    }
}

/// Returns once another change of the file would give it another time of change: until then, what reads it reads it again.
pub fn await_settled(file: &Path) {
    let metadata = file.metadata().unwrap();
    let changed = Duration::new(metadata.ctime().try_into().unwrap(), metadata.ctime_nsec().try_into().unwrap());
    while SystemTime::now() < SystemTime::UNIX_EPOCH + changed + Duration::from_millis(20) {
        std::thread::yield_now();
    }
}
