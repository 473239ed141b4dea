//! Pure. How often a store that tells nobody of its changes is asked.
//!
//! A login changes when its access token comes to its end, so it is asked for often then, and seldom else. Many
//! containers must not ask in step, and a store that fails is left in peace for longer each time.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime};

/// While nothing is expected.
const SELDOM: Duration = Duration::from_secs(60);
/// While the login is about to change.
const OFTEN: Duration = Duration::from_secs(10);
/// So long before its expiry a login may be refreshed by whoever has it.
const BEFORE: Duration = Duration::from_secs(15 * 60);
/// The longest.
const LONGEST: Duration = Duration::from_secs(600);

/// When to ask next.
#[derive(Debug)]
pub struct PollInterval {
    live: bool,
    last: Instant,
    failures: u32,
    expires_at: Option<SystemTime>,
    jitter: f64,
}

impl PollInterval {
    /// From now on; never, where changes are not looked for.
    pub fn new(live: bool, now: Instant) -> PollInterval {
        PollInterval { live, last: now, failures: 0, expires_at: None, jitter: random() }
    }

    /// The login expires then; none, and it is waited for.
    pub fn expect(&mut self, expires_at: Option<SystemTime>) {
        self.expires_at = expires_at;
    }

    /// It was asked.
    pub fn asked(&mut self, now: Instant, answered: bool) {
        self.last = now;
        self.failures = if answered { 0 } else { self.failures.saturating_add(1) };
        self.jitter = random();
    }

    /// When to ask again.
    pub fn due(&self) -> Option<Instant> {
        let left = self.expires_at.map(|at| at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO));
        self.live.then(|| self.last + interval(left, self.failures, self.jitter))
    }
}

/// Between two questions. `left`: until the login expires; `jitter`: 0 to 1.
fn interval(left: Option<Duration>, failures: u32, jitter: f64) -> Duration {
    let even = if left.is_none_or(|left| left < BEFORE) { OFTEN } else { SELDOM };
    let backed_off = even.saturating_mul(1 << failures.min(8)).min(LONGEST);
    backed_off.mul_f64(0.8 + 0.4 * jitter)
}

/// 0 to 1.
fn random() -> f64 {
    f64::from(u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
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
    fn who_does_not_look_is_never_due() {
        assert!(PollInterval::new(false, Instant::now()).due().is_none());
        assert!((0.0..=1.0).contains(&random()));
    }
}
