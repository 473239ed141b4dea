//! Tells when the login in use comes near an end while the agent runs. Pure: it is told the time.

use std::time::{Duration, SystemTime};

use crate::login::{Login, Nearness};
use crate::plan::warning::KEPT_BEFORE;

/// What ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The login, although it is refreshed.
    Login,
    /// The access token of a login without a refresh token.
    AccessToken,
    /// The access token of a follower, which only a keeper refreshes.
    FollowedToken,
}

#[derive(Debug, Clone, Copy)]
struct Watched {
    end: End,
    at: SystemTime,
    /// How long before it is worth a message.
    warn_within: Duration,
    /// As near as it was when a message said so.
    said: Nearness,
}

impl Watched {
    fn nearness(&self, now: SystemTime) -> Nearness {
        Nearness::of(self.at, now, self.warn_within)
    }

    /// When the next message is due.
    fn due(&self) -> Option<SystemTime> {
        match self.said {
            Nearness::Far => Some(self.at.checked_sub(self.warn_within).unwrap_or(SystemTime::UNIX_EPOCH)),
            Nearness::Near => Some(self.at),
            Nearness::Past => None,
        }
    }
}

#[derive(Debug)]
pub struct ExpiryWatch {
    /// From how long before its deadline a login is warned of.
    warn_within: Duration,
    is_follower: bool,
    watched: Vec<Watched>,
}

impl ExpiryWatch {
    pub fn new(warn_within: Duration, is_follower: bool) -> ExpiryWatch {
        ExpiryWatch { warn_within, is_follower, watched: Vec::new() }
    }

    /// Takes note of the login. `is_reported`: what is near an end by now was said already.
    pub fn observe(&mut self, login: &Login, now: SystemTime, is_reported: bool) {
        let watched = self.ends(login, now).map(|(end, at, warn_within)| {
            // A refresh does not move the end of the login, which was said before.
            let known = self.watched.iter().find(|known| known.end == end && known.at == at);
            let new = Watched { end, at, warn_within, said: Nearness::Far };
            let said = if is_reported { new.nearness(now) } else { Nearness::Far };
            known.copied().unwrap_or(Watched { said, ..new })
        });
        self.watched = watched.collect();
    }

    fn ends(&self, login: &Login, now: SystemTime) -> impl Iterator<Item = (End, SystemTime, Duration)> {
        let of_login = login.ends_at(now).map(|at| (End::Login, at, self.warn_within));
        let of_token = login.expires_at.and_then(|at| match (self.is_follower, login.refreshable) {
            (true, _) => Some((End::FollowedToken, at, KEPT_BEFORE)),
            (false, false) => Some((End::AccessToken, at, Duration::ZERO)),
            (false, true) => None,
        });
        of_login.into_iter().chain(of_token)
    }

    /// When the next end comes near, or comes.
    pub fn due(&self) -> Option<SystemTime> {
        self.watched.iter().filter_map(Watched::due).min()
    }

    /// The ends that are nearer than was said.
    pub fn step(&mut self, now: SystemTime) -> Vec<(End, SystemTime)> {
        let mut nearer = Vec::new();
        for watched in &mut self.watched {
            let nearness = watched.nearness(now);
            if nearness > watched.said {
                watched.said = nearness;
                nearer.push((watched.end, watched.at));
            }
        }
        nearer
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::login::format::SessionFile;
    use crate::login::{Document, Login};

    /// 2026-01-01.
    const START: u64 = 1_767_225_600;
    const MINUTE: u64 = 60;
    const DAY: u64 = 86_400;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(START + seconds)
    }

    /// A login whose access token and which itself end so many seconds after [`START`].
    fn login(access: u64, deadline: Option<u64>, refresh: &str) -> Login {
        let rule: SessionFile = serde_json::from_str(
            r#"{ "file": "login", "access-token": ["/access"], "refresh-token": ["/refresh"],
                 "expiry": { "field": "/expires", "unit": "seconds" }, "deadline": { "field": "/end", "unit": "seconds" } }"#,
        )
        .unwrap();
        let json = serde_json::json!({
            "access": "FAKE-a", "refresh": refresh, "expires": START + access, "end": deadline.map(|end| START + end),
        });
        Document::parse(json.to_string().as_bytes(), rule.format).unwrap().login(&rule).unwrap()
    }

    struct Row {
        what: &'static str,
        login: Login,
        is_follower: bool,
        /// What is said, and how many seconds after the start.
        expected: &'static [(End, u64)],
    }

    #[test]
    fn each_end_is_said_when_it_comes_near_and_when_it_comes() {
        let rows = [
            Row {
                what: "a refreshed login without an end",
                login: login(60, None, "FAKE-r"),
                is_follower: false,
                expected: &[],
            },
            Row {
                what: "a login with an end",
                login: login(60, Some(20 * DAY), "FAKE-r"),
                is_follower: false,
                expected: &[(End::Login, 13 * DAY), (End::Login, 20 * DAY)],
            },
            Row {
                what: "no refresh token",
                login: login(3 * DAY, None, ""),
                is_follower: false,
                expected: &[(End::AccessToken, 3 * DAY)],
            },
            Row {
                what: "a follower",
                login: login(60 * MINUTE, None, ""),
                is_follower: true,
                expected: &[(End::FollowedToken, 40 * MINUTE), (End::FollowedToken, 60 * MINUTE)],
            },
            Row {
                what: "a follower of a login with an end",
                login: login(DAY, Some(9 * DAY), "FAKE-r"),
                is_follower: true,
                expected: &[
                    (End::FollowedToken, DAY - 20 * MINUTE),
                    (End::FollowedToken, DAY),
                    (End::Login, 2 * DAY),
                    (End::Login, 9 * DAY),
                ],
            },
        ];
        for Row { what, login, is_follower, expected } in rows {
            let mut watch = ExpiryWatch::new(Duration::from_secs(7 * DAY), is_follower);
            watch.observe(&login, at(0), true);
            assert_eq!(watch.step(at(0)), [], "{what}");
            let mut said = Vec::new();
            while let Some(due) = watch.due() {
                let nearer = watch.step(due);
                assert!(!nearer.is_empty(), "{what}: due, and nothing to say");
                said.extend(nearer.into_iter().map(|(end, _)| (end, due)));
            }
            let expected: Vec<_> = expected.iter().map(|(end, after)| (*end, at(*after))).collect();
            assert_eq!(said, expected, "{what}");
        }
    }

    #[test]
    fn what_was_said_is_not_said_again_after_a_refresh_but_of_another_login() {
        let mut watch = ExpiryWatch::new(Duration::from_secs(7 * DAY), false);
        watch.observe(&login(60, Some(5 * DAY), "FAKE-r"), at(0), true);
        watch.observe(&login(3600, Some(5 * DAY), "FAKE-s"), at(30), false);
        assert_eq!(watch.step(at(30)), []);
        watch.observe(&login(3600, Some(6 * DAY), "FAKE-t"), at(60), false);
        assert_eq!(watch.step(at(60)), [(End::Login, at(6 * DAY))]);
        watch.observe(&login(3600, Some(30 * DAY), "FAKE-u"), at(90), false);
        assert_eq!((watch.step(at(90)), watch.due()), (vec![], Some(at(23 * DAY))));
    }
}
