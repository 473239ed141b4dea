//! `<state-dir>/state.json`: what a container remembers from one run to the next. It holds no secret.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Failure;
use crate::fs::untrusted;
use crate::fs::untrusted::{LIMIT, Owners, Unreadable};
use crate::login::entries::EntriesBase;
use crate::login::history::History;
use crate::login::limits;
use crate::login::merge::{MergeBase, SyncResult};
use crate::sys::dir::{Attributes, Dir};
use crate::sys::process::Pid;
use crate::words::spelling;
use crate::words::spelling::word_enum;

pub const FILE: &str = "state.json";
/// The keeper's state directory, in that of other commands: a `run` beside it has another state.
pub const KEEPER: &str = "keep";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The version of the file's format.
    pub version: u32,
    /// The process of agent-init.
    pub pid: Pid,
    /// The agent's process, once it runs.
    pub agent_pid: Option<Pid>,
    /// The agent's user and group.
    pub user: (u32, u32),
    /// How the agent's environment differs from agent-init's.
    #[serde(default)]
    pub environment: Handed,
    /// Of a keeper: when its process started (clock ticks after the boot). Its id may be another's later, and PID 1 is every
    /// keeper of a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper_started: Option<u64>,
    pub agents: Vec<Served>,
}

/// How the agent's environment differs from agent-init's, for `exec`. It holds no value of a credential.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// Variables with the values that were set.
    pub set: BTreeMap<String, String>,
    /// Variables that were set to values that only the agent's environment holds.
    pub kept: Vec<String>,
    /// Variables that were removed.
    pub unset: Vec<String>,
}

/// An agent that the run serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The agent's name.
    pub agent: String,
    /// The method in use.
    pub method: String,
    /// The source of the credential.
    pub source: Option<String>,
    /// The agent's config directory.
    pub place: PathBuf,
    /// When a credential expires that cannot say so itself (RFC 3339), from the metadata beside it.
    #[serde(default)]
    pub expires_at: Option<String>,
    #[serde(flatten)]
    pub write_back: Option<SavedWriteBack>,
    /// It has no refresh token, and nothing is saved to the store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follows: bool,
    /// Candidates that are ignored.
    #[serde(default)]
    pub shadowed: Vec<Shadowed>,
    /// An API key is used although there is a login.
    #[serde(default)]
    pub is_key_over_login: bool,
    /// The version of the login that was installed, or that working copy and store last agreed on.
    #[serde(flatten)]
    pub base: Option<MergeBase>,
    /// The merge base of the entries: logins that the agent keeps beside its own.
    #[serde(default, skip_serializing_if = "EntriesBase::is_empty")]
    pub entries: EntriesBase,
    /// The history of the working copy's logins. The file calls it `lineage` in every version.
    #[serde(default, rename = "lineage")]
    pub history: History,
    /// The result of the last sync.
    pub last: Option<SyncResult>,
    /// When `last` or the merge base changed, RFC 3339.
    #[serde(default)]
    pub at: Option<String>,
    /// When a login was last published from this working copy, RFC 3339.
    #[serde(default)]
    pub last_publish_at: Option<String>,
    /// How many times publishing began to fail. Retries of the same login do not count.
    #[serde(default)]
    pub publish_failures: u64,
    /// What a keeper has found out about the login. `None` before it looked, and for a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Keeping>,
}

word_enum! {
    /// How a keeper gets on with a login.
    pub enum Keeping("state of a kept login") {
        Good = "good": "nothing is wrong: it is refreshed when it is due",
        Failing = "failing": "the last refresh failed, and is tried again",
        Refused = "refused": "the vendor refused to refresh it",
        Missing = "missing": "there is no login, and there should be one",
        Unused = "unused": "there is no login, and nobody asked for one",
    }
}

impl Serialize for Keeping {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        spelling::serialize(*self, serializer)
    }
}

impl<'d> Deserialize<'d> for Keeping {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Keeping, D::Error> {
        spelling::deserialize(deserializer)
    }
}

