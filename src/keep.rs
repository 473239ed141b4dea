//! The keeper: refreshes logins shortly before their access tokens expire, for containers that only follow.
//!
//! One loop over signals, children, login files and the times at which logins are due. While nothing is due it sleeps
//! without a timer of its own. The logins are synced as those of agents are; what differs is who refreshes them.

pub mod command;
pub mod copy;
pub mod kept_login;
mod message;
mod schedule;

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::error::reason;
use crate::keep::kept_login::KeptLogin;
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::process::children::Children;
use crate::process::hook;
use crate::sync::Engine;
use crate::sync::dedup_log::{DedupLog, Subject};
use crate::sys::poll;
use crate::sys::poll::Interest;
use crate::sys::signal::{Signal, Signals};

/// The part of the grace in which nothing but publishing is done.
const LAST_SYNC: Duration = Duration::from_secs(1);
/// How many signals are read in one round.
const MAX_SIGNALS: usize = 256;

pub struct Keeper {
    pub signals: Signals,
    pub children: Children,
    pub engine: Engine,
    pub logins: Vec<KeptLogin>,
    pub stop: StopPolicy,
    pub reporter: Reporter,
    pub log: DedupLog,
    /// The last round of reaping reached its limit.
    pub may_have_unreaped: bool,
}

/// Which signals stop the keeper, and how much time it has then.
pub struct StopPolicy {
    signal: Signal,
    grace: Duration,
    begun: Option<Instant>,
    /// A second stop signal came.
    is_urgent: bool,
}

impl StopPolicy {
    pub fn new(signal: Signal, grace: Duration) -> StopPolicy {
        StopPolicy { signal, grace, begun: None, is_urgent: false }
    }

    fn handle(&mut self, signal: Signal, now: Instant) {
        let stops = [self.signal, Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP].contains(&signal);
        if stops {
            self.is_urgent = self.begun.is_some();
            self.begun.get_or_insert(now);
        }
    }

    fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    fn ends_at(&self) -> Option<Instant> {
        Some(self.begun? + self.grace)
    }

    /// Until when a refresh is waited for.
    fn refresh_ends_at(&self) -> Option<Instant> {
        Some(self.begun? + self.grace.saturating_sub(LAST_SYNC).max(self.grace / 2))
    }

    fn is_over(&self, is_refreshing: bool, now: Instant) -> bool {
        let is_late = self.refresh_ends_at().is_some_and(|end| end <= now);
        self.has_begun() && (!is_refreshing || self.is_urgent || is_late)
    }
}

impl Keeper {
    /// Keeps the logins until a stop signal, or with `--once` until each was looked at. Returns the exit status.
    pub fn run(mut self) -> u8 {
        loop {
            self.read_signals();
            self.reap();
            self.engine.step(Instant::now(), &mut self.children);
            self.step_logins();
            if self.is_over() {
                return self.finish();
            }
            let logins = self.logins.iter().filter_map(KeptLogin::deadline);
            let deadlines = logins.chain(self.engine.deadline()).chain(self.stop.refresh_ends_at());
            self.sleep_until(deadlines.min());
        }
    }

    fn step_logins(&mut self) {
        for login in &mut self.logins {
            let Some(session) = self.engine.session(&login.agent) else { continue };
            login.step(session, !self.stop.has_begun(), &mut self.children);
        }
        // Before the messages: what is said is what `healthcheck` says from now on.
        let keeping = self.logins.iter().map(|login| (login.agent.as_str(), login.keeping()));
        self.engine.remember_keeping(keeping);
        for login in &mut self.logins {
            let messages = login.take_messages();
            self.engine.say(&messages);
        }
    }

    fn is_over(&self) -> bool {
        let is_refreshing = self.logins.iter().any(KeptLogin::is_refreshing);
        let is_done = self.logins.iter().all(|login| login.is_done().is_some());
        (is_done && !is_refreshing) || self.stop.is_over(is_refreshing, Instant::now())
    }

