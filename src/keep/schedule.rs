//! When a login is refreshed next. Pure: it is told the time.

use std::time::{Duration, SystemTime};

use crate::login::{Digest, Login};
use crate::state::Keeping;

/// The time to the next try after the first failure. It doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(10);
const MAX_RETRY: Duration = Duration::from_secs(600);

/// The time to the next try if another has the right to refresh.
const TURN_RETRY: Duration = Duration::from_secs(5);

/// The schedule of one login.
#[derive(Debug)]
pub struct Schedule {
    /// How long before its end an access token is refreshed, less a random fifth.
    before: Duration,
    /// How long a refresh may take.
    limit: Duration,
    login: Option<Scheduled>,
    failures: u32,
    not_before: Option<SystemTime>,
    /// The login that the vendor refused to refresh.
    refused: Option<Digest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scheduled {
    digest: Digest,
    due: Due,
}

/// When a login is to be refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    At(SystemTime),
    /// It has no refresh token.
    NotRefreshable,
    /// It does not say when its access token expires.
    Unknown,
}

impl Schedule {
    pub fn new(before: Duration, limit: Duration) -> Schedule {
        Schedule { before, limit, login: None, failures: 0, not_before: None, refused: None }
    }

    /// Takes note of the login. `fraction`: a random number from 0 to 1. Returns when it is due if it is another login
    /// than before.
    pub fn observe(&mut self, login: &Login, now: SystemTime, fraction: f64) -> Option<Due> {
        if self.login.is_some_and(|known| known.digest == login.digest) {
            return None;
        }
        let due = match login.expires_at {
            _ if !login.refreshable => Due::NotRefreshable,
            None => Due::Unknown,
            Some(expires_at) => {
                let lead = self.before.mul_f64(1.0 - fraction.clamp(0.0, 1.0) / 5.0);
                // A token that lives no longer than that would be refreshed without end. The first one that is seen may
                // be old, so nothing is known of its life.
                let life = expires_at.duration_since(now).unwrap_or_default();
                let lead = if self.login.is_some() { lead.min(life / 2) } else { lead };
                Due::At(expires_at - lead)
            }
        };
        self.login = Some(Scheduled { digest: login.digest, due });
        (self.failures, self.not_before) = (0, None);
        Some(due)
    }

    /// Forgets the login: there is none any more.
    pub fn forget(&mut self) {
        self.login = None;
    }

    /// When the next refresh is due.
    pub fn due(&self) -> Option<SystemTime> {
        match self.login {
            Some(Scheduled { digest, due: Due::At(due) }) if self.refused != Some(digest) => {
                Some(self.not_before.map_or(due, |not_before| due.max(not_before)))
            }
            _ => None,
        }
    }

    /// How the login gets on. `None` before one was seen.
    pub fn keeping(&self) -> Option<Keeping> {
        match self.login {
            Some(login) if self.refused == Some(login.digest) => Some(Keeping::Refused),
            _ if self.failures > 0 => Some(Keeping::Failing),
            login => login.map(|_| Keeping::Good),
        }
    }

    /// Whether the login should have been refreshed by now, if that had been possible.
    pub fn is_overdue(&self, now: SystemTime) -> bool {
        self.login.is_some_and(|login| matches!(login.due, Due::At(due) if due <= now))
    }

    /// Whether the last try failed so recently that the next one has to wait, and until when.
    pub fn not_before(&self) -> Option<SystemTime> {
        self.not_before
    }

    pub fn is_due(&self, now: SystemTime) -> bool {
        self.due().is_some_and(|due| due <= now)
    }

    /// A refresh failed. Returns after how long the next is tried: later each time, but in time for the end of the
    /// access token.
    pub fn failed(&mut self, expires_at: Option<SystemTime>, now: SystemTime) -> Duration {
        let retry = FIRST_RETRY.saturating_mul(1 << self.failures.min(16)).min(MAX_RETRY);
        self.failures = self.failures.saturating_add(1);
        // Two more tries must fit.
        let left =
            expires_at.and_then(|end| end.duration_since(now).ok()).and_then(|left| left.checked_sub(2 * self.limit));
        let retry = left.filter(|left| *left > FIRST_RETRY).map_or(retry, |left| retry.min(left));
        self.not_before = Some(now + retry);
        retry
    }

    /// Another has the right to refresh. It may publish a new login soon.
    pub fn postponed(&mut self, now: SystemTime) {
        self.not_before = Some(now + TURN_RETRY);
    }

