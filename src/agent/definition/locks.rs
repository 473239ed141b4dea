//! The locks of an agent: directories that it makes around a refresh and around a write of its login.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

/// The locks around a refresh.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RefreshLockRule {
    /// Made in its home for as long as a refresh is under way.
    pub intent: String,
    /// The suffix of the lock beside its home (`.lock` for `HOME/.x` is `HOME/.x.lock`).
    pub beside: String,
    /// RFC 3339. The mtime of a lock that we hold and nobody waits for: agents take a lock over when its mtime is older
    /// than some seconds, so this one is never touched and needs no timer. Before 2038, where a 32-bit time ends.
    #[serde(default = "rest")]
    pub rest: String,
    /// The mtime of a lock that we hold while the agent waits for it.
    #[serde(default)]
    pub sign: Sign,
    /// Seconds without a sign of life from its holder after which a lock of the agent's is nobody's any more.
    #[serde(default = "dead_after")]
    pub dead_after: u64,
    /// The lock around a write of the login file, if the agent has one.
    pub write: Option<WriteLockRule>,
}

/// The sign of life that a waiting agent looks for: an mtime that moves.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sign {
    /// Seconds from one to the next.
    pub every: u64,
    /// So many seconds from now is the mtime: for so much longer than its rule for stale locks does an agent wait for us
    /// when we are late, and no longer than that once we are gone.
    pub ahead: u64,
}

impl Default for Sign {
    fn default() -> Sign {
        Sign { every: 2, ahead: 20 }
    }
}

/// A directory in the agent's home that is its lock around each write of its login file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WriteLockRule {
    /// Its name.
    pub name: String,
    /// Seconds after which one is nobody's any more.
    pub dead_after: u64,
}

fn rest() -> String {
    "2037-01-01T00:00:00Z".to_owned()
}

fn dead_after() -> u64 {
    10
}

/// At least so far from now is [`RefreshLockRule::rest`]: a clock that is wrong, and set forward by years, must not reach it.
const FUTURE: Duration = Duration::from_secs(366 * 86_400);

impl RefreshLockRule {
    /// The mtime of a lock that nobody waits for.
    pub fn at_rest(&self, now: SystemTime) -> SystemTime {
        let rest = humantime::parse_rfc3339(&self.rest).unwrap_or(now);
        rest.max(now + FUTURE)
    }

    /// Without a sign of life for so long a lock is nobody's.
    pub fn dead_after(&self) -> Duration {
        Duration::from_secs(self.dead_after)
    }
}

impl Sign {
    /// From one to the next.
    pub fn every(&self) -> Duration {
        Duration::from_secs(self.every)
    }

    /// The mtime of a lock that is waited for.
    pub fn of_life(&self, now: SystemTime) -> SystemTime {
        now + Duration::from_secs(self.ahead)
    }
}

impl WriteLockRule {
    /// See the field.
    pub fn dead_after(&self) -> Duration {
        Duration::from_secs(self.dead_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_at_rest_is_far_ahead_of_every_clock() {
        let lock: RefreshLockRule = serde_json::from_str(r#"{ "intent": "i", "beside": ".lock" }"#).unwrap();
        let years = |count: u64| Duration::from_secs(count * 31_556_952);
        let at = |year: u64| SystemTime::UNIX_EPOCH + years(year - 1970);
        for year in [1970, 2025, 2036, 2040] {
            let rest = lock.at_rest(at(year));
            assert!(rest >= at(2037) - Duration::from_secs(86_400) && rest > at(year) + years(1), "{year}");
        }
    }
}
