//! Pure. The health of a login, judged by its expiry.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::login::Login;
use crate::words::spelling;
use crate::words::spelling::word_enum;

word_enum! {
    /// From the best to the worst.
    #[derive(PartialOrd, Ord)]
    pub enum Health("state") {
        Ok = "ok": "",
        Expiring = "expiring": "it cannot be refreshed and expires soon",
        Unsaved = "unsaved": "it authenticates, but the last publish failed: the refreshed login is only in this container",
        Expired = "expired": "it cannot be refreshed and has expired",
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
        let Some(expires) = login.expires_at.filter(|_| !login.refreshable) else { return (Health::Ok, None) };
        match self.by_expiry(expires) {
            Health::Expired => {
                (Health::Expired, Some("its access token has expired, and it has no refresh token".to_owned()))
            }
            Health::Expiring => (Health::Expiring, Some("it expires soon, and it has no refresh token".to_owned())),
            health => (health, None),
        }
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
        if expires <= self.now {
            Health::Expired
        } else if self.now.checked_add(self.warn_within).is_some_and(|soon| expires <= soon) {
            Health::Expiring
        } else {
            Health::Ok
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::login::Digest;

    const DAY: u64 = 86_400;

    pub(in crate::status) fn clock() -> Clock {
        Clock {
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(100 * DAY),
            warn_within: Duration::from_secs(7 * DAY),
        }
    }

    pub(in crate::status) fn login(refreshable: bool, days: Option<u64>) -> Login {
        let digest = Digest::parse(&format!("sha256:{:064x}", 1)).unwrap();
        let expires_at = days.map(|days| SystemTime::UNIX_EPOCH + Duration::from_secs(days * DAY));
        Login { digest, content: digest, refreshable, expires_at, account: None, plan: None, is_unknown_kind: false }
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
}
