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
    working: bool,
    stored: bool,
    /// inotify reports every change of the capture: its file system is not a network one.
    watches_all: bool,
    /// The stored login was there and is missing. Its directory may have been removed, which inotify does not report
    /// while somebody has it open.
    is_missing: bool,
    next_poll: Option<Instant>,
}

impl WatchState {
    /// Nothing is watched yet. `watches_all`: inotify reports every change of the capture.
    pub fn new(watches_all: bool, now: Instant) -> WatchState {
        WatchState {
            working: false,
            stored: false,
            watches_all,
            is_missing: false,
            next_poll: Some(now + POLL_INTERVAL),
        }
    }

    /// The sides that should be watched and are not.
    pub fn unwatched(&self) -> Vec<Side> {
        let sides = [(Side::Working, self.working), (Side::Stored, self.stored)];
        sides.into_iter().filter(|(_, watched)| !watched).map(|(side, _)| side).collect()
    }

    pub fn watched(&mut self, side: Side) {
        *self.is_watched_mut(side) = true;
        self.stop_polling_if_all_is_watched();
    }

    pub fn lost(&mut self, side: Side, now: Instant) {
        *self.is_watched_mut(side) = false;
        self.next_poll.get_or_insert(now + POLL_INTERVAL);
    }

    /// Another directory has taken the place of the capture.
    pub fn store_replaced(&mut self, watches_all: bool, now: Instant) {
        self.watches_all = watches_all;
        self.lost(Side::Stored, now);
    }

    pub fn set_missing(&mut self, is_missing: bool, now: Instant) {
        self.is_missing = is_missing;
        if is_missing {
            self.next_poll.get_or_insert(now + POLL_INTERVAL);
        }
        self.stop_polling_if_all_is_watched();
    }

    /// Whether a poll is due. If it is, the next one is scheduled.
    pub fn is_poll_due(&mut self, now: Instant) -> bool {
        let is_poll_due = self.next_poll.is_some_and(|due| due <= now);
        if is_poll_due {
            self.next_poll = Some(now + POLL_INTERVAL);
        }
        is_poll_due
    }

    /// When to poll next. Never while everything is watched.
    pub fn next_poll(&self) -> Option<Instant> {
        self.next_poll
    }

    fn is_watched_mut(&mut self, side: Side) -> &mut bool {
        match side {
            Side::Working => &mut self.working,
            Side::Stored => &mut self.stored,
        }
    }

    fn stop_polling_if_all_is_watched(&mut self) {
        if self.working && self.stored && self.watches_all && !self.is_missing {
            self.next_poll = None;
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
        assert_eq!((watch_state.next_poll(), watch_state.unwatched()), (None, vec![]));
        watch_state.set_missing(true, now);
        assert_eq!((watch_state.next_poll(), watch_state.unwatched()), (Some(now + POLL_INTERVAL), vec![]));
        watch_state.set_missing(false, now);
        assert_eq!(watch_state.next_poll(), None);
        watch_state.lost(Side::Stored, now);
        assert_eq!((watch_state.next_poll(), watch_state.unwatched()), (Some(now + POLL_INTERVAL), vec![Side::Stored]));
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
        assert_eq!((watch_state.next_poll(), watch_state.unwatched()), (Some(now + POLL_INTERVAL), vec![]));
        watch_state.store_replaced(true, now);
        watch_state.watched(Side::Stored);
        assert_eq!(watch_state.next_poll(), None);
    }
}
