//! Pure. What becomes of the entries of a mounted config directory, of which the working copy is elsewhere.

use std::ffi::{OsStr, OsString};

use crate::agent::definition::matches;
use crate::facts::agent_facts::AgentFacts;

/// An entry of the config directory that counts although the working copy is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedEntry {
    pub name: OsString,
    pub step: MountedStep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountedStep {
    /// What the operator mounted there replaces what is in the working copy: it wins over captured settings.
    Copied,
    /// The working copy has a link to it: what the agent writes there stays in the mount.
    Linked,
}

/// The entries that the operator mounted, and the state that stays in a mounted directory.
pub(super) fn entries(agent: &AgentFacts<'_>) -> Vec<MountedEntry> {
    let config_dir = &agent.config_dir;
    if agent.working_copy == config_dir.path {
        return Vec::new();
    }
    let state = &agent.definition.settings.state;
    let login = agent.definition.session.as_ref().map(|session| OsStr::new(&session.file));
    let is_state = |name: &OsStr| name.to_str().is_some_and(|name| state.iter().any(|pattern| matches(pattern, name)));
    let entry = |name: &OsString| {
        let step = if is_state(name) { MountedStep::Linked } else { MountedStep::Copied };
        MountedEntry { name: name.clone(), step }
    };
    let mut entries: Vec<MountedEntry> =
        config_dir.mounted_entries.iter().filter(|name| Some(name.as_os_str()) != login).map(entry).collect();
    if config_dir.mounted && config_dir.mount_writable {
        let is_new = |name: &&String| !entries.iter().any(|entry| entry.name == OsStr::new(name));
        let kept =
            state.iter().filter(is_new).map(|name| MountedEntry { name: name.into(), step: MountedStep::Linked });
        let kept: Vec<MountedEntry> = kept.collect();
        entries.extend(kept);
    }
    entries
}
