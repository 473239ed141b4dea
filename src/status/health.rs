//! Pure. The health of a login, judged by its expiry.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::login::{Login, Nearness};
use crate::plan::warning::KEPT_BEFORE;
use crate::words::spelling;
use crate::words::spelling::word_enum;

word_enum! {
    /// From the best to the worst.
    #[derive(Default, PartialOrd, Ord)]
    pub enum Health("state") {
        #[default]
        Ok = "ok": "",
        Expiring = "expiring": "it ends soon, and no refresh changes that",
        Unsaved = "unsaved": "it authenticates, but the last publish failed: the refreshed login is only in this container",
        Expired = "expired": "it has ended: it cannot be refreshed, or the vendor may refuse to",
        Invalid = "invalid": "a source was found that is not usable",
        Missing = "missing": "nothing was found",
    }
}

impl Serialize for Health {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        spelling::serialize(*self, serializer)
    }
}

impl Health {
    /// Whether the agent can authenticate and nothing is lost.
    pub fn is_healthy(self) -> bool {
        matches!(self, Health::Ok | Health::Expiring)
    }
}

/// The time by which health is judged.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub now: SystemTime,
    /// How long before its expiry a login counts as expiring.
    pub warn_within: Duration,
}

/// What is found about a credential.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    pub health: Health,
    /// What is wrong.
    pub problem: Option<String>,
    /// What ends soon or has ended.
    pub end: Option<End>,
}

/// An end that the agent's own refreshes do not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Of the token, which nobody refreshes.
    Token(SystemTime),
    /// Of the login, which is refreshed until then.
    Login(SystemTime),
}

impl Judgement {
    pub(super) fn new(health: Health, problem: impl Into<String>) -> Judgement {
        Judgement { health, problem: Some(problem.into()), end: None }
    }
}

impl Clock {
    /// `follows`: a keeper refreshes the login.
    pub(super) fn judge(self, login: &Login, follows: bool) -> Judgement {
        let is_kept = follows && !login.refreshable;
        if is_kept && let Some(expires) = login.expires_at {
            let of_token = self.judge_followed(expires);
            if of_token.health != Health::Ok {
                return of_token;
            }
        }
        // One that is refreshed is healthy until its deadline, whatever its access token says.
        if is_kept || login.refreshable {
            return login.ends_at(self.now).map(|deadline| self.judge_deadline(deadline)).unwrap_or_default();
        }
        let problem = |health| match health {
            Health::Expired => "its access token has expired, and it has no refresh token",
            _ => "it expires soon, and it has no refresh token",
        };
        self.judge_end(login.expires_at, problem)
    }

    /// A keeper refreshes an access token long before it ends.
    fn judge_followed(self, expires: SystemTime) -> Judgement {
        let problem = |health| match health {
            Health::Expired => "its access token has expired, and no keeper has refreshed it",
            _ => "its access token expires soon, and no keeper has refreshed it",
        };
        Clock { warn_within: KEPT_BEFORE, ..self }.judge_end(Some(expires), problem)
    }

    fn judge_deadline(self, deadline: SystemTime) -> Judgement {
        let nearness = Nearness::of(deadline, self.now, self.warn_within);
        match nearness.of_deadline(deadline) {
            None => Judgement::default(),
            Some(problem) => Judgement { end: Some(End::Login(deadline)), ..Judgement::new(nearness.into(), problem) },
        }
    }

    pub(super) fn judge_token(self, expires: Option<SystemTime>) -> Judgement {
        let problem = |health| match health {
            Health::Expired => "the token has expired: make a new one with agent-init setup --token",
            _ => "the token expires soon: make a new one with agent-init setup --token",
        };
        self.judge_end(expires, problem)
    }

    fn judge_end(self, expires: Option<SystemTime>, problem: impl Fn(Health) -> &'static str) -> Judgement {
        let Some(expires) = expires else { return Judgement::default() };
        match Nearness::of(expires, self.now, self.warn_within).into() {
            Health::Ok => Judgement::default(),
            health => Judgement { end: Some(End::Token(expires)), ..Judgement::new(health, problem(health)) },
        }
    }
}

