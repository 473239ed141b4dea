//! Pure. Whose turn it is to refresh, seen from one container.
//!
//! The agent locks a directory beside its home around a refresh, and reads its login again under that lock. We hold the
//! lock on its behalf. When the agent shows its intent, we open it only with the capture's lease in hand, and only if the
//! stored login is not newer: else the agent finds the newer one at its next try and sends no request.
//!
//! | state | lease | lock | left by | at the latest after |
//! |---|---|---|---|---|
//! | `Idle` | free | held | an intent: `Asked` | - |
//! | `Asked` | asked for | held | the lease granted: `Granted`; refused: `Idle` | 35 s: `Resting` |
//! | `Granted` | ours | held | both ends compared: `Open`, or `Idle` when a newer login was adopted or a stop has begun | 35 s: `Resting` |
//! | `Open` | ours | open | no intent any more, and the new login stored: `Idle`; and nothing stored 3.5 s after the lock was opened: `Resting` | 35 s: `Resting` |
//! | `Resting` | free | held | - | 3.5 s: `Idle` |
//!
//! The right column needs neither the agent nor the store. A turn that brought no new login is followed by a rest, in
//! which this agent's intents are not heard: the agents of other containers try again within 3 s, and so each of them
//! comes to its turn, whatever ours does.
//!
//! The times were measured with a real agent: it tries again after 1.1 to 3 s, gives a round of tries up after 8 s and
//! the whole after 31 s, and a request of its own ends after 30 s.

use std::time::{Duration, Instant};

/// How long an opened lock stays open for an agent that may be between two tries, and how long a rest is.
const BETWEEN_TRIES: Duration = Duration::from_millis(3500);
/// How long a state with the lease, or with a wish for it, may last before others get their turn.
const LONGEST: Duration = Duration::from_secs(35);

/// The state of the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// We hold the agent's lock.
    Idle,
    /// The agent wants to refresh: the lease is asked for.
    Asked {
        /// Since when.
        since: Instant,
    },
    /// The lease is ours: the stored login is to be looked at.
    Granted {
        /// Since when.
        since: Instant,
    },
    /// The agent may refresh.
    Open {
        /// Since when.
        since: Instant,
        /// It has: the new login is stored.
        renewed: bool,
    },
    /// It had its turn.
    Resting {
        /// Until when.
        until: Instant,
    },
}

/// Why a turn ended before it was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// Both ends could not be compared.
    Comparison,
    /// The agent did not come to the end of its refresh.
    Refresh,
}

impl Turn {
    /// The agent showed its intent; it may have withdrawn it already, and will try again.
    pub fn asked(self, now: Instant) -> Turn {
        if self == Turn::Idle { Turn::Asked { since: now } } else { self }
    }

    /// The lease is ours.
    pub fn granted(self, now: Instant) -> Turn {
        if let Turn::Asked { .. } = self { Turn::Granted { since: now } } else { self }
    }

    /// Another container has the lease: its new login will be adopted, and until then the agent waits at the lock.
    pub fn refused(self) -> Turn {
        if let Turn::Asked { .. } = self { Turn::Idle } else { self }
    }

    /// Both ends were compared with the lease in hand. `opens`: the agent shall refresh.
    pub fn compared(self, now: Instant, opens: bool) -> Turn {
        match self {
            Turn::Granted { .. } if opens => Turn::Open { since: now, renewed: false },
            Turn::Granted { .. } => Turn::Idle,
            other => other,
        }
    }

    /// A new login of the agent's was stored.
    pub fn renewed(self) -> Turn {
        match self {
            Turn::Open { since, .. } => Turn::Open { since, renewed: true },
            other => other,
        }
    }

    /// What time makes of it. `intent`: the agent is at it now.
    pub fn at(self, now: Instant, intent: bool) -> (Turn, Option<Overdue>) {
        let rests = Turn::Resting { until: now + BETWEEN_TRIES };
        match self {
            Turn::Asked { since } | Turn::Granted { since } if now >= since + LONGEST => {
                (rests, Some(Overdue::Comparison))
            }
            Turn::Open { renewed: true, .. } if !intent => (Turn::Idle, None),
            Turn::Open { since, .. } if !intent && now >= since + BETWEEN_TRIES => (rests, None),
            Turn::Open { since, .. } if now >= since + LONGEST => (rests, Some(Overdue::Refresh)),
            Turn::Resting { until } if now >= until => (Turn::Idle, None),
            other => (other, None),
        }
    }

    /// Whether the lease is ours, or asked for.
    pub fn needs_lease(self) -> bool {
        matches!(self, Turn::Asked { .. } | Turn::Granted { .. } | Turn::Open { .. })
    }