/// Where refreshed logins go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedWriteBack {
    /// The directory or file, or the mirror of a store behind a helper.
    #[serde(rename = "write_back")]
    pub path: PathBuf,
    /// The store behind a helper.
    #[serde(default)]
    pub store: Option<String>,
}

impl SavedWriteBack {
    /// The target, as the operator wrote it.
    pub fn location(&self) -> String {
        self.store.clone().unwrap_or_else(|| self.path.display().to_string())
    }
}

/// A candidate that is ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadowed {
    pub source: String,
    /// Why it is ignored.
    pub why: String,
}

impl Served {
    pub fn set_merge_base(&mut self, base: MergeBase) {
        self.base = Some(base);
        self.history.push(base.digest);
    }

    /// Records the merge base and the result of a sync, with the time. Returns whether anything changed.
    pub fn remember(&mut self, base: Option<MergeBase>, last: Option<SyncResult>) -> bool {
        let new_base = base.filter(|base| self.base != Some(*base));
        let is_changed = new_base.is_some() || self.last != last;
        if let Some(base) = new_base {
            self.set_merge_base(base);
        }
        if is_changed {
            self.at = Some(humantime::format_rfc3339_seconds(SystemTime::now()).to_string());
            if last == Some(SyncResult::Published) {
                self.last_publish_at.clone_from(&self.at);
            }
            let began_to_fail = last == Some(SyncResult::Failed) && self.last != last;
            self.publish_failures = self.publish_failures.saturating_add(began_to_fail.into());
            self.last = last;
        }
        is_changed
    }
}

/// The state that the previous run left. Empty if there is none or it does not parse: the run then counts as the first.
///
/// Fails if the file exists and cannot be read now. To count the run as the first would make a spent login win over the
/// one that was refreshed from it.
pub fn load(state_dir: &Path, uid: u32) -> anyhow::Result<State> {
    let owners = Owners::These(vec![uid, 0]);
    match untrusted::read_again(|| read(state_dir, &owners)) {
        Ok(found) => Ok(found.map(|(state, _)| state).unwrap_or_default()),
        Err(why) => {
            let file = state_dir.join(FILE);
            let what = format!("cannot read {}, the record of logins of earlier runs: {why}", file.display());
            let hint = "start again once it can be read, or remove it to use the login in the capture";
            Err(Failure::new(what).hint(hint).into())
        }
    }
}

/// Reads the state and the uid of its directory's owner. `None` if there is no state, if it does not parse, or if
/// others than the owner may write to the directory. Fails if the file may exist and cannot be read now.
pub fn read(state_dir: &Path, owners: &Owners) -> Result<Option<(State, u32)>, Unreadable> {
    let found = || -> Result<_, Unreadable> {
        // Other users may have search permission on the directory only, so it is opened with O_PATH.
        let dir = Dir::open_search_only(state_dir)?;
        let content = untrusted::entry(&dir, OsStr::new(FILE), owners)?;
        Ok((content, dir.stat()?))
    };
    match found() {
        Ok((content, stat)) => {
            let is_owners_alone = stat.uid == content.stat.uid && stat.mode & 0o022 == 0;
            if !is_owners_alone {
                return Ok(None);
            }
            Ok(limits::parse(&content.bytes).ok().map(|state| (state, stat.uid)))
        }
        Err(why) if why.is_unknown() => Err(why),
        Err(_) => Ok(None),
    }
}

