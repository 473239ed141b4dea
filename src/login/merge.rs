//! Pure. The three-way table: what was agreed, what the agent has, what is stored.

use serde::{Deserialize, Serialize};

use crate::login::defect::Defect;
use crate::login::digest::Digest;
use crate::login::document::Login;
use crate::login::history::History;

/// One side's copy of the login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginState {
    /// There is no file.
    Absent,
    /// The file is whole and says that nobody is logged in.
    LoggedOut,
    /// The file is no login.
    Damaged(String),
    /// The file cannot be read now (an I/O error): nothing is known of what it holds, and nothing may take its place.
    Unreadable(String),
    /// A usable login.
    Valid(Login),
}

impl LoginState {
    /// The login, if it is one.
    pub fn login(&self) -> Option<&Login> {
        match self {
            LoginState::Valid(login) => Some(login),
            _ => None,
        }
    }

    /// What a defect makes of a copy.
    pub fn defective(defect: &Defect) -> LoginState {
        if defect.is_logged_out() { LoginState::LoggedOut } else { LoginState::Damaged(defect.to_string()) }
    }
}

/// What was installed or last agreed: tokens and all that travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeBase {
    /// See [`Login::digest`].
    pub digest: Digest,
    /// See [`Login::content`].
    pub content: Digest,
}

impl From<&Login> for MergeBase {
    fn from(login: &Login) -> MergeBase {
        MergeBase { digest: login.digest, content: login.content }
    }
}

/// What the last sync with the store came to: one word in the log, the state file, `status` and docs/sync.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncResult {
    Unchanged,
    Published,
    Adopted,
    /// Another account's login is stored and stays; ours is under `conflicts/`.
    Kept,
    LoggedOut,
    /// The agent's file is no login.
    Torn,
    /// A login that is not stored could not be stored.
    Failed,
    NotAdopted,
    Unreadable,
    /// A word of another version of this program.
    #[serde(other)]
    Unknown,
}

impl SyncResult {
    /// Its spelling, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            SyncResult::Unchanged => "unchanged",
            SyncResult::Published => "published",
            SyncResult::Adopted => "adopted",
            SyncResult::Kept => "kept",
            SyncResult::LoggedOut => "logged-out",
            SyncResult::Torn => "torn",
            SyncResult::Failed => "failed",
            SyncResult::NotAdopted => "not-adopted",
            SyncResult::Unreadable => "unreadable",
            SyncResult::Unknown => "unknown",
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Both sides agree, or there is nothing to carry.
    Unchanged,
    /// Working copy to store. `keep_other`: the stored login goes to `conflicts/` first.
    Publish {
        /// See above.
        keep_other: bool,
    },
    /// Store to working copy. `keep_other`: the agent's login goes to `conflicts/` first.
    Adopt {
        /// See above.
        keep_other: bool,
    },
    /// Another account's login is stored: it stays, and ours goes to `conflicts/`.
    Kept,
    /// The agent's login is blank or gone, and nothing newer is stored.
    LoggedOut,
    /// The agent's file is damaged, and so is what is stored, or there is none.
    Damaged,
    /// One side cannot be read now: neither is replaced, and both are read again.
    Unknown,
}

impl Outcome {
    /// Whether something is written to a store or a working copy, so that the lock is needed.
    pub fn carries(self) -> bool {
        matches!(self, Outcome::Publish { .. } | Outcome::Adopt { .. } | Outcome::Kept)
    }
}

