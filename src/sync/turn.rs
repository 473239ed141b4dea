//! Pure. Whose turn it is to refresh, seen from one container.
//!
//! The agent locks a directory beside its home around a refresh, and reads its login again under that lock. We hold the
//! lock in its stead. When the agent shows its intent, we open it only with the capture's lease in hand, and only if the
//! stored login is not newer: else the agent finds the newer one at its next try and sends no request.
//!
//! The times were measured with a real agent: it tries again after 1.1 to 3 s, gives a round of tries up after 8 s and
//! the whole after 31 s, and a request of its own ends after 30 s.

use std::time::{Duration, Instant};

/// How long an opened lock stays open for an agent that may be between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(3500);
/// How long a refresh may take at the most before others get their turn.
const LONGEST: Duration = Duration::from_secs(35);

/// The state of the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// We hold the agent's lock.
    Shut,
    /// The agent wants to refresh: the lease is to be taken, and the stored login looked at.
    Asked,
    /// The agent may refresh.
    Open {
        /// Since when.
        since: Instant,
        /// It has: the new login is stored.
        renewed: bool,
    },
}

impl Turn {
    /// The agent showed its intent; it may have withdrawn it already, and will try again.
    #[must_use]
    pub fn asked(self) -> Turn {
        if self == Turn::Shut { Turn::Asked } else { self }
    }

    /// Another container has the lease: its new login will be adopted, and until then the agent waits at the lock.
    #[must_use]
    pub fn refused(self) -> Turn {
        if self == Turn::Asked { Turn::Shut } else { self }
    }

    /// Both ends were compared with the lease in hand.
    #[must_use]
    pub fn compared(self, now: Instant, adopted: bool) -> Turn {
        match self {
            Turn::Asked if adopted => Turn::Shut,
            Turn::Asked => Turn::Open { since: now, renewed: false },
            other => other,
        }
    }

    /// A new login of the agent's was stored.
    #[must_use]
    pub fn renewed(self) -> Turn {
        match self {
            Turn::Open { since, .. } => Turn::Open { since, renewed: true },
            other => other,
        }
    }

    /// Whether the lock is to be taken back. `intent`: the agent is at it now.
    #[must_use]
    pub fn is_done(self, now: Instant, intent: bool) -> bool {
        match self {
            Turn::Open { since, renewed } => {
                (!intent && (renewed || now >= since + BETWEEN_TRIES)) || now >= since + LONGEST
            }
            Turn::Shut | Turn::Asked => false,
        }
    }

    /// The next moment at which something is due without an event; it may be past. The end of an intent is an event.
    #[must_use]
    pub fn deadline(self, intent: bool) -> Option<Instant> {
        match self {
            Turn::Open { since, renewed: false } if !intent => Some(since + BETWEEN_TRIES),
            Turn::Open { since, renewed: true } if !intent => Some(since),
            Turn::Open { since, .. } => Some(since + LONGEST),
            Turn::Shut | Turn::Asked => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let open = Turn::Shut.asked().compared(at(5), false);
        assert_eq!(open, Turn::Open { since: at(5), renewed: false });
        assert!(!open.is_done(at(100), true) && !open.is_done(at(100), false));
        let renewed = open.renewed();
        assert!(!renewed.is_done(at(300), true));
        assert!(renewed.is_done(at(301), false));
    }

    #[test]
    fn a_follower_never_opens() {
        assert_eq!(Turn::Shut.asked().refused(), Turn::Shut);
        assert_eq!(Turn::Shut.asked().compared(Instant::now(), true), Turn::Shut);
    }

    #[test]
    fn an_intent_that_is_withdrawn_keeps_the_lock_open_for_the_next_try() {
        let start = Instant::now();
        let open = Turn::Shut.asked().compared(start, false);
        assert_eq!(open.asked(), open);
        assert!(!open.is_done(start + Duration::from_secs(3), false));
        assert!(open.is_done(start + Duration::from_secs(4), false));
        assert_eq!(open.deadline(false), Some(start + BETWEEN_TRIES));
    }

    #[test]
    fn nobody_refreshes_for_ever() {
        let start = Instant::now();
        let open = Turn::Shut.asked().compared(start, false);
        assert!(!open.is_done(start + Duration::from_secs(34), true));
        assert!(open.is_done(start + Duration::from_secs(35), true));
        assert_eq!(open.deadline(true), Some(start + LONGEST));
    }

    #[test]
    fn there_is_no_timer_while_the_lock_is_held() {
        assert_eq!(Turn::Shut.deadline(false), None);
    }
}
