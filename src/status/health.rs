//! Pure. The health of a login, judged by its expiry.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::login::{Login, Nearness};
use crate::words::spelling;
use crate::words::spelling::word_enum;

word_enum! {
    /// From the best to the worst.
    #[derive(PartialOrd, Ord)]
    pub enum Health("state") {
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

impl Clock {
    pub(super) fn judge(self, login: &Login) -> (Health, Option<String>) {
        if login.refreshable {
            return self.judge_deadline(login.ends_at(self.now));
        }
        let Some(expires) = login.expires_at else { return (Health::Ok, None) };
        match self.by_expiry(expires) {
            Health::Expired => {
                (Health::Expired, Some("its access token has expired, and it has no refresh token".to_owned()))
            }
            Health::Expiring => (Health::Expiring, Some("it expires soon, and it has no refresh token".to_owned())),
            health => (health, None),
        }
    }

    /// A login that is refreshed is healthy until its deadline, whatever its access token says.
    fn judge_deadline(self, deadline: Option<SystemTime>) -> (Health, Option<String>) {
        let Some(deadline) = deadline else { return (Health::Ok, None) };
        let nearness = Nearness::of(deadline, self.now, self.warn_within);
        (nearness.into(), nearness.of_deadline(deadline))
    }

    pub(super) fn judge_token(self, expires: Option<SystemTime>) -> (Health, Option<String>) {
        let renew = "make a new one with agent-init setup --token";
        match expires.map_or(Health::Ok, |expires| self.by_expiry(expires)) {
            Health::Expired => (Health::Expired, Some(format!("the token has expired: {renew}"))),
            Health::Expiring => (Health::Expiring, Some(format!("the token expires soon: {renew}"))),
            health => (health, None),
        }
    }

    fn by_expiry(self, expires: SystemTime) -> Health {
        Nearness::of(expires, self.now, self.warn_within).into()
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
            assert_eq!(clock().judge(&login(refreshable, days)).0, expected, "{refreshable} {days:?}");
        }
    }

    struct Row {
        what: &'static str,
        refreshable: bool,
        /// Days; it is day 100.
        access_expires: Option<u64>,
        deadline: Option<u64>,
        expected: Health,
        says: &'static str,
    }

    #[test]
    fn a_login_that_is_refreshed_is_healthy_until_its_deadline() {
        let row = |what, access_expires, deadline, expected, says| Row {
            what,
            refreshable: true,
            access_expires,
            deadline,
            expected,
            says,
        };
        let rows = [
            row("no deadline is noted", Some(1), None, Health::Ok, ""),
            row("far away", Some(100), Some(108), Health::Ok, ""),
            row("far away, with an expired access token", Some(99), Some(128), Health::Ok, ""),
            row("soon", Some(101), Some(107), Health::Expiring, "is 2026-04-18T00:00:00Z"),
            row("soon, without an expiry", None, Some(101), Health::Expiring, "is 2026-04-12T00:00:00Z"),
            row("now", Some(101), Some(100), Health::Expired, "was 2026-04-11T00:00:00Z"),
            row("over", Some(1), Some(2), Health::Expired, "was 2026-01-03T00:00:00Z"),
            row("implausible", Some(101), Some(100_000), Health::Ok, ""),
            Row { refreshable: false, ..row("nothing refreshes it", Some(200), Some(199), Health::Ok, "") },
            Row {
                refreshable: false,
                ..row(
                    "nothing refreshes it, and it ends first",
                    Some(101),
                    Some(128),
                    Health::Expiring,
                    "no refresh token",
                )
            },
        ];
        for Row { what, refreshable, access_expires, deadline, expected, says } in rows {
            let expires_at = access_expires.map(day);
            let deadline = deadline.and_then(|deadline| Deadline::noted(day(deadline), expires_at));
            let login = Login { deadline, ..login(refreshable, access_expires) };
            let (health, problem) = clock().judge(&login);
            assert_eq!(health, expected, "{what}");
            assert_eq!(problem.is_none(), expected == Health::Ok, "{what}");
            assert!(problem.unwrap_or_default().contains(says), "{what}");
        }
    }
}
