//! Pure. What came of a login, judged by what is where at the end.

use crate::login::Login;
use crate::login::merge::LoginState;

/// What is where.
#[derive(Debug)]
pub struct Seen<'s> {
    /// What the agent has.
    pub working: &'s LoginState,
    /// What the capture holds, read back.
    pub stored: &'s LoginState,
    /// A login of the agent's was stored.
    pub has_published: bool,
    /// What authenticates the agent without a login file, and is stored too: what people call it.
    pub setting: Option<&'s str>,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The capture holds the login.
    Captured(Login),
    /// The capture holds settings that authenticate the agent: what people call them.
    Setting(String),
    /// It holds a login from which the agent has logged out since: the vendor may take it no more.
    LoggedOut,
    /// There is a login, and it is not stored.
    NotStored(Login),
    /// The agent's login is none: why.
    Unusable(String),
    /// There is no login.
    Nothing,
}

impl Verdict {
    /// Whether there is a login to go on with.
    pub fn is_good(&self) -> bool {
        matches!(self, Verdict::Captured(_) | Verdict::Setting(_))
    }
}

/// Judges.
pub fn judge(seen: &Seen<'_>) -> Verdict {
    match (seen.working, seen.stored) {
        (LoginState::Valid(ours), LoginState::Valid(theirs)) if ours.digest == theirs.digest || seen.has_published => {
            // One that is stored and differs was refreshed from ours meanwhile, by a container that runs.
            Verdict::Captured(theirs.clone())
        }
        (LoginState::Valid(ours), _) => Verdict::NotStored(ours.clone()),
        (_, LoginState::Valid(_)) if seen.has_published => Verdict::LoggedOut,
        _ if seen.setting.is_some() => Verdict::Setting(seen.setting.unwrap_or_default().to_owned()),
        (LoginState::LoggedOut, _) => Verdict::Unusable("its tokens are blank".to_owned()),
        (LoginState::Damaged(why), _) => Verdict::Unusable(why.clone()),
        (LoginState::Unreadable(why), _) => Verdict::Unusable(format!("it cannot be read: {why}")),
        (LoginState::Absent, _) => Verdict::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::Digest;

    fn login(name: &str) -> Login {
        let digest = Digest::of_parts(&[name.as_bytes()]);
        Login { digest, content: digest, refreshable: true, expires_at: None, account: None, plan: None }
    }

    #[test]
    fn the_table() {
        let valid = |name: &str| LoginState::Valid(login(name));
        let damaged = || LoginState::Damaged("it is not JSON".into());
        let captured = |name: &str| Verdict::Captured(login(name));
        let unusable = |why: &str| Verdict::Unusable(why.into());
        let rows: Vec<(LoginState, LoginState, bool, Option<&str>, Verdict)> = vec![
            (valid("new"), valid("new"), true, None, captured("new")),
            (valid("new"), valid("newer"), true, None, captured("newer")),
            (valid("same"), valid("same"), false, None, captured("same")),
            (valid("new"), valid("old"), false, None, Verdict::NotStored(login("new"))),
            (valid("new"), LoginState::Absent, true, None, Verdict::NotStored(login("new"))),
            (valid("new"), damaged(), false, Some("key"), Verdict::NotStored(login("new"))),
            (LoginState::Absent, valid("new"), true, None, Verdict::LoggedOut),
            (LoginState::LoggedOut, valid("new"), true, None, Verdict::LoggedOut),
            (LoginState::Absent, valid("old"), false, None, Verdict::Nothing),
            (LoginState::Absent, LoginState::Absent, false, None, Verdict::Nothing),
            (LoginState::Absent, LoginState::Absent, false, Some("key"), Verdict::Setting("key".into())),
            (LoginState::LoggedOut, valid("old"), false, None, unusable("its tokens are blank")),
            (damaged(), valid("old"), false, None, unusable("it is not JSON")),
        ];
        for (working, stored, has_published, setting, expected) in rows {
            let found = judge(&Seen { working: &working, stored: &stored, has_published, setting });
            assert_eq!(found, expected, "{working:?} {stored:?} {has_published} {setting:?}");
        }
    }
}
