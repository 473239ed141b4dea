//! What one container remembers from one run to the next: `<state-dir>/state.json`. No secret is in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::fs::untrusted;
use crate::fs::untrusted::{LIMIT, Owners, Unreadable};
use crate::login::history::History;
use crate::login::merge::{MergeBase, SyncResult};
use crate::login::{Digest, limits};
use crate::sys::dir::{Attributes, Dir};
use crate::sys::process::Pid;

/// The file's name.
const FILE: &str = "state.json";

/// The state of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The form of this file.
    pub version: u32,
    /// Our process.
    pub pid: Pid,
    /// The agent's process, once it runs.
    pub agent_pid: Option<Pid>,
    /// The agent's user and group.
    pub user: (u32, u32),
    /// What the agent's environment got.
    #[serde(default)]
    pub environment: Handed,
    /// The served agents.
    pub agents: Vec<Served>,
}

/// The agent's environment beside the one that we were given, for a command that joins it. No value of a credential.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// Set to these values.
    pub set: BTreeMap<String, String>,
    /// Set to values that only the agent's own environment holds.
    pub kept: Vec<String>,
    /// Removed.
    pub unset: Vec<String>,
}

/// A served agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Its name.
    pub agent: String,
    /// The method in place.
    pub method: String,
    /// Where its material came from.
    pub source: Option<String>,
    /// Its home.
    pub place: PathBuf,
    /// When what was found there ends, where a note beside it says so, RFC 3339; a login says so itself.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// Where refreshed logins go.
    pub write_back: Option<PathBuf>,
    /// The store behind a helper, whose mirror that is.
    #[serde(default)]
    pub store: Option<String>,
    /// What was found beside the source, and why it is not used.
    #[serde(default)]
    pub shadowed: Vec<Shadowed>,
    /// An API key is used although there is a login.
    #[serde(default)]
    pub is_key_over_login: bool,
    /// Tokens of the login that was installed or last agreed; see [`MergeBase`].
    pub base: Option<String>,
    /// All of that login that travels.
    pub content: Option<String>,
    /// The logins that were in place here.
    // `lineage` in the files of every version.
    #[serde(default, rename = "lineage")]
    pub history: History,
    /// What the last exchange with the store came to.
    pub last: Option<SyncResult>,
    /// When it came to that, RFC 3339.
    #[serde(default)]
    pub at: Option<String>,
}

/// A source that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadowed {
    /// The source.
    pub source: String,
    /// Why it is not used.
    pub why: String,
}

impl Served {
    /// The login that was installed or last agreed.
    pub fn agreed(&self) -> Option<MergeBase> {
        let part = |text: &Option<String>| text.as_deref().and_then(Digest::parse);
        Some(MergeBase { digest: part(&self.base)?, content: part(&self.content)? })
    }

    /// Remembers it.
    pub fn agree(&mut self, base: MergeBase) {
        self.base = Some(base.digest.to_string());
        self.content = Some(base.content.to_string());
        self.history.push(base.digest);
    }

    /// Remembers what the last exchange with the store came to, if that is news; the moment counts from then.
    pub fn remember(&mut self, base: Option<MergeBase>, last: Option<SyncResult>) -> bool {
        let another = base.filter(|base| self.agreed() != Some(*base));
        let is_news = another.is_some() || self.last != last;
        if let Some(base) = another {
            self.agree(base);
        }
        if is_news {
            self.at = Some(humantime::format_rfc3339_seconds(SystemTime::now()).to_string());
            self.last = last;
        }
        is_news
    }
}

/// What the run before this one left; nothing when there is none or it does not parse: it is then a first run.
///
/// # Errors
/// It is there and cannot be read now. To take this for a first run would make a spent login win over what was refreshed
/// from it.
pub fn load(state_dir: &Path, uid: u32) -> anyhow::Result<State> {
    let owners = Owners::These(vec![uid, 0]);
    match untrusted::read_again(|| read(state_dir, &owners)) {
        Ok(found) => Ok(found.map(|(state, _)| state).unwrap_or_default()),
        Err(why) => {
            let file = state_dir.join(FILE);
            let what = format!("cannot read {}, which tells which logins an earlier run had: {why}", file.display());
            let hint = "start again once it can be read, or remove it: then the login in the capture counts";
            Err(Failure::new(what).hint(hint).into())
        }
    }
}

/// The state that is there, and the uid that it belongs to. `None` too for a file that does not parse, and for a directory
/// that others may write to.
///
/// # Errors
/// The file is there, or may be, and cannot be read now.
pub fn read(state_dir: &Path, owners: &Owners) -> Result<Option<(State, u32)>, Unreadable> {
    let found = || -> Result<_, Unreadable> {
        // Others than its owner may pass through the directory, and not list it.
        let dir = Dir::passage(state_dir)?;
        let content = untrusted::entry(&dir, OsStr::new(FILE), owners)?;
        Ok((content, dir.stat()?))
    };
    match found() {
        Ok((content, stat)) => {
            let is_theirs = stat.uid == content.stat.uid && stat.mode & 0o022 == 0;
            let state = limits::parse(&content.bytes).ok();
            Ok(state.filter(|_| is_theirs).map(|state| (state, stat.uid)))
        }
        Err(why) if why.is_unknown() => Err(why),
        Err(_) => Ok(None),
    }
}

/// Writes the state whole.
///
/// # Errors
/// What the kernel says.
pub fn save(state_dir: &Dir, state: &State) -> anyhow::Result<()> {
    let text = serde_json::to_vec_pretty(state).context("state.json")?;
    if text.len() as u64 > LIMIT {
        return Err(Failure::new(format!("cannot write {FILE}: it would be larger than {LIMIT} bytes")).into());
    }
    let attributes = Attributes { mode: 0o644, owner: None };
    state_dir.write_whole(OsStr::new(FILE), &text, attributes).with_context(|| {
        let hint = "exec, healthcheck and the next start of this container read it: --state-dir names another place";
        Failure::new(format!("cannot write {FILE} to the state directory")).hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_news_is_remembered() {
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
        // Nothing agreed takes nothing away.
        assert!(served.remember(None, Some(SyncResult::Failed)));
        assert_eq!((served.agreed(), served.last), (base(2), Some(SyncResult::Failed)));
        assert!(served.history.is_ancestor(base(1).unwrap().digest));
    }
}