/// Decides.
///
/// A side that does not parse may be in the middle of a write: the caller asks with `Damaged` only after it has waited.
pub fn reconcile(base: Option<MergeBase>, working: &LoginState, stored: &LoginState, history: &History) -> Outcome {
    let changed = |login: &Login| base != Some(MergeBase::from(login));
    match (working, stored) {
        (LoginState::Unreadable(_), _) | (_, LoginState::Unreadable(_)) => Outcome::Unknown,
        (LoginState::Valid(ours), LoginState::Valid(theirs)) if MergeBase::from(ours) == MergeBase::from(theirs) => {
            Outcome::Unchanged
        }
        // An ancestor never wins: its refresh token is spent.
        (LoginState::Valid(ours), LoginState::Valid(_)) if history.is_ancestor(ours.digest) => {
            Outcome::Adopt { keep_other: false }
        }
        (LoginState::Valid(_), LoginState::Valid(theirs)) if history.is_ancestor(theirs.digest) => {
            Outcome::Publish { keep_other: false }
        }
        (LoginState::Valid(ours), LoginState::Valid(theirs)) => match (changed(ours), changed(theirs)) {
            // An agent may change its account, and a hostile one that of others: what was stored can be had back.
            (true, false) => Outcome::Publish { keep_other: !is_same_account(ours, theirs) },
            // What is stored now may be of another line, that of a capture which was restored.
            (false, _) => Outcome::Adopt { keep_other: !history.is_empty() && !history.contains(ours.digest) },
            (true, true) => both_changed(ours, theirs),
        },
        // Nothing usable is stored. What was installed and never changed is not written back: whoever removed or
        // blanked the stored login meant it.
        (LoginState::Valid(ours), _) if changed(ours) => Outcome::Publish { keep_other: false },
        (LoginState::Valid(_), _) => Outcome::Unchanged,
        (LoginState::Damaged(_), LoginState::Valid(_)) => Outcome::Adopt { keep_other: true },
        (LoginState::Damaged(_), _) => Outcome::Damaged,
        (LoginState::LoggedOut | LoginState::Absent, LoginState::Valid(theirs))
            if changed(theirs) && !history.is_ancestor(theirs.digest) =>
        {
            Outcome::Adopt { keep_other: false }
        }
        // The stored login is the one that the vendor refused: to give it to the agent again would help nobody.
        (LoginState::LoggedOut | LoginState::Absent, _) => Outcome::LoggedOut,
    }
}

/// Decides for a working copy in which somebody is to log in anew. Nothing is installed there, and what is stored stays until
/// there is a new login, which replaces it whoever it belongs to.
pub fn anew(working: &LoginState, stored: &LoginState) -> Outcome {
    match (working, stored) {
        (LoginState::Unreadable(_), _) | (_, LoginState::Unreadable(_)) => Outcome::Unknown,
        (LoginState::Valid(ours), LoginState::Valid(theirs)) if MergeBase::from(ours) == MergeBase::from(theirs) => {
            Outcome::Unchanged
        }
        (LoginState::Valid(_), _) => Outcome::Publish { keep_other: true },
        _ => Outcome::Unchanged,
    }
}

/// Whether two logins are one account's, as far as they tell: where they do not, they came by one capture.
fn is_same_account(ours: &Login, theirs: &Login) -> bool {
    match (&ours.account, &theirs.account) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => true,
    }
}

