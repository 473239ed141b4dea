//! The login deadline: when a login's refresh token ends. No refresh moves it. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 2025-01-01. No vendor noted a deadline before.
const EARLIEST: Duration = Duration::from_secs(1_735_689_600);
/// No login is good for longer than 10 years.
const LONGEST: Duration = Duration::from_secs(3_653 * 86_400);
/// No access token outlives its refresh token by more.
const TOLERANCE: Duration = Duration::from_secs(3 * 86_400);

/// A deadline as the login file notes it. It counts only if it is plausible, by the bounds of the agents that note one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(SystemTime);

impl Deadline {
    /// `None` if the time cannot be that of a refresh token's end. `expires_at`: when the access token expires.
    pub fn noted(at: SystemTime, expires_at: Option<SystemTime>) -> Option<Deadline> {
        let is_recent = at.duration_since(UNIX_EPOCH).is_ok_and(|since| since >= EARLIEST);
        let outlasts = |expires_at| at.checked_add(TOLERANCE).is_some_and(|latest| expires_at <= latest);
        (is_recent && expires_at.is_none_or(outlasts)).then_some(Deadline(at))
    }

    /// The deadline, unless it is so far away that the note is wrong.
    pub fn at(self, now: SystemTime) -> Option<SystemTime> {
        now.checked_add(LONGEST).is_none_or(|latest| self.0 <= latest).then_some(self.0)
    }
}

/// How near an end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    Far,
    /// Within the time of `--warn-within`.
    Near,
    Past,
}

impl Nearness {
    pub fn of(end: SystemTime, now: SystemTime, warn_within: Duration) -> Nearness {
        if end <= now {
            Nearness::Past
        } else if now.checked_add(warn_within).is_some_and(|soon| end <= soon) {
            Nearness::Near
        } else {
            Nearness::Far
        }
    }

    /// What is said of a login deadline that is so near.
    pub fn of_deadline(self, deadline: SystemTime) -> Option<String> {
        let time = humantime::format_rfc3339_seconds(deadline);
        match self {
            Nearness::Far => None,
            Nearness::Near => Some(format!("the login deadline is {time}, which no refresh moves")),
            Nearness::Past => {
                Some(format!("the login deadline was {time}: the vendor may refuse to refresh the login"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row {
        what: &'static str,
        /// Days after [`NOW`].
        deadline: i64,
        access_expires: Option<i64>,
        counts: bool,
    }

    /// 2026-01-01.
    const NOW: u64 = 1_767_225_600;

    fn day(days: i64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW.checked_add_signed(days * 86_400).unwrap())
    }

    #[test]
    fn only_a_plausible_deadline_counts() {
        let rows = [
            Row { what: "four weeks ahead", deadline: 28, access_expires: Some(0), counts: true },
            Row { what: "of a file without an expiry", deadline: 28, access_expires: None, counts: true },
            Row { what: "in the past", deadline: -30, access_expires: Some(-31), counts: true },
            Row { what: "on 2025-01-01", deadline: -365, access_expires: None, counts: true },
            Row { what: "before 2025", deadline: -366, access_expires: None, counts: false },
            Row { what: "in 1970", deadline: -20_000, access_expires: None, counts: false },
            Row { what: "ten years ahead", deadline: 3_653, access_expires: None, counts: true },
            Row { what: "further ahead", deadline: 3_654, access_expires: None, counts: false },
            Row { what: "shortly before the access token's", deadline: 1, access_expires: Some(4), counts: true },
            Row { what: "long before the access token's", deadline: 1, access_expires: Some(5), counts: false },
        ];
        for Row { what, deadline, access_expires, counts } in rows {
            let found = Deadline::noted(day(deadline), access_expires.map(day)).and_then(|noted| noted.at(day(0)));
            assert_eq!(found, counts.then(|| day(deadline)), "{what}");
        }
    }
}
