//! The three-way merge of a login: merge base, working copy and store. Pure.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::login::defect::Defect;
use crate::login::digest::Digest;
use crate::login::document::Login;
use crate::login::entries;
use crate::login::entries::{Entries, EntriesBase};
use crate::login::history::History;
use crate::words::spelling;
use crate::words::spelling::word_enum;

/// The state of one side's login file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginState {
    Absent,
    /// The file is complete and says that nobody is logged in.
    LoggedOut,
    /// The file is not a usable login.
    Damaged(String),
    /// The file cannot be read now (an I/O error). Its content is unknown, so it must not be replaced.
    Unreadable(String),
    Valid(Login),
}

impl LoginState {
    pub fn login(&self) -> Option<&Login> {
        match self {
            LoginState::Valid(login) => Some(login),
            _ => None,
        }
    }

    pub fn defective(defect: &Defect) -> LoginState {
        if defect.is_logged_out() { LoginState::LoggedOut } else { LoginState::Damaged(defect.to_string()) }
    }
}

/// The version that working copy and store last agreed on, or that was installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeBase {
    /// See [`Login::digest`]. The state file calls it `base` in every version.
    #[serde(rename = "base")]
    pub digest: Digest,
    /// See [`Login::content`].
    pub content: Digest,
}

impl From<&Login> for MergeBase {
    fn from(login: &Login) -> MergeBase {
        MergeBase { digest: login.digest, content: login.content }
    }
}

word_enum! {
    /// The result of the last sync with the store. The same word stands in the log, the state file, `status` and
    /// docs/sync.md.
    pub enum SyncResult("result of a sync") {
        Unchanged = "unchanged": "",
        Published = "published": "",
        Adopted = "adopted": "",
        Kept = "kept": "another account's login is stored and stays; the agent's is kept under conflicts/",
        LoggedOut = "logged-out": "",
        Torn = "torn": "the agent's file is not a usable login",
        Failed = "failed": "a new login could not be stored",
        NotAdopted = "not-adopted": "",
        Unreadable = "unreadable": "",
        Unknown = "unknown": "a result that another version of this program knows",
    }
}

impl Serialize for SyncResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        spelling::serialize(*self, serializer)
    }
}

impl<'d> Deserialize<'d> for SyncResult {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<SyncResult, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(spelling::find(&word).unwrap_or(SyncResult::Unknown))
    }
}

/// What a sync is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Both sides agree, or there is nothing to transfer.
    Unchanged,
    /// Copy the working copy's login to the store. `keep_other`: the stored login goes to `conflicts/` first.
    Publish { keep_other: bool },
    /// Copy the stored login to the working copy. `keep_other`: the agent's login goes to `conflicts/` first.
    Adopt { keep_other: bool },
    /// Both sides have the same login. Copy entries of the working copy to the store.
    PublishEntries,
    /// Both sides have the same login. Copy stored entries to the working copy.
    AdoptEntries,
    /// Another account's login is stored and stays. The agent's goes to `conflicts/`.
    Kept,
    /// The agent's login is blank or missing, and nothing newer is stored.
    LoggedOut,
    /// The agent's file is damaged, and nothing usable is stored.
    Damaged,
    /// One side cannot be read now. Neither side is replaced, and both are read again.
    Unknown,
}

impl Outcome {
    /// Whether it writes to the store or the working copy, which needs the lock.
    pub fn transfers(self) -> bool {
        !matches!(self, Outcome::Unchanged | Outcome::LoggedOut | Outcome::Damaged | Outcome::Unknown)
    }
}

/// Decides what a sync does.
///
/// A side that does not parse may be in the middle of a write: the caller waits before it calls this with `Damaged`.
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
            // An agent may change its account, and a hostile one other containers' account. A copy is kept of what it
            // replaces.
            (true, false) => Outcome::Publish { keep_other: !is_same_account(ours, theirs) },
            // The stored login may have another history: the capture may have been restored from a backup.
            (false, _) => Outcome::Adopt { keep_other: !history.is_empty() && !history.contains(ours.digest) },
            (true, true) => both_changed(ours, theirs),
        },
        // Nothing usable is stored. A login that was installed and never changed is not written back: whoever removed
        // or blanked the stored login did so on purpose.
        (LoginState::Valid(ours), _) if changed(ours) => Outcome::Publish { keep_other: false },
        (LoginState::Valid(_), _) => Outcome::Unchanged,
        (LoginState::Damaged(_), LoginState::Valid(_)) => Outcome::Adopt { keep_other: true },
        (LoginState::Damaged(_), _) => Outcome::Damaged,
        (LoginState::LoggedOut | LoginState::Absent, LoginState::Valid(theirs))
            if changed(theirs) && !history.is_ancestor(theirs.digest) =>
        {
            Outcome::Adopt { keep_other: false }
        }
        // The stored login is the one that the vendor refused. Giving it to the agent again would not help.
        (LoginState::LoggedOut | LoginState::Absent, _) => Outcome::LoggedOut,
    }
}

/// Decides for a working copy in which somebody is about to log in. Nothing is installed there. The stored login stays
/// until there is a new one, which replaces it whatever account it belongs to.
pub fn decide_after_log_in(working: &LoginState, stored: &LoginState) -> Outcome {
    match (working, stored) {
        (LoginState::Unreadable(_), _) | (_, LoginState::Unreadable(_)) => Outcome::Unknown,
        (LoginState::Valid(ours), LoginState::Valid(theirs)) if MergeBase::from(ours) == MergeBase::from(theirs) => {
            Outcome::Unchanged
        }
        (LoginState::Valid(_), _) => Outcome::Publish { keep_other: true },
        _ => Outcome::Unchanged,
    }
}

