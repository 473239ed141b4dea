//! The turn to refresh, seen from one container. Pure.
//!
//! An agent locks a directory beside its config directory around a refresh, and reads its login again under that lock.
//! agent-init holds the lock on its behalf. When the agent shows its intent, the lock is opened only if this container
//! has the capture's lease and the stored login is not newer. If the stored login is newer, it is adopted: the agent
//! finds it at its next try and sends no request.
//!
//! | state | lease | lock | left by | at the latest after |
//! |---|---|---|---|---|
//! | `Idle` | free | held | an intent: `Waiting` | - |
//! | `Waiting` | requested | held | the lease granted: `Granted`; refused: `Idle` | 35 s: `Resting` |
//! | `Granted` | ours | held | logins compared: `Open`, or `Idle` when a newer login was adopted or a stop has begun | 35 s: `Resting` |
//! | `Open` | ours | open | no intent any more, and the new login stored: `Idle`; or nothing stored 3.5 s after the lock was opened: `Resting` | 35 s: `Resting` |
//! | `Resting` | free | held | - | 3.5 s: `Idle` |
//!
//! The right column depends on neither the agent nor the store. A turn that brought no new login is followed by a rest,
//! during which this agent's intents are ignored. The agents of other containers try again within 3 s, so each of them
//! gets a turn, whatever this agent does.
//!
//! The times were measured with a real agent: it tries again after 1.1 to 3 s, abandons a round of tries after 8 s and
//! the refresh after 31 s, and its own request times out after 30 s.

use std::time::{Duration, Instant};

/// How long an opened lock stays open for an agent that may be between two tries, and how long a rest lasts.
const RETRY_INTERVAL: Duration = Duration::from_millis(3500);
/// How long this container may hold or request the lease before others get their turn.
const TURN_LIMIT: Duration = Duration::from_secs(35);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// agent-init holds the agent's lock.
    Idle,
    /// The agent wants to refresh, and the lease was requested.
    Waiting { since: Instant },
    /// The lease is ours. The stored login has yet to be compared.
    Granted { since: Instant },
    /// The agent may refresh.
    Open {
        since: Instant,
        /// The agent has refreshed, and the new login is stored.
        renewed: bool,
    },
    /// The agent had its turn.
    Resting { until: Instant },
}

/// Why a turn was ended by its time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// The logins could not be compared in time.
    Comparison,
    /// The agent did not finish its refresh in time.
    Refresh,
}

impl Turn {
    /// The agent showed its intent. It may have withdrawn it already, and will try again.
    pub fn intent_shown(self, now: Instant) -> Turn {
        if self == Turn::Idle { Turn::Waiting { since: now } } else { self }
    }

    pub fn granted(self, now: Instant) -> Turn {
        if let Turn::Waiting { .. } = self { Turn::Granted { since: now } } else { self }
    }

    /// Another container has the lease. Its new login will be adopted; until then the agent waits at the lock.
    pub fn refused(self) -> Turn {
        if let Turn::Waiting { .. } = self { Turn::Idle } else { self }
    }

    /// The logins were compared while we had the lease. `opens`: the agent may refresh.
    pub fn compared(self, now: Instant, opens: bool) -> Turn {
        match self {
            Turn::Granted { .. } if opens => Turn::Open { since: now, renewed: false },
            Turn::Granted { .. } => Turn::Idle,
            other => other,
        }
    }

    /// A new login of the agent was stored.
    pub fn renewed(self) -> Turn {
        match self {
            Turn::Open { since, .. } => Turn::Open { since, renewed: true },
            other => other,
        }
    }

    /// The state after the time that has passed. `intent`: the agent shows its intent now.
    pub fn after(self, now: Instant, intent: bool) -> (Turn, Option<Overdue>) {
        let resting = Turn::Resting { until: now + RETRY_INTERVAL };
        match self {
            Turn::Waiting { since } | Turn::Granted { since } if now >= since + TURN_LIMIT => {
                (resting, Some(Overdue::Comparison))
            }
            Turn::Open { renewed: true, .. } if !intent => (Turn::Idle, None),
            Turn::Open { since, .. } if !intent && now >= since + RETRY_INTERVAL => (resting, None),
            Turn::Open { since, .. } if now >= since + TURN_LIMIT => (resting, Some(Overdue::Refresh)),
            Turn::Resting { until } if now >= until => (Turn::Idle, None),
            other => (other, None),
        }
    }

    /// Whether the lease is ours or requested.
    pub fn needs_lease(self) -> bool {
        matches!(self, Turn::Waiting { .. } | Turn::Granted { .. } | Turn::Open { .. })
    }

