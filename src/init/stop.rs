//! The policy of a stop: who is signalled when, and when the run is over. Pure.
//!
//! ```text
//! Running --stop signal--> Holding (a refresh is running, 3 s at most) --> Stopping (signal forwarded)
//!    |                                                                           |  kill time, or a second stop signal
//!    |agent ended                                                  agent ended   v
//!    +------------------> Clearing (TERM to remaining processes, 2 s) <----------- Killing
//!                               | nobody left, or 0.5 s after KILL
//!                               v
//!                             Over: the final sync, and agent-init exits
//! ```

use std::time::{Duration, Instant};

use crate::sys::signal::Signal;

/// How long a stop waits for a refresh. A token that is being refreshed when the agent ends is lost forever.
const MAX_HOLD: Duration = Duration::from_secs(3);
/// The time between TERM and KILL for processes that the agent left behind.
const CLEARING_TIME: Duration = Duration::from_secs(2);
/// How long to wait for the effect of KILL. A process that takes longer hangs in the kernel.
const KILL_WAIT: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Signal(Signal),
    /// The agent ended. `any_left`: other processes are left.
    AgentEnded {
        any_left: bool,
    },
    /// The last process but us ended.
    NobodyLeft,
    /// The refresh that delayed the stop has ended.
    RefreshDone,
    /// `Stop::deadline` has passed.
    Deadline,
}

/// What to do about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Send this signal to the agent.
    Forward(Signal),
    /// Send TERM to all processes that are left.
    TermRest,
    /// Send KILL to all processes that are left.
    KillAll,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Holding { until: Instant, kill_at: Instant },
    Stopping { kill_at: Instant },
    Clearing { kill_at: Instant },
    Killing { over_at: Instant },
    Over,
}

#[derive(Debug)]
pub struct Stop {
    signal: Option<Signal>,
    grace: Duration,
    phase: Phase,
    /// When our process must have exited. Known once the stop has begun.
    ends_at: Option<Instant>,
}

impl Stop {
    /// `signal` begins the stop; without one, all signals are only forwarded. `grace`: the time from the stop signal to
    /// our exit.
    pub fn new(signal: Option<Signal>, grace: Duration) -> Stop {
        Stop { signal, grace, phase: Phase::Running, ends_at: None }
    }

    /// The signal that begins the stop.
    pub fn signal(&self) -> Option<Signal> {
        self.signal
    }

