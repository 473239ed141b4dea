//! Which directories of a sync session are watched, and when to poll because one is not. Pure.

use std::time::{Duration, Instant};

/// The time between two polls of a directory that is not watched.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// A side of a sync session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Working,
    /// The store.
    Stored,
}

#[derive(Debug)]
pub struct WatchState {
    /// The sides that should be watched and are not.
    unwatched: Vec<Side>,
    /// inotify reports every change of the capture: its file system is not a network one.
    watches_all: bool,
    /// The stored login was there and is missing. Its directory may have been removed, which inotify does not report
    /// while somebody has it open.
    is_missing: bool,
    /// When to poll next, as long as there is a reason to.
    poll_at: Instant,
}

impl WatchState {
    /// Nothing is watched yet. `watches_all`: inotify reports every change of the capture.
    pub fn new(watches_all: bool, now: Instant) -> WatchState {
        WatchState {
            unwatched: vec![Side::Working, Side::Stored],
            watches_all,
            is_missing: false,
            poll_at: now + POLL_INTERVAL,
        }
    }

    /// The sides that should be watched and are not.
    pub fn unwatched(&self) -> &[Side] {
        &self.unwatched
    }

    pub fn watched(&mut self, side: Side) {
        self.unwatched.retain(|unwatched| *unwatched != side);
    }

    pub fn lost(&mut self, side: Side, now: Instant) {
        self.begin_polling(now);
        if !self.unwatched.contains(&side) {
            self.unwatched.push(side);
        }
    }

    /// Another directory has taken the place of the capture.
    pub fn store_replaced(&mut self, watches_all: bool, now: Instant) {
        self.lost(Side::Stored, now);
        self.watches_all = watches_all;
    }

    pub fn set_missing(&mut self, is_missing: bool, now: Instant) {
        self.begin_polling(now);
        self.is_missing = is_missing;
    }

    /// Whether a poll is due. If it is, the next one is scheduled.
    pub fn is_poll_due(&mut self, now: Instant) -> bool {
        let is_poll_due = self.must_poll() && self.poll_at <= now;
        if is_poll_due {
            self.poll_at = now + POLL_INTERVAL;
        }
        is_poll_due
    }

    /// When to poll next. Never while everything is watched.
    pub fn next_poll(&self) -> Option<Instant> {
        self.must_poll().then_some(self.poll_at)
    }

    fn must_poll(&self) -> bool {
        !self.unwatched.is_empty() || !self.watches_all || self.is_missing
    }

    /// There may be a reason to poll from now on. If there was none, the first poll comes after an interval.
    fn begin_polling(&mut self, now: Instant) {
        if !self.must_poll() {
            self.poll_at = now + POLL_INTERVAL;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_polled_while_everything_is_watched() {
        let now = Instant::now();
        let mut watch_state = WatchState::new(true, now);
        assert_eq!(watch_state.unwatched(), [Side::Working, Side::Stored]);
        watch_state.watched(Side::Working);
        assert!(watch_state.next_poll().is_some());
        watch_state.watched(Side::Stored);
        assert_eq!((watch_state.next_poll(), watch_state.unwatched()), (None, &[][..]));
        watch_state.set_missing(true, now);
        assert_eq!((watch_state.next_poll(), watch_state.unwatched()), (Some(now + POLL_INTERVAL), &[][..]));
        watch_state.set_missing(false, now);
        assert_eq!(watch_state.next_poll(), None);
        watch_state.lost(Side::Stored, now);
        assert_eq!(
            (watch_state.next_poll(), watch_state.unwatched()),
            (Some(now + POLL_INTERVAL), &[Side::Stored][..])
        );
        assert!(!watch_state.is_poll_due(now));
        assert!(
            watch_state.is_poll_due(now + POLL_INTERVAL)
                && watch_state.next_poll() == Some(now + POLL_INTERVAL + POLL_INTERVAL)
        );
    }

    #[test]
    fn a_capture_on_a_network_file_system_is_polled_forever() {
        let now = Instant::now();
        let mut watch_state = WatchState::new(false, now);
        watch_state.watched(Side::Working);
        watch_state.watched(Side::Stored);
        assert_eq!((watch_state.next_poll(), watch_state.unwatched()), (Some(now + POLL_INTERVAL), &[][..]));
        watch_state.store_replaced(true, now);
        watch_state.watched(Side::Stored);
        assert_eq!(watch_state.next_poll(), None);
    }
}