    /// The vendor refused to refresh the login. It is not tried again.
    pub fn refused(&mut self) {
        self.refused = self.login.map(|login| login.digest);
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const MINUTE: u64 = 60;
    const HOUR: u64 = 3600;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn login(number: u8, expires_at: Option<u64>) -> Login {
        let digest = Digest::of_parts(&[&[number]]);
        Login {
            digest,
            content: digest,
            refreshable: true,
            expires_at: expires_at.map(at),
            deadline: None,
            account: None,
            plan: None,
            is_unknown_kind: false,
        }
    }

    fn schedule() -> Schedule {
        Schedule::new(Duration::from_secs(30 * MINUTE), Duration::from_secs(MINUTE))
    }

    #[test]
    fn a_login_is_due_before_its_end() {
        struct Row {
            what: &'static str,
            is_first: bool,
            now: u64,
            expires_at: Option<u64>,
            fraction: f64,
            due: Due,
        }
        let first = Row {
            what: "half an hour before",
            is_first: true,
            now: 0,
            expires_at: Some(8 * HOUR),
            fraction: 0.0,
            due: Due::At(at(8 * HOUR - 30 * MINUTE)),
        };
        let rows = [
            Row { what: "less a fifth", fraction: 1.0, due: Due::At(at(8 * HOUR - 24 * MINUTE)), ..first },
            Row {
                what: "a random number that is none",
                fraction: 7.0,
                due: Due::At(at(8 * HOUR - 24 * MINUTE)),
                ..first
            },
            Row { what: "found late", now: 8 * HOUR - 60, ..first },
            Row { what: "found expired", now: 9 * HOUR, ..first },
            Row { what: "a later one", is_first: false, ..first },
            Row {
                what: "a later one that lives for less than the time before its end",
                is_first: false,
                expires_at: Some(40),
                due: Due::At(at(20)),
                ..first
            },
            Row { what: "without an end", expires_at: None, due: Due::Unknown, ..first },
            first,
        ];
        for Row { what, is_first, now, expires_at, fraction, due } in rows {
            let mut schedule = schedule();
            if !is_first {
                schedule.observe(&login(1, Some(1)), at(0), 0.5);
            }
            let observed = schedule.observe(&login(2, expires_at), at(now), fraction);
            assert_eq!(observed, Some(due), "{what}");
            assert_eq!(schedule.observe(&login(2, expires_at), at(now + 9), 0.3), None, "{what}: seen again");
            let is_due = matches!(due, Due::At(due) if due <= at(now));
            assert_eq!(schedule.is_due(at(now)), is_due, "{what}");
        }
        let mut schedule = schedule();
        let without_refresh_token = Login { refreshable: false, ..login(1, Some(1)) };
        assert_eq!(schedule.observe(&without_refresh_token, at(0), 0.0), Some(Due::NotRefreshable));
        assert_eq!(schedule.due(), None);
    }

    #[test]
    fn the_next_try_comes_later_each_time_and_before_the_end() {
        struct Row {
            what: &'static str,
            left: Option<u64>,
            retries: &'static [u64],
        }
        let rows = [
            Row { what: "no end in sight", left: None, retries: &[10, 20, 40, 80, 160, 320, 600, 600] },
            Row { what: "half an hour", left: Some(1800), retries: &[10, 20, 40, 80, 160, 320, 600] },
            // 120 s before the end.
            Row { what: "five minutes", left: Some(300), retries: &[10, 20, 40, 80, 30, 320] },
            Row { what: "a moment", left: Some(100), retries: &[10, 20, 40] },
            Row { what: "it is over", left: Some(0), retries: &[10, 20, 40] },
        ];
        for Row { what, left, retries } in rows {
            let mut schedule = schedule();
            let end = left.map(|left| at(HOUR + left));
            schedule.observe(&login(1, Some(HOUR)), at(0), 0.0);
            let mut now = at(HOUR);
            for expected in retries {
                let retry = schedule.failed(end, now);
                assert_eq!(retry, Duration::from_secs(*expected), "{what}: {:?}", now.duration_since(at(HOUR)));
                now += retry;
                assert_eq!(
                    (schedule.is_due(now - Duration::from_secs(1)), schedule.is_due(now)),
                    (false, true),
                    "{what}"
                );
            }
        }
    }

    #[test]
    fn another_login_begins_anew() {
        let mut schedule = schedule();
        assert_eq!(schedule.keeping(), None);
        schedule.observe(&login(1, Some(HOUR)), at(HOUR), 0.0);
        assert_eq!(schedule.keeping(), Some(Keeping::Good));
        assert_eq!(schedule.failed(None, at(HOUR)), FIRST_RETRY);
        assert_eq!(schedule.keeping(), Some(Keeping::Failing));
        schedule.refused();
        assert_eq!((schedule.due(), schedule.keeping()), (None, Some(Keeping::Refused)));
        schedule.observe(&login(2, Some(HOUR)), at(HOUR), 0.0);
        assert!(schedule.is_due(at(HOUR)));
        assert_eq!(schedule.keeping(), Some(Keeping::Good));
        assert_eq!(schedule.failed(None, at(HOUR)), FIRST_RETRY);
        schedule.postponed(at(2 * HOUR));
        assert_eq!(schedule.due(), Some(at(2 * HOUR) + TURN_RETRY));
        assert!(schedule.is_overdue(at(2 * HOUR)) && !schedule.is_due(at(2 * HOUR)));
        schedule.forget();
        assert_eq!(schedule.due(), None);
    }
}