    /// When the next `Event::Deadline` is due.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running | Phase::Over => None,
            Phase::Holding { until, kill_at } => Some(until.min(kill_at)),
            Phase::Stopping { kill_at } | Phase::Clearing { kill_at } => Some(kill_at),
            Phase::Killing { over_at } => Some(over_at),
        }
    }

    /// Whether only the final sync is left to do.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Whether the agent has ended or a stop has begun.
    pub fn has_begun(&self) -> bool {
        self.phase != Phase::Running
    }

    /// When our process must have exited. Known once a stop has begun.
    pub fn ends_at(&self) -> Option<Instant> {
        self.ends_at
    }

    /// Handles an event. `refreshing`: the agent is in the middle of a refresh.
    pub fn step(&mut self, now: Instant, event: Event, refreshing: bool) -> Option<Act> {
        let (phase, act) = match (self.phase, event) {
            (Phase::Over, Event::Signal(signal)) if Some(signal) == self.signal => {
                // The final sync may still be running. From now on it has the grace time of a stop.
                self.ends_at.get_or_insert(now + self.grace);
                (Phase::Over, None)
            }
            (Phase::Over, _) | (_, Event::NobodyLeft) => (Phase::Over, None),
            (phase, Event::AgentEnded { any_left }) => Self::agent_ended(phase, now, any_left),
            (Phase::Running, Event::Signal(signal)) if Some(signal) == self.signal => {
                self.begin_stop(now, signal, refreshing)
            }
            (Phase::Holding { .. } | Phase::Stopping { .. } | Phase::Clearing { .. }, Event::Signal(signal))
                if Some(signal) == self.signal =>
            {
                self.kill(now)
            }
            (phase @ (Phase::Killing { .. } | Phase::Clearing { .. }), Event::Signal(_)) => (phase, None),
            (phase, Event::Signal(signal)) => (phase, Some(Act::Forward(signal))),
            (Phase::Holding { kill_at, .. }, Event::RefreshDone) => {
                (Phase::Stopping { kill_at }, self.signal.map(Act::Forward))
            }
            (Phase::Holding { until, kill_at }, Event::Deadline) if now >= until && now < kill_at => {
                (Phase::Stopping { kill_at }, self.signal.map(Act::Forward))
            }
            (
                Phase::Holding { kill_at, .. } | Phase::Stopping { kill_at } | Phase::Clearing { kill_at },
                Event::Deadline,
            ) if now >= kill_at => self.kill(now),
            (Phase::Killing { over_at }, Event::Deadline) if now >= over_at => (Phase::Over, None),
            (phase, Event::RefreshDone | Event::Deadline) => (phase, None),
        };
        self.phase = phase;
        act
    }

    fn begin_stop(&mut self, now: Instant, signal: Signal, refreshing: bool) -> (Phase, Option<Act>) {
        self.ends_at = Some(now + self.grace);
        // An eighth of the grace time, but at most a second, is kept for KILL and the final sync.
        let kill_at = now + self.grace.saturating_sub((self.grace / 8).min(Duration::from_secs(1)));
        if refreshing {
            (Phase::Holding { until: now + MAX_HOLD, kill_at }, None)
        } else {
            (Phase::Stopping { kill_at }, Some(Act::Forward(signal)))
        }
    }

    fn agent_ended(phase: Phase, now: Instant, any_left: bool) -> (Phase, Option<Act>) {
        let clearing = |kill_at| (Phase::Clearing { kill_at }, Some(Act::TermRest));
        match phase {
            _ if !any_left => (Phase::Over, None),
            Phase::Running => clearing(now + CLEARING_TIME),
            Phase::Holding { kill_at, .. } | Phase::Stopping { kill_at } => clearing(kill_at.min(now + CLEARING_TIME)),
            phase => (phase, None),
        }
    }

    fn kill(&self, now: Instant) -> (Phase, Option<Act>) {
        let dead = now + KILL_WAIT;
        (Phase::Killing { over_at: self.ends_at.map_or(dead, |ends| dead.min(ends.max(now))) }, Some(Act::KillAll))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GRACE: Duration = Duration::from_secs(8);

    /// Events at seconds from the start, each with what it must bring about.
    fn run_script(script: &[(f64, Event, bool, Option<Act>)]) -> Stop {
        let start = Instant::now();
        let mut stop = Stop::new(Some(Signal::TERM), GRACE);
        for (second, event, refreshing, expected) in script {
            let act = stop.step(start + Duration::from_secs_f64(*second), *event, *refreshing);
            assert_eq!(act, *expected, "at {second} s: {event:?}");
        }
        stop
    }

    const TERM: Event = Event::Signal(Signal::TERM);
    const ENDED: Event = Event::AgentEnded { any_left: false };
    const ENDED_WITH_REST: Event = Event::AgentEnded { any_left: true };

    #[test]
    fn each_script_has_the_expected_acts() {
        use Event::{Deadline, NobodyLeft, RefreshDone};
        let forward = Some(Act::Forward(Signal::TERM));
        let usr1 = Event::Signal(Signal::USR1);
        let forward_usr1 = Some(Act::Forward(Signal::USR1));
        let scripts: [(&str, &[(f64, Event, bool, Option<Act>)]); 10] = [
            ("the agent ends by itself", &[(1.0, ENDED, false, None)]),
            (
                "the agent leaves other processes behind",
                &[(1.0, ENDED_WITH_REST, false, Some(Act::TermRest)), (1.1, NobodyLeft, false, None)],
            ),
            (
                "the others ignore TERM",
                &[
                    (1.0, ENDED_WITH_REST, false, Some(Act::TermRest)),
                    (2.9, Deadline, false, None),
                    (3.0, Deadline, false, Some(Act::KillAll)),
                    (3.5, Deadline, false, None),
                ],
            ),
            ("a stop that is obeyed", &[(1.0, TERM, false, forward), (1.2, ENDED, false, None)]),
            (
                "a stop that is ignored",
                &[
                    (1.0, TERM, false, forward),
                    (7.9, Deadline, false, None),
                    (8.0, Deadline, false, Some(Act::KillAll)),
                    (8.1, ENDED, false, None),
                ],
            ),
            (
                "a second stop signal",
                &[(1.0, TERM, false, forward), (1.1, TERM, false, Some(Act::KillAll)), (1.2, ENDED, false, None)],
            ),
            (
                "a stop during a refresh",
                &[
                    (1.0, TERM, true, None),
                    (1.5, RefreshDone, false, forward),
                    (1.6, RefreshDone, false, None),
                    (2.0, ENDED, false, None),
                ],
            ),
            (
                "a refresh that never ends",
                &[
                    (1.0, TERM, true, None),
                    (3.9, Deadline, true, None),
                    (4.0, Deadline, true, forward),
                    (4.1, ENDED, false, None),
                ],
            ),
            (
                "a second stop signal during a refresh",
                &[(1.0, TERM, true, None), (1.1, TERM, true, Some(Act::KillAll)), (1.2, ENDED, false, None)],
            ),
            (
                "other signals are forwarded",
                &[
                    (1.0, usr1, false, forward_usr1),
                    (1.1, TERM, false, forward),
                    (1.2, usr1, false, forward_usr1),
                    (1.3, ENDED, false, None),
                ],
            ),
        ];
        for (name, script) in scripts {
            assert!(run_script(script).is_over(), "{name}");
        }
    }

    #[test]
    fn a_stop_after_the_end_limits_the_final_sync() {
        let start = Instant::now();
        let mut stop = Stop::new(Some(Signal::TERM), Duration::from_secs(8));
        stop.step(start, ENDED, false);
        assert!(stop.is_over() && stop.ends_at().is_none());
        assert_eq!(stop.step(start, Event::Signal(Signal::USR1), false), None);
        assert_eq!(stop.ends_at(), None);
        stop.step(start + Duration::from_secs(1), TERM, false);
        stop.step(start + Duration::from_secs(5), TERM, false);
        assert_eq!(stop.ends_at(), Some(start + Duration::from_secs(9)));
    }

    proptest! {
        #[test]
        fn a_stop_is_over_within_the_grace_time(
            grace in 0u64..20_000,
            events in proptest::collection::vec((0u8..5, any::<bool>()), 0..12),
        ) {
            let start = Instant::now();
            let grace = Duration::from_millis(grace);
            let mut stop = Stop::new(Some(Signal::TERM), grace);
            stop.step(start, TERM, true);
            let mut now = start;
            for (kind, refreshing) in events {
                let event = match kind {
                    0 => TERM,
                    1 => Event::Signal(Signal::USR1),
                    2 => ENDED_WITH_REST,
                    3 => Event::RefreshDone,
                    _ => Event::Deadline,
                };
                stop.step(now, event, refreshing);
                if let Some(deadline) = stop.deadline().filter(|_| kind == 4) {
                    now = deadline;
                }
            }
            while let Some(deadline) = stop.deadline() {
                prop_assert!(deadline >= start);
                now = now.max(deadline);
                stop.step(now, Event::Deadline, false);
            }
            prop_assert!(stop.is_over());
            prop_assert!(now <= start + grace);
        }
    }
}
