//! How often to ask a store that does not report its changes. Pure.
//!
//! A login changes when its access token is about to expire, so the store is asked often then, and rarely otherwise.
//! Many containers must not ask in step, and a store that fails is asked less and less often.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime};

/// The interval while no change is expected.
const IDLE_INTERVAL: Duration = Duration::from_secs(60);
/// The interval while the login is about to change.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(10);
/// A login may be refreshed, by whoever has it, from this long before its expiry.
const EARLY_REFRESH: Duration = Duration::from_secs(15 * 60);
/// The maximum interval.
const MAX_INTERVAL: Duration = Duration::from_secs(600);

/// When to ask a store next.
#[derive(Debug)]
pub struct PollInterval {
    live: bool,
    last: Instant,
    failures: u32,
    expires_at: Option<SystemTime>,
    jitter: f64,
}

impl PollInterval {
    /// Starts now. A session that is not `live` never polls.
    pub fn new(live: bool, now: Instant) -> PollInterval {
        PollInterval { live, last: now, failures: 0, expires_at: None, jitter: random() }
    }

    /// Sets when the stored login expires. `None`: there is no login, so one is expected soon.
    pub fn expect(&mut self, expires_at: Option<SystemTime>) {
        self.expires_at = expires_at;
    }

    pub fn asked(&mut self, now: Instant, answered: bool) {
        self.last = now;
        self.failures = if answered { 0 } else { self.failures.saturating_add(1) };
        self.jitter = random();
    }

    pub fn due(&self) -> Option<Instant> {
        let left = self.expires_at.map(|at| at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO));
        self.live.then(|| self.last + interval(left, self.failures, self.jitter))
    }
}

/// The interval between two requests. `left`: the time until the login expires; `jitter`: 0 to 1.
fn interval(left: Option<Duration>, failures: u32, jitter: f64) -> Duration {
    let regular = if left.is_none_or(|left| left < EARLY_REFRESH) { EXPIRY_INTERVAL } else { IDLE_INTERVAL };
    let backed_off = regular.saturating_mul(1 << failures.min(8)).min(MAX_INTERVAL);
    backed_off.mul_f64(0.8 + 0.4 * jitter)
}

/// From 0 to 1.
fn random() -> f64 {
    f64::from(u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_depends_on_expiry_and_failures() {
        let hour = Some(Duration::from_secs(3600));
        let rows = [
            (hour, 0, 0.5, 60.0),
            (hour, 0, 0.0, 48.0),
            (hour, 0, 1.0, 72.0),
            (Some(Duration::from_secs(60)), 0, 0.5, 10.0),
            (None, 0, 0.5, 10.0),
            (hour, 1, 0.5, 120.0),
            (None, 3, 0.5, 80.0),
            (hour, 200, 0.5, 600.0),
        ];
        for (left, failures, jitter, seconds) in rows {
            assert!((interval(left, failures, jitter).as_secs_f64() - seconds).abs() < 0.01, "{left:?} {failures}");
        }
    }

    #[test]
    fn without_live_sync_the_store_is_never_polled() {
        assert!(PollInterval::new(false, Instant::now()).due().is_none());
        assert!((0.0..=1.0).contains(&random()));
    }
}
