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
    /// RFC 3339. The mtime of a lock that agent-init holds and nobody waits for. Agents take over a lock whose mtime is
    /// some seconds old, so a time in the future needs no timer. It must be before 2038, where 32-bit times end.
    #[serde(default = "rest")]
    pub rest: String,
    /// The mtime of a lock that agent-init holds while the agent waits for it.
    #[serde(default)]
    pub sign: Sign,
    /// Seconds without a sign of life from its holder after which a lock of the agent counts as abandoned.
    #[serde(default = "dead_after")]
    pub dead_after: u64,
    /// How agent-init holds the `intent` in a capture during a turn. An agent outside of any container may use the
    /// capture as its home, and then waits as for another agent. Without this, only containers take turns.
    pub shared: Option<SharedLockRule>,
    /// The lock around a write of the login file, if the agent has one.
    pub write: Option<WriteLockRule>,
}

/// How the agent's lock is held in a directory that its agents share with agent-init.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SharedLockRule {
    /// Seconds from one sign of life to the next.
    pub every: u64,
    /// The mtime is this many seconds in the past, so that a lock whose holder was killed becomes stale soon. With
    /// `every` it must stay below the age at which any version of the agent takes a lock over.
    pub behind: u64,
    /// Seconds without a sign of life after which every version of the agent takes a lock over.
    pub dead_after: u64,
}

/// The sign of life that a waiting agent looks for: a changing mtime.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sign {
    /// Seconds from one sign to the next.
    pub every: u64,
    /// The mtime is this many seconds in the future. An agent waits that much longer than its own limit for stale
    /// locks: for a late sign, and after agent-init was killed.
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
    pub name: String,
    /// Seconds after which a lock counts as abandoned.
    pub dead_after: u64,
}

fn rest() -> String {
    "2037-01-01T00:00:00Z".to_owned()
}

fn dead_after() -> u64 {
    10
}

/// [`RefreshLockRule::rest`] is at least this far in the future, so that a wrong clock that is set forward does not
/// reach it.
const FUTURE: Duration = Duration::from_secs(366 * 86_400);

impl RefreshLockRule {
    /// The mtime of a lock that nobody waits for.
    pub fn at_rest(&self, now: SystemTime) -> SystemTime {
        let rest = humantime::parse_rfc3339(&self.rest).unwrap_or(now);
        rest.max(now + FUTURE)
    }

    /// How long a lock without a sign of life counts as held.
    pub fn dead_after(&self) -> Duration {
        Duration::from_secs(self.dead_after)
    }
}

impl Sign {
    /// The time from one sign to the next.
    pub fn every(&self) -> Duration {
        Duration::from_secs(self.every)
    }

    /// The mtime of a lock that is waited for.
    pub fn of_life(&self, now: SystemTime) -> SystemTime {
        now + Duration::from_secs(self.ahead)
    }
}

impl WriteLockRule {
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
