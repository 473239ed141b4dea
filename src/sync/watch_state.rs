//! Pure. Which ends of a link are heard when they change, and when to look because one is not.

use std::time::{Duration, Instant};

/// Between two looks at an end that is not heard.
const LOOK: Duration = Duration::from_secs(2);

/// One end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The working copy.
    Working,
    /// The capture.
    Stored,
}

/// What is heard.
#[derive(Debug)]
pub struct WatchState {
    working: bool,
    stored: bool,
    /// A watch there hears of everything.
    watches_all: bool,
    /// There is no stored login, and there was: its directory may be on its way out, which inotify does not tell as long
    /// as somebody has it open.
    is_missing: bool,
    next: Option<Instant>,
}

impl WatchState {
    /// Nothing is heard yet. `watches_all`: the capture's file system tells of all that happens to it.
    pub fn new(watches_all: bool, now: Instant) -> WatchState {
        WatchState { working: false, stored: false, watches_all, is_missing: false, next: Some(now + LOOK) }
    }

    /// The ends that are to be watched, and are not.
    pub fn unwatched(&self) -> Vec<Side> {
        let sides = [(Side::Working, self.working), (Side::Stored, self.stored)];
        sides.into_iter().filter(|(_, watched)| !watched).map(|(side, _)| side).collect()
    }

    /// This end is watched.
    pub fn watched(&mut self, side: Side) {
        *self.side(side) = true;
        self.settle();
    }

    /// This end is watched no longer.
    pub fn lost(&mut self, side: Side, now: Instant) {
        *self.side(side) = false;
        self.next.get_or_insert(now + LOOK);
    }

    /// The capture is another directory now.
    pub fn moved(&mut self, watches_all: bool, now: Instant) {
        self.watches_all = watches_all;
        self.lost(Side::Stored, now);
    }

    /// Whether the stored login is missing.
    pub fn missing(&mut self, is_missing: bool, now: Instant) {
        self.is_missing = is_missing;
        if is_missing {
            self.next.get_or_insert(now + LOOK);
        }
        self.settle();
    }

    /// Whether a look is due; the next one is then some time ahead.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.next.is_some_and(|next| next <= now);
        if is_due {
            self.next = Some(now + LOOK);
        }
        is_due
    }

    /// When to look. Never while everything is heard.
    pub fn due(&self) -> Option<Instant> {
        self.next
    }

    fn side(&mut self, side: Side) -> &mut bool {
        match side {
            Side::Working => &mut self.working,
            Side::Stored => &mut self.stored,
        }
    }

    fn settle(&mut self) {
        if self.working && self.stored && self.watches_all && !self.is_missing {
            self.next = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_looks_while_everything_is_heard() {
        let now = Instant::now();
        let mut watch_state = WatchState::new(true, now);
        assert_eq!(watch_state.unwatched(), [Side::Working, Side::Stored]);
        watch_state.watched(Side::Working);
        assert!(watch_state.due().is_some());
        watch_state.watched(Side::Stored);
        assert_eq!((watch_state.due(), watch_state.unwatched()), (None, vec![]));
        watch_state.missing(true, now);
        assert_eq!((watch_state.due(), watch_state.unwatched()), (Some(now + LOOK), vec![]));
        watch_state.missing(false, now);
        assert_eq!(watch_state.due(), None);
        watch_state.lost(Side::Stored, now);
        assert_eq!((watch_state.due(), watch_state.unwatched()), (Some(now + LOOK), vec![Side::Stored]));
        assert!(!watch_state.is_due(now));
        assert!(watch_state.is_due(now + LOOK) && watch_state.due() == Some(now + LOOK + LOOK));
    }

    #[test]
    fn what_other_machines_change_is_looked_at_for_ever() {
        let now = Instant::now();
        let mut watch_state = WatchState::new(false, now);
        watch_state.watched(Side::Working);
        watch_state.watched(Side::Stored);
        assert_eq!((watch_state.due(), watch_state.unwatched()), (Some(now + LOOK), vec![]));
        watch_state.moved(true, now);
        watch_state.watched(Side::Stored);
        assert_eq!(watch_state.due(), None);
    }
}