    /// When the state changes without an event; may be in the past. The end of an intent is an event.
    pub fn deadline(self, intent: bool) -> Option<Instant> {
        match self {
            Turn::Idle => None,
            Turn::Open { since, renewed: true } if !intent => Some(since),
            Turn::Open { since, .. } if !intent => Some(since + RETRY_INTERVAL),
            Turn::Waiting { since } | Turn::Granted { since } | Turn::Open { since, .. } => Some(since + TURN_LIMIT),
            Turn::Resting { until } => Some(until),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn granted(at: Instant) -> Turn {
        Turn::Idle.intent_shown(at).granted(at)
    }

    #[test]
    fn the_lock_is_open_until_the_refreshed_login_is_stored() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let open = granted(start).compared(at(5), true);
        assert_eq!(open, Turn::Open { since: at(5), renewed: false });
        assert_eq!(open.after(at(100), true), (open, None));
        assert_eq!(open.after(at(100), false), (open, None));
        let renewed = open.renewed();
        assert_eq!(renewed.after(at(300), true), (renewed, None));
        assert_eq!(renewed.after(at(301), false), (Turn::Idle, None));
    }

    #[test]
    fn a_follower_never_opens_the_lock() {
        let now = Instant::now();
        assert_eq!(Turn::Idle.intent_shown(now).refused(), Turn::Idle);
        assert_eq!(granted(now).compared(now, false), Turn::Idle);
        // A grant that comes too late has no effect.
        assert_eq!(Turn::Idle.granted(now), Turn::Idle);
        assert_eq!(Turn::Idle.intent_shown(now).compared(now, true), Turn::Waiting { since: now });
    }

    #[test]
    fn an_intent_that_is_withdrawn_keeps_the_lock_open_for_the_next_try() {
        let start = Instant::now();
        let open = granted(start).compared(start, true);
        assert_eq!(open.intent_shown(start), open);
        assert_eq!(open.after(start + Duration::from_secs(3), false), (open, None));
        assert_eq!(open.deadline(false), Some(start + RETRY_INTERVAL));
        let (resting, overdue) = open.after(start + RETRY_INTERVAL, false);
        assert_eq!((resting, overdue), (Turn::Resting { until: start + 2 * RETRY_INTERVAL }, None));
        assert_eq!(resting.intent_shown(start), resting);
    }

    #[test]
    fn there_is_no_timer_while_the_lock_is_held_and_nobody_waits() {
        assert_eq!(Turn::Idle.deadline(false), None);
    }

    /// The events of a turn, which may come in any order.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        IntentShown,
        Granted,
        Refused,
        Compared(bool),
        Renewed,
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::IntentShown),
            Just(Event::Granted),
            Just(Event::Refused),
            any::<bool>().prop_map(Event::Compared),
            Just(Event::Renewed),
        ]
    }

    fn apply(turn: Turn, event: Event, now: Instant) -> Turn {
        match event {
            Event::IntentShown => turn.intent_shown(now),
            Event::Granted => turn.granted(now),
            Event::Refused => turn.refused(),
            Event::Compared(opens) => turn.compared(now, opens),
            Event::Renewed => turn.renewed(),
        }
    }

    proptest! {
        /// In every state time alone, without another event, frees the lease.
        #[test]
        fn the_lease_is_free_within_its_limit(
            events in proptest::collection::vec((any_event(), 0u64..5000), 0..12),
            intent in any::<bool>(),
        ) {
            let mut now = Instant::now();
            let mut turn = Turn::Idle;
            for (event, millis) in events {
                now += Duration::from_millis(millis);
                turn = apply(turn.after(now, intent).0, event, now);
            }
            let start = now;
            let mut rounds = 0;
            while let Some(deadline) = turn.deadline(intent) {
                now = now.max(deadline);
                if turn.needs_lease() {
                    prop_assert!(now <= start + TURN_LIMIT, "{turn:?}");
                }
                // A deadline that changes nothing would make the event loop spin.
                let next = turn.after(now, intent).0;
                prop_assert_ne!(next, turn);
                turn = next;
                rounds += 1;
                prop_assert!(rounds <= 2, "{turn:?}");
            }
            prop_assert_eq!(turn, Turn::Idle);
        }

        /// However often the agent asks, the lease is free for others between two of its turns.
        #[test]
        fn every_container_gets_its_turn(steps in proptest::collection::vec((any_event(), 0u64..4000, any::<bool>()), 0..200)) {
            let mut now = Instant::now();
            let mut turn = Turn::Idle;
            let mut freed: Option<Instant> = None;
            for (event, millis, intent) in steps {
                now += Duration::from_millis(millis);
                let had_lease = turn.needs_lease();
                let before = turn;
                turn = turn.after(now, intent).0;
                if had_lease && matches!(turn, Turn::Resting { .. }) {
                    freed = Some(now);
                } else if had_lease && !turn.needs_lease() {
                    // The turn brought a new login, which all others adopt.
                    prop_assert!(matches!(before, Turn::Open { renewed: true, .. }), "{before:?}");
                    freed = None;
                }
                turn = apply(turn, event, now);
                if turn.needs_lease() && let Some(freed) = freed.take() {
                    prop_assert!(now >= freed + RETRY_INTERVAL, "{:?}", now - freed);
                }
            }
        }
    }
}
