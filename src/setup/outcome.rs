//! Pure. Whether a person's login was captured, judged by the files at the end.

use crate::login::Login;
use crate::login::merge::LoginState;

/// What was found at the end.
#[derive(Debug)]
pub struct Evidence<'s> {
    /// The login in the working copy.
    pub working: &'s LoginState,
    /// The login in the capture, read back.
    pub stored: &'s LoginState,
    /// A login of the agent was stored meanwhile.
    pub has_published: bool,
    /// The label of a setting that authenticates the agent without a login file and is stored too.
    pub setting: Option<&'s str>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum LoginOutcome {
    /// The capture holds the login.
    Captured(Login),
    /// The capture holds a setting that authenticates the agent. Its label.
    Setting(String),
    /// The capture holds a login from which the agent has logged out since. The vendor may refuse it.
    LoggedOut,
    /// There is a login, but the capture does not hold it.
    NotStored(Login),
    /// The login file is not usable, for this reason.
    Unusable(String),
    Nothing,
}

impl LoginOutcome {
    /// Whether the capture holds something that authenticates the agent.
    pub fn is_captured(&self) -> bool {
        matches!(self, LoginOutcome::Captured(_) | LoginOutcome::Setting(_))
    }
}

pub fn assess(evidence: &Evidence<'_>) -> LoginOutcome {
    match (evidence.working, evidence.stored) {
        (LoginState::Valid(ours), LoginState::Valid(theirs))
            if ours.digest == theirs.digest || evidence.has_published =>
        {
            // A stored login that differs was refreshed from ours by a running container meanwhile.
            LoginOutcome::Captured(theirs.clone())
        }
        (LoginState::Valid(ours), _) => LoginOutcome::NotStored(ours.clone()),
        (_, LoginState::Valid(_)) if evidence.has_published => LoginOutcome::LoggedOut,
        _ if evidence.setting.is_some() => LoginOutcome::Setting(evidence.setting.unwrap_or_default().to_owned()),
        (LoginState::LoggedOut, _) => LoginOutcome::Unusable("its tokens are blank".to_owned()),
        (LoginState::Damaged(why), _) => LoginOutcome::Unusable(why.clone()),
        (LoginState::Unreadable(why), _) => LoginOutcome::Unusable(format!("it cannot be read: {why}")),
        (LoginState::Absent, _) => LoginOutcome::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::Digest;

    fn login(name: &str) -> Login {
        let digest = Digest::of_parts(&[name.as_bytes()]);
        Login {
            digest,
            content: digest,
            refreshable: true,
            expires_at: None,
            deadline: None,
            account: None,
            plan: None,
            is_unknown_kind: false,
        }
    }

    #[test]
    fn each_combination_has_an_outcome() {
        let valid = |name: &str| LoginState::Valid(login(name));
        let damaged = || LoginState::Damaged("it is not JSON".into());
        let captured = |name: &str| LoginOutcome::Captured(login(name));
        let unusable = |why: &str| LoginOutcome::Unusable(why.into());
        let rows: Vec<(LoginState, LoginState, bool, Option<&str>, LoginOutcome)> = vec![
            (valid("new"), valid("new"), true, None, captured("new")),
            (valid("new"), valid("newer"), true, None, captured("newer")),
            (valid("same"), valid("same"), false, None, captured("same")),
            (valid("new"), valid("old"), false, None, LoginOutcome::NotStored(login("new"))),
            (valid("new"), LoginState::Absent, true, None, LoginOutcome::NotStored(login("new"))),
            (valid("new"), damaged(), false, Some("key"), LoginOutcome::NotStored(login("new"))),
            (LoginState::Absent, valid("new"), true, None, LoginOutcome::LoggedOut),
            (LoginState::LoggedOut, valid("new"), true, None, LoginOutcome::LoggedOut),
            (LoginState::Absent, valid("old"), false, None, LoginOutcome::Nothing),
            (LoginState::Absent, LoginState::Absent, false, None, LoginOutcome::Nothing),
            (LoginState::Absent, LoginState::Absent, false, Some("key"), LoginOutcome::Setting("key".into())),
            (LoginState::LoggedOut, valid("old"), false, None, unusable("its tokens are blank")),
            (damaged(), valid("old"), false, None, unusable("it is not JSON")),
        ];
        for (working, stored, has_published, setting, expected) in rows {
            let found = assess(&Evidence { working: &working, stored: &stored, has_published, setting });
            assert_eq!(found, expected, "{working:?} {stored:?} {has_published} {setting:?}");
        }
    }
}