    fn finish(mut self) -> u8 {
        for login in self.logins.iter().filter(|login| login.is_refreshing()) {
            self.reporter.say(&message::interrupted(&login.agent));
        }
        let limit = self.engine.begin_final_sync(Instant::now(), self.stop.ends_at(), &mut self.children);
        while let Some(next) = self.engine.final_sync_step(Instant::now(), &mut self.children) {
            let limit = self.stop.ends_at().map_or(limit, |ends_at| ends_at.min(limit));
            if Instant::now() >= limit || self.stop.is_urgent {
                break;
            }
            self.sleep_until(Some(next.min(limit)));
            self.read_signals();
            self.reap();
        }
        self.engine.finish(&mut self.children);
        self.run_last_hooks();
        self.reporter.say_all(&self.log.take_last(Instant::now()));
        self.reporter.finish(self.stop.ends_at());
        let has_failed = self.logins.iter().any(|login| login.is_done() == Some(false));
        u8::from(has_failed)
    }

    /// Gives the command of `--on-event` a moment for what happened at the end.
    fn run_last_hooks(&mut self) {
        let until = hook::last_wait(self.stop.ends_at());
        while self.engine.last_hook_step(Instant::now(), &mut self.children) && Instant::now() < until {
            self.sleep_until(Some(until));
            self.read_signals();
            self.reap();
        }
        self.engine.abandon_hook(&mut self.children);
    }

    fn sleep_until(&mut self, deadline: Option<Instant>) {
        self.reporter.say_all(&self.log.take(Instant::now()));
        let now = self.may_have_unreaped.then(Instant::now);
        let deadline = [deadline, now, self.reporter.deadline(), self.log.deadline()].into_iter().flatten().min();
        let logins = self.logins.iter().flat_map(KeptLogin::fds);
        let fds = std::iter::once(self.signals.as_fd()).chain(self.engine.fds()).chain(logins);
        let interests = fds.map(Interest::to_read).chain(self.reporter.interest());
        if let Err(error) = poll::wait(interests.collect(), deadline) {
            self.log_failure("poll", &error);
        }
        self.reporter.flush(Instant::now());
    }

    fn read_signals(&mut self) {
        for _ in 0..MAX_SIGNALS {
            match self.signals.next() {
                Ok(None) => return,
                Ok(Some(signal)) => self.stop.handle(signal, Instant::now()),
                Err(error) => return self.log_failure("signalfd", &error),
            }
        }
        if self.signals.take(self.stop.signal) {
            self.stop.handle(self.stop.signal, Instant::now());
        }
    }

    fn reap(&mut self) {
        match self.children.reap() {
            Ok(reaped) => self.may_have_unreaped = reaped.limit_reached,
            Err(error) => self.log_failure("waitpid", &error),
        }
    }

    fn log_failure(&mut self, what: &'static str, error: &io::Error) {
        let message = Message::warning(format!("{what}: {}", reason(error))).event(EventKey::SystemCallFailed);
        self.log.once_about(Subject::Call(what), message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_waits_for_a_refresh_within_the_grace() {
        struct Row {
            what: &'static str,
            signals: &'static [Signal],
            is_refreshing: bool,
            after: u64,
            is_over: bool,
        }
        let rows = [
            Row { what: "no stop", signals: &[], is_refreshing: false, after: 99, is_over: false },
            Row { what: "another signal", signals: &[Signal::CHLD], is_refreshing: false, after: 0, is_over: false },
            Row { what: "idle", signals: &[Signal::TERM], is_refreshing: false, after: 0, is_over: true },
            Row { what: "refreshing", signals: &[Signal::TERM], is_refreshing: true, after: 6, is_over: false },
            Row { what: "for too long", signals: &[Signal::USR1], is_refreshing: true, after: 7, is_over: true },
            Row { what: "twice", signals: &[Signal::INT, Signal::INT], is_refreshing: true, after: 0, is_over: true },
        ];
        for Row { what, signals, is_refreshing, after, is_over } in rows {
            let start = Instant::now();
            let mut stop = StopPolicy::new(Signal::USR1, Duration::from_secs(8));
            for signal in signals {
                stop.handle(*signal, start);
            }
            assert_eq!(stop.is_over(is_refreshing, start + Duration::from_secs(after)), is_over, "{what}");
        }
    }
}
