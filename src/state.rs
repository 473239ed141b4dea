//! What one container remembers from one run to the next: `<state-dir>/state.json`. No secret is in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::credential::Digest;
use crate::sync::lineage::Lineage;
use crate::sync::reconcile::Base;
use crate::sys::dir::{Attributes, Dir};
use crate::sys::process::Pid;
use crate::workcopy::read::{self, Owners};

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
    /// The served agents.
    pub agents: Vec<Served>,
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
    /// Where refreshed logins go.
    pub write_back: Option<PathBuf>,
    /// Tokens of the login that was laid down or last agreed; see [`Base`].
    pub base: Option<String>,
    /// All of that login that travels.
    pub content: Option<String>,
    /// The logins that were in place here.
    #[serde(default)]
    pub lineage: Lineage,
    /// What the last exchange with the store came to.
    pub last: Option<String>,
}

impl Served {
    /// The login that was laid down or last agreed.
    #[must_use]
    pub fn agreed(&self) -> Option<Base> {
        let part = |text: &Option<String>| text.as_deref().and_then(Digest::parse);
        Some(Base { digest: part(&self.base)?, content: part(&self.content)? })
    }

    /// Remembers it.
    pub fn agree(&mut self, base: Base) {
        self.base = Some(base.digest.to_string());
        self.content = Some(base.content.to_string());
        self.lineage.push(base.digest);
    }
}

/// What the run before this one left; nothing when there is none or it does not parse: it is then a first run.
#[must_use]
pub fn load(state_dir: &Path, uid: u32) -> State {
    let owners = Owners::These(vec![uid, 0]);
    let text = Dir::open(state_dir).ok().and_then(|dir| read::entry(&dir, OsStr::new(FILE), &owners).ok());
    text.and_then(|content| serde_json::from_slice(&content.bytes).ok()).unwrap_or_default()
}

/// Writes the state whole.
///
/// # Errors
/// What the kernel says.
pub fn save(state_dir: &Dir, state: &State) -> anyhow::Result<()> {
    let text = serde_json::to_vec_pretty(state).context("state.json")?;
    let attributes = Attributes { mode: 0o644, owner: None };
    state_dir.write_whole(OsStr::new(FILE), &text, attributes).context("cannot write state.json")
}