/// Decides for a working copy that follows the store: nothing is published. A login that the agent wrote stays until there
/// is another stored one.
pub fn decide_for_follower(base: Option<MergeBase>, working: &LoginState, stored: &LoginState) -> Outcome {
    match (working, stored) {
        (LoginState::Unreadable(_), _) | (_, LoginState::Unreadable(_)) => Outcome::Unknown,
        (LoginState::Valid(ours), LoginState::Valid(theirs)) if MergeBase::from(ours) == MergeBase::from(theirs) => {
            Outcome::Unchanged
        }
        (LoginState::Damaged(_), LoginState::Valid(_)) => Outcome::Adopt { keep_other: false },
        (_, LoginState::Valid(theirs)) if base != Some(MergeBase::from(theirs)) => Outcome::Adopt { keep_other: false },
        (LoginState::LoggedOut | LoginState::Absent, _) => Outcome::LoggedOut,
        (LoginState::Damaged(_), _) => Outcome::Damaged,
        (LoginState::Valid(_), _) => Outcome::Unchanged,
    }
}

/// Decides for two sides that have the same login, and perhaps other entries. Those of the store are adopted first: what is
/// published then is what both have.
pub fn reconcile_entries(base: &EntriesBase, working: &Entries, stored: &Entries) -> Outcome {
    if !entries::changes(base, stored, working).is_empty() {
        Outcome::AdoptEntries
    } else if !entries::changes(base, working, stored).is_empty() {
        Outcome::PublishEntries
    } else {
        Outcome::Unchanged
    }
}

/// Whether two logins belong to one account. Logins that do not name one are taken to: they came by one capture.
pub fn is_same_account(ours: &Login, theirs: &Login) -> bool {
    match (&ours.account, &theirs.account) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => true,
    }
}

fn both_changed(ours: &Login, theirs: &Login) -> Outcome {
    if ours.digest == theirs.digest {
        // The same tokens with other details. The agent is the last to have written them.
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
            is_unknown_kind: false,
            expires_at: Some(UNIX_EPOCH + Duration::from_secs(expires)),
            deadline: None,
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
    fn a_follower_adopts_what_is_new_and_publishes_nothing() {
        let base = Some(MergeBase { digest: digest(BASE), content: digest(BASE + 1000) });
        let valid = |number| login(number, 1, None);
        let rows = [
            (valid(BASE), valid(BASE), Outcome::Unchanged),
            (valid(BASE), valid(6), Outcome::Adopt { keep_other: false }),
            (valid(7), valid(BASE), Outcome::Unchanged),
            (valid(7), valid(6), Outcome::Adopt { keep_other: false }),
            (valid(BASE), LoginState::Absent, Outcome::Unchanged),
            (LoginState::LoggedOut, valid(BASE), Outcome::LoggedOut),
            (LoginState::LoggedOut, valid(6), Outcome::Adopt { keep_other: false }),
            (LoginState::Absent, valid(6), Outcome::Adopt { keep_other: false }),
            (LoginState::Damaged(String::new()), valid(BASE), Outcome::Adopt { keep_other: false }),
            (LoginState::Unreadable(String::new()), valid(6), Outcome::Unknown),
        ];
        for (working, stored, expected) in rows {
            assert_eq!(decide_for_follower(base, &working, &stored), expected, "{working:?} {stored:?}");
        }
    }

    #[test]
    fn a_result_of_another_version_is_read() {
        let read = |json| serde_json::from_str::<SyncResult>(json).unwrap();
        assert_eq!(read("\"not-adopted\""), SyncResult::NotAdopted);
        assert_eq!(read("\"merged\""), SyncResult::Unknown);
        assert_eq!(serde_json::to_string(&SyncResult::LoggedOut).unwrap(), "\"logged-out\"");
    }

    #[test]
    fn each_pair_of_states_has_its_outcome() {
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

    fn any_state() -> impl Strategy<Value = LoginState> {
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
        fn an_unreadable_side_is_left_alone(other in any_state()) {
            let unreadable = LoginState::Unreadable("I/O error".into());
            for (working, stored) in [(&unreadable, &other), (&other, &unreadable)] {
                prop_assert_eq!(decide(working, stored), Outcome::Unknown);
                prop_assert_eq!(decide_after_log_in(working, stored), Outcome::Unknown);
            }
        }

        #[test]
        fn only_a_valid_login_is_transferred(working in any_state(), stored in any_state()) {
            match decide(&working, &stored) {
                Outcome::Publish { .. } | Outcome::Kept => prop_assert!(working.login().is_some()),
                Outcome::Adopt { .. } => prop_assert!(stored.login().is_some()),
                _ => {}
            }
        }

        #[test]
        fn a_login_that_would_be_lost_is_kept(working in any_state(), stored in any_state()) {
            // A changed login is overwritten only by a descendant, by other details of the same tokens, or after a copy
            // was kept.
            let is_known = |state: &LoginState| state.login().is_some_and(|l| l.digest == digest(4) || l.digest == digest(BASE));
            let same = working.login().map(|l| l.digest) == stored.login().map(|l| l.digest);
            match decide(&working, &stored) {
                Outcome::Publish { keep_other: false } => prop_assert!(stored.login().is_none() || is_known(&stored) || same),
                Outcome::Adopt { keep_other: false } => prop_assert!(working.login().is_none() || is_known(&working) || same),
                _ => {}
            }
        }

        #[test]
        fn a_published_login_is_not_published_back(a in any_state(), b in any_state()) {
            // The other side adopts what one side publishes, or has it already.
            if let Outcome::Publish { .. } = decide(&a, &b) {
                let next = decide(&b, &a);
                prop_assert!(!matches!(next, Outcome::Publish { .. }), "{next:?}");
            }
        }
    }
}