    /// The next moment at which something is due without an event; it may be past. The end of an intent is an event.
    pub fn deadline(self, intent: bool) -> Option<Instant> {
        match self {
            Turn::Idle => None,
            Turn::Open { since, renewed: true } if !intent => Some(since),
            Turn::Open { since, .. } if !intent => Some(since + BETWEEN_TRIES),
            Turn::Asked { since } | Turn::Granted { since } | Turn::Open { since, .. } => Some(since + LONGEST),
            Turn::Resting { until } => Some(until),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn granted(at: Instant) -> Turn {
        Turn::Idle.asked(at).granted(at)
    }

    #[test]
    fn a_refresh() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let open = granted(start).compared(at(5), true);
        assert_eq!(open, Turn::Open { since: at(5), renewed: false });
        assert_eq!(open.at(at(100), true), (open, None));
        assert_eq!(open.at(at(100), false), (open, None));
        let renewed = open.renewed();
        assert_eq!(renewed.at(at(300), true), (renewed, None));
        assert_eq!(renewed.at(at(301), false), (Turn::Idle, None));
    }

    #[test]
    fn a_follower_never_opens() {
        let now = Instant::now();
        assert_eq!(Turn::Idle.asked(now).refused(), Turn::Idle);
        assert_eq!(granted(now).compared(now, false), Turn::Idle);
        // A word that comes too late grants nothing.
        assert_eq!(Turn::Idle.granted(now), Turn::Idle);
        assert_eq!(Turn::Idle.asked(now).compared(now, true), Turn::Asked { since: now });
    }

    #[test]
    fn an_intent_that_is_withdrawn_keeps_the_lock_open_for_the_next_try() {
        let start = Instant::now();
        let open = granted(start).compared(start, true);
        assert_eq!(open.asked(start), open);
        assert_eq!(open.at(start + Duration::from_secs(3), false), (open, None));
        assert_eq!(open.deadline(false), Some(start + BETWEEN_TRIES));
        let (rests, overdue) = open.at(start + BETWEEN_TRIES, false);
        assert_eq!((rests, overdue), (Turn::Resting { until: start + 2 * BETWEEN_TRIES }, None));
        assert_eq!(rests.asked(start), rests);
    }

    #[test]
    fn there_is_no_timer_while_the_lock_is_held_and_nobody_waits() {
        assert_eq!(Turn::Idle.deadline(false), None);
    }

    /// What may happen to a turn, in any order.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Asked,
        Granted,
        Refused,
        Compared(bool),
        Renewed,
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Asked),
            Just(Event::Granted),
            Just(Event::Refused),
            any::<bool>().prop_map(Event::Compared),
            Just(Event::Renewed),
        ]
    }

    fn after(turn: Turn, event: Event, now: Instant) -> Turn {
        match event {
            Event::Asked => turn.asked(now),
            Event::Granted => turn.granted(now),
            Event::Refused => turn.refused(),
            Event::Compared(opens) => turn.compared(now, opens),
            Event::Renewed => turn.renewed(),
        }
    }

    proptest! {
        /// From every state, with no further word of agent or store: only time goes on.
        #[test]
        fn the_lease_is_free_within_its_bound(
            events in proptest::collection::vec((any_event(), 0u64..5000), 0..12),
            intent in any::<bool>(),
        ) {
            let mut now = Instant::now();
            let mut turn = Turn::Idle;
            for (event, millis) in events {
                now += Duration::from_millis(millis);
                turn = after(turn.at(now, intent).0, event, now);
            }
            let start = now;
            let mut rounds = 0;
            while let Some(deadline) = turn.deadline(intent) {
                now = now.max(deadline);
                if turn.needs_lease() {
                    prop_assert!(now <= start + LONGEST, "{turn:?}");
                }
                // Nothing is due before its deadline that would be missed.
                let next = turn.at(now, intent).0;
                prop_assert_ne!(next, turn);
                turn = next;
                rounds += 1;
                prop_assert!(rounds <= 2, "{turn:?}");
            }
            prop_assert_eq!(turn, Turn::Idle);
        }

        /// However often the agent asks, the lease is free for others between two of its turns.
        #[test]
        fn nobody_is_starved(steps in proptest::collection::vec((any_event(), 0u64..4000, any::<bool>()), 0..200)) {
            let mut now = Instant::now();
            let mut turn = Turn::Idle;
            let mut freed: Option<Instant> = None;
            for (event, millis, intent) in steps {
                now += Duration::from_millis(millis);
                let had_lease = turn.needs_lease();
                let before = turn;
                turn = turn.at(now, intent).0;
                if had_lease && matches!(turn, Turn::Resting { .. }) {
                    freed = Some(now);
                } else if had_lease && !turn.needs_lease() {
                    // It brought a new login, which all others adopt.
                    prop_assert!(matches!(before, Turn::Open { renewed: true, .. }), "{before:?}");
                    freed = None;
                }
                turn = after(turn, event, now);
                if turn.needs_lease() && let Some(freed) = freed.take() {
                    prop_assert!(now >= freed + BETWEEN_TRIES, "{:?}", now - freed);
                }
            }
        }
    }
}