impl From<Nearness> for Health {
    fn from(nearness: Nearness) -> Health {
        match nearness {
            Nearness::Past => Health::Expired,
            Nearness::Near => Health::Expiring,
            Nearness::Far => Health::Ok,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::login::{Deadline, Digest};

    const DAY: u64 = 86_400;

    /// Days after 2026-01-01.
    fn day(days: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + days * DAY)
    }

    pub(in crate::status) fn clock() -> Clock {
        Clock { now: day(100), warn_within: Duration::from_secs(7 * DAY) }
    }

    pub(in crate::status) fn login(refreshable: bool, days: Option<u64>) -> Login {
        let digest = Digest::parse(&format!("sha256:{:064x}", 1)).unwrap();
        Login {
            digest,
            content: digest,
            refreshable,
            expires_at: days.map(day),
            deadline: None,
            account: None,
            plan: None,
            is_unknown_kind: false,
        }
    }

    #[test]
    fn a_login_is_judged_by_its_expiry() {
        let rows = [
            (true, Some(1), Health::Ok),
            (true, None, Health::Ok),
            (false, None, Health::Ok),
            (false, Some(200), Health::Ok),
            (false, Some(107), Health::Expiring),
            (false, Some(101), Health::Expiring),
            (false, Some(100), Health::Expired),
            (false, Some(1), Health::Expired),
        ];
        for (refreshable, days, expected) in rows {
            assert_eq!(clock().judge(&login(refreshable, days), false).health, expected, "{refreshable} {days:?}");
        }
    }

    struct Row {
        what: &'static str,
        refreshable: bool,
        follows: bool,
        /// Days; it is day 100.
        access_expires: Option<u64>,
        deadline: Option<u64>,
        expected: Health,
        says: &'static str,
    }

    const REFRESHED: Row = Row {
        what: "",
        refreshable: true,
        follows: false,
        access_expires: Some(101),
        deadline: None,
        expected: Health::Ok,
        says: "",
    };
    const FOLLOWED: Row = Row { refreshable: false, follows: true, ..REFRESHED };
    const FINAL: Row = Row { refreshable: false, ..REFRESHED };

    #[test]
    fn a_login_that_is_refreshed_is_healthy_until_its_deadline() {
        let soon = "the login deadline is 2026-04-18T00:00:00Z";
        let rows = [
            Row { what: "no deadline is noted", access_expires: Some(1), ..REFRESHED },
            Row { what: "far away", deadline: Some(108), ..REFRESHED },
            Row { what: "an expired access token", access_expires: Some(99), deadline: Some(128), ..REFRESHED },
            Row { what: "soon", deadline: Some(107), expected: Health::Expiring, says: soon, ..REFRESHED },
            Row {
                what: "soon, without an expiry",
                access_expires: None,
                deadline: Some(107),
                expected: Health::Expiring,
                says: soon,
                ..REFRESHED
            },
            Row {
                what: "now",
                deadline: Some(100),
                expected: Health::Expired,
                says: "the login deadline was 2026-04-11T00:00:00Z",
                ..REFRESHED
            },
            Row {
                what: "long ago",
                access_expires: Some(1),
                deadline: Some(2),
                expected: Health::Expired,
                says: "the login deadline was 2026-01-03T00:00:00Z",
                ..REFRESHED
            },
            Row { what: "implausible", deadline: Some(100_000), ..REFRESHED },
            Row { what: "kept for a follower", deadline: Some(128), ..FOLLOWED },
            Row { what: "kept, and soon", deadline: Some(107), expected: Health::Expiring, says: soon, ..FOLLOWED },
            Row {
                what: "not kept",
                access_expires: Some(99),
                deadline: Some(128),
                expected: Health::Expired,
                says: "no keeper has refreshed it",
                ..FOLLOWED
            },
            Row { what: "without an expiry, kept", access_expires: None, ..FOLLOWED },
            Row { what: "nothing refreshes it", access_expires: Some(200), deadline: Some(199), ..FINAL },
            Row {
                what: "nothing refreshes it, and it ends first",
                deadline: Some(128),
                expected: Health::Expiring,
                says: "no refresh token",
                ..FINAL
            },
        ];
        for Row { what, refreshable, follows, access_expires, deadline, expected, says } in rows {
            let expires_at = access_expires.map(day);
            let deadline = deadline.and_then(|deadline| Deadline::noted(day(deadline), expires_at));
            let login = Login { deadline, ..login(refreshable, access_expires) };
            let Judgement { health, problem, end } = clock().judge(&login, follows);
            assert_eq!(health, expected, "{what}");
            assert_eq!((problem.is_none(), end.is_none()), (expected == Health::Ok, expected == Health::Ok), "{what}");
            let is_deadline = says.starts_with("the login deadline");
            assert_eq!(matches!(end, Some(End::Login(_))), is_deadline, "{what}");
            assert!(problem.unwrap_or_default().contains(says), "{what}");
        }
    }

    #[test]
    fn an_access_token_that_a_keeper_should_have_refreshed_is_expiring() {
        for (left, expected) in [(21, Health::Ok), (19, Health::Expiring), (0, Health::Expired)] {
            let expires_at = clock().now + Duration::from_secs(left * 60);
            let login = Login { expires_at: Some(expires_at), ..login(false, None) };
            assert_eq!(clock().judge(&login, true).health, expected, "{left} min");
        }
    }
}