fn both_changed(ours: &Login, theirs: &Login) -> Outcome {
    if ours.digest == theirs.digest {
        // One login with other details: the agent is the last to have written it.
        return Outcome::Publish { keep_other: false };
    }
    if !is_same_account(ours, theirs) {
        Outcome::Kept
    } else if ours.expires_at > theirs.expires_at {
        Outcome::Publish { keep_other: true }
    } else {
        Outcome::Adopt { keep_other: true }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn digest(number: u64) -> Digest {
        Digest::parse(&format!("sha256:{number:064x}")).unwrap()
    }

    fn login(number: u64, expires: u64, account: Option<&str>) -> LoginState {
        LoginState::Valid(Login {
            digest: digest(number),
            content: digest(number + 1000),
            refreshable: true,
            expires_at: Some(UNIX_EPOCH + Duration::from_secs(expires)),
            account: account.map(str::to_owned),
            plan: None,
        })
    }

    const BASE: u64 = 5;

    fn decide(working: &LoginState, stored: &LoginState) -> Outcome {
        let base = MergeBase { digest: digest(BASE), content: digest(BASE + 1000) };
        let mut history = History::default();
        history.push(digest(4));
        history.push(digest(BASE));
        reconcile(Some(base), working, stored, &history)
    }

    #[test]
    fn each_result_is_spelled_as_in_json() {
        let all = [
            SyncResult::Unchanged,
            SyncResult::Published,
            SyncResult::Adopted,
            SyncResult::Kept,
            SyncResult::LoggedOut,
            SyncResult::Torn,
            SyncResult::Failed,
            SyncResult::NotAdopted,
            SyncResult::Unreadable,
            SyncResult::Unknown,
        ];
        for result in all {
            assert_eq!(serde_json::to_value(result).unwrap(), result.word());
            assert_eq!(serde_json::from_value::<SyncResult>(result.word().into()).unwrap(), result);
        }
        assert_eq!(serde_json::from_str::<SyncResult>(r#""of another version""#).unwrap(), SyncResult::Unknown);
    }

    #[test]
    fn the_table() {
        let me = Some("me@example.com");
        let base = || login(BASE, 50, me);
        let newer = || login(6, 60, me);
        let newest = || login(7, 70, me);
        let other = || login(8, 80, Some("you@example.com"));
        let spent = || login(4, 40, me);
        let nameless = || login(9, 90, None);
        let (absent, blank, torn) =
            (|| LoginState::Absent, || LoginState::LoggedOut, || LoginState::Damaged("torn".into()));
        let publish = |keep_other| Outcome::Publish { keep_other };
        let adopt = |keep_other| Outcome::Adopt { keep_other };
        let rows = [
            // working, stored, outcome
            (base(), base(), Outcome::Unchanged),
            (base(), newer(), adopt(false)),
            (base(), other(), adopt(false)),
            (base(), spent(), publish(false)),
            (base(), absent(), Outcome::Unchanged),
            (base(), blank(), Outcome::Unchanged),
            (base(), torn(), Outcome::Unchanged),
            (newer(), base(), publish(false)),
            (newer(), newer(), Outcome::Unchanged),
            (newer(), newest(), adopt(true)),
            (newest(), newer(), publish(true)),
            (newer(), other(), Outcome::Kept),
            (newer(), nameless(), adopt(true)),
            (newer(), spent(), publish(false)),
            (spent(), newer(), adopt(false)),
            (newer(), absent(), publish(false)),
            (newer(), blank(), publish(false)),
            (newer(), torn(), publish(false)),
            (blank(), base(), Outcome::LoggedOut),
            (blank(), newer(), adopt(false)),
            (blank(), absent(), Outcome::LoggedOut),
            (blank(), blank(), Outcome::LoggedOut),
            (absent(), base(), Outcome::LoggedOut),
            (absent(), newer(), adopt(false)),
            (absent(), absent(), Outcome::LoggedOut),
            (torn(), base(), adopt(true)),
            (torn(), newer(), adopt(true)),
            (torn(), absent(), Outcome::Damaged),
            (torn(), torn(), Outcome::Damaged),
        ];
        for (working, stored, expected) in rows {
            assert_eq!(decide(&working, &stored), expected, "working {working:?}\nstored {stored:?}");
        }
    }

    fn any_version() -> impl Strategy<Value = LoginState> {
        prop_oneof![
            Just(LoginState::Absent),
            Just(LoginState::LoggedOut),
            Just(LoginState::Damaged("torn".into())),
            Just(LoginState::Unreadable("I/O error".into())),
            (3u64..9, 0u64..4, prop_oneof![Just(None), Just(Some("a")), Just(Some("b"))])
                .prop_map(|(n, e, a)| login(n, e, a)),
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_done_about_what_cannot_be_read(other in any_version()) {
            let unreadable = LoginState::Unreadable("I/O error".into());
            for (working, stored) in [(&unreadable, &other), (&other, &unreadable)] {
                prop_assert_eq!(decide(working, stored), Outcome::Unknown);
                prop_assert_eq!(anew(working, stored), Outcome::Unknown);
            }
        }

        #[test]
        fn only_a_valid_login_ever_travels(working in any_version(), stored in any_version()) {
            match decide(&working, &stored) {
                Outcome::Publish { .. } | Outcome::Kept => prop_assert!(working.login().is_some()),
                Outcome::Adopt { .. } => prop_assert!(stored.login().is_some()),
                _ => {}
            }
        }

        #[test]
        fn a_login_that_would_be_lost_is_kept(working in any_version(), stored in any_version()) {
            // A changed login on one side is overwritten only by a descendant, by the other details of itself, or with a copy kept.
            let lineage_knows = |version: &LoginState| version.login().is_some_and(|l| l.digest == digest(4) || l.digest == digest(BASE));
            let same = working.login().map(|l| l.digest) == stored.login().map(|l| l.digest);
            match decide(&working, &stored) {
                Outcome::Publish { keep_other: false } => prop_assert!(stored.login().is_none() || lineage_knows(&stored) || same),
                Outcome::Adopt { keep_other: false } => prop_assert!(working.login().is_none() || lineage_knows(&working) || same),
                _ => {}
            }
        }

        #[test]
        fn two_containers_agree_in_the_end(a in any_version(), b in any_version()) {
            // Whatever one side publishes, the other then adopts or has.
            if let Outcome::Publish { .. } = decide(&a, &b) {
                let next = decide(&b, &a);
                prop_assert!(!matches!(next, Outcome::Publish { .. }), "{next:?}");
            }
        }
    }
}