/// Writes the state atomically.
pub fn save(state_dir: &Dir, state: &State) -> anyhow::Result<()> {
    let text = serde_json::to_vec_pretty(state).context("state.json")?;
    if text.len() as u64 > LIMIT {
        return Err(Failure::new(format!("cannot write {FILE}: it would be larger than {LIMIT} bytes")).into());
    }
    let attributes = Attributes { mode: 0o644, owner: None };
    // Without it the next start knows as much as after the first one.
    let is_new = state_dir.stat_entry(OsStr::new(FILE)).is_err();
    let written = if is_new {
        state_dir.write_copy(OsStr::new(FILE), &text, attributes)
    } else {
        state_dir.write_whole(OsStr::new(FILE), &text, attributes)
    };
    written.with_context(|| {
        let hint = "exec, healthcheck and the next start of this container read it; --state-dir sets another directory";
        Failure::new(format!("cannot write {FILE} to the state directory")).hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::Digest;

    /// What version 0.1.0 wrote, and what is read back of it.
    #[test]
    fn the_format_is_that_of_every_version() {
        let digest = |number: u8| format!("sha256:{number:064x}");
        let saved = |base: serde_json::Value,
                     content: serde_json::Value,
                     to: serde_json::Value,
                     store: Option<&str>| {
            serde_json::json!({
                "agent": "x", "method": "session", "source": "capture:/c/x", "place": "/x", "write_back": to, "store": store,
                "base": base, "content": content, "lineage": [digest(1)], "last": "published", "at": null,
            })
        };
        let parse = |text: serde_json::Value| -> Served { serde_json::from_value(text).unwrap() };
        let null = serde_json::Value::Null;

        let full = parse(saved(digest(1).into(), digest(2).into(), "/c/x".into(), Some("exec:x")));
        let base =
            MergeBase { digest: Digest::parse(&digest(1)).unwrap(), content: Digest::parse(&digest(2)).unwrap() };
        assert_eq!(full.base, Some(base));
        assert_eq!(full.write_back, Some(SavedWriteBack { path: "/c/x".into(), store: Some("exec:x".into()) }));
        let written = serde_json::to_value(&full).unwrap();
        for (key, value) in
            saved(digest(1).into(), digest(2).into(), "/c/x".into(), Some("exec:x")).as_object().unwrap()
        {
            assert_eq!(&written[key], value, "{key}");
        }
        assert_eq!(parse(written), full);

        let empty = parse(saved(null.clone(), null.clone(), null.clone(), None));
        assert_eq!((empty.base, &empty.write_back), (None, &None));
        let written = serde_json::to_value(&empty).unwrap();
        assert!(["base", "content", "write_back", "store"].iter().all(|key| written[key].is_null()));
        assert_eq!(parse(written), empty);

        let damaged = parse(saved(digest(1).into(), "sha256:1".into(), null, None));
        assert_eq!(damaged.base, None);
    }

    #[test]
    fn only_changes_are_recorded() {
        let served = r#"{ "agent": "x", "method": "session", "source": null, "place": "/x", "write_back": null,
            "base": null, "content": null, "last": null }"#;
        let mut served: Served = serde_json::from_str(served).unwrap();
        let digest = |number: u8| Digest::parse(&format!("sha256:{number:064x}")).unwrap();
        let base = |number| Some(MergeBase { digest: digest(number), content: digest(0) });
        assert!(!served.remember(None, None) && served.at.is_none());
        for (base, last) in [
            (None, SyncResult::LoggedOut),
            (base(1), SyncResult::LoggedOut),
            (base(1), SyncResult::Published),
            (base(2), SyncResult::Published),
        ] {
            assert!(served.remember(base, Some(last)), "{base:?} {last:?}");
            let known = served.clone();
            assert!(!served.remember(base, Some(last)), "{base:?} {last:?}");
            assert_eq!(served, known);
        }
        // A sync without an agreement keeps the merge base.
        let last_publish_at = served.last_publish_at.clone();
        assert!(last_publish_at.is_some());
        assert!(served.remember(None, Some(SyncResult::Failed)));
        assert_eq!((served.base, served.last), (base(2), Some(SyncResult::Failed)));
        assert!(served.history.is_ancestor(base(1).unwrap().digest));
        // A retry that fails, too, is not a new failure.
        assert!(!served.remember(None, Some(SyncResult::Failed)));
        assert_eq!((served.publish_failures, &served.last_publish_at), (1, &last_publish_at));
        for last in [SyncResult::Published, SyncResult::Failed, SyncResult::Unreadable, SyncResult::Adopted] {
            served.remember(None, Some(last));
        }
        assert_eq!(served.publish_failures, 2);
        assert!(served.last_publish_at >= last_publish_at);
    }
}
