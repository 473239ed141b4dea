//! Pure. What becomes of the entries of a mounted config directory, of which the working copy is elsewhere.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::agent::definition::{Settings, matches};
use crate::facts::agent_facts::AgentFacts;
use crate::facts::config_dir::{EntryAccess, EntryFacts, EntryOrigin};
use crate::store::directory::BOOKKEEPING;
use crate::sys::stat::Kind;

/// An entry of the config directory that counts although the working copy is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedEntry {
    pub name: OsString,
    pub step: MountedStep,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountedStep {
    /// What the operator mounted there replaces what is in the working copy: it wins over captured settings.
    Copied,
    /// The working copy has a link to it: what the agent writes there stays in the mount.
    Linked(Preparation),
    /// The agent writes to a file or directory of the working copy, which ends with the container.
    NotKept(NotKept),
}

/// What is done to an entry before the working copy gets a link to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preparation {
    None,
    /// An empty file or directory of this kind is made for the agent.
    Made(Kind),
    /// The empty directory is given to the agent.
    Given,
}

/// Why the agent cannot keep something in the mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotKept {
    ReadOnly,
    /// The agent, with this uid, may not use this file or directory.
    Closed {
        at: PathBuf,
        uid: u32,
    },
}

/// The entries that the operator mounted, and the state that stays in a mounted directory.
pub(super) fn entries(agent: &AgentFacts<'_>, uid: u32) -> Vec<MountedEntry> {
    let config_dir = &agent.config_dir;
    if agent.working_copy == config_dir.path {
        return Vec::new();
    }
    let settings = &agent.definition.settings;
    let entry = |entry: &EntryFacts| Some(MountedEntry { name: entry.name.clone(), step: step(entry, settings, uid)? });
    config_dir.mounts.entries.iter().filter_map(entry).collect()
}

/// What becomes of an entry. `None`: nothing.
fn step(entry: &EntryFacts, settings: &Settings, uid: u32) -> Option<MountedStep> {
    let name = entry.name.to_str()?;
    // Kubernetes keeps the files of a volume in `..data`.
    if name == BOOKKEEPING || name.starts_with("..") {
        return None;
    }
    let state = settings.state.iter().find(|state| state.matches(name));
    let is_setting = settings.take.iter().any(|pattern| matches(pattern, name));
    let is_left_out = settings.leave.iter().any(|pattern| matches(pattern, name));
    match (entry.origin, entry.kind) {
        // Settings are copied, because some are changed for this start. So are files that no list names.
        (EntryOrigin::Mount, _) if is_setting => Some(MountedStep::Copied),
        (EntryOrigin::Mount, Some(Kind::File)) if state.is_none() && !is_left_out => Some(MountedStep::Copied),
        (EntryOrigin::Mount, Some(Kind::Directory)) if state.is_none() && entry.access == EntryAccess::ReadOnly => {
            Some(MountedStep::Linked(Preparation::None))
        }
        (_, kind) => kept(entry, kind, state.map(|state| state.kind), uid),
    }
}

fn kept(entry: &EntryFacts, kind: Option<Kind>, kind_to_make: Option<Kind>, uid: u32) -> Option<MountedStep> {
    let not_kept = |why| Some(MountedStep::NotKept(why));
    match (&entry.access, kind, kind_to_make) {
        (EntryAccess::Usable, None, Some(kind)) => Some(MountedStep::Linked(Preparation::Made(kind))),
        (EntryAccess::Usable, Some(_), _) => Some(MountedStep::Linked(Preparation::None)),
        (EntryAccess::New, ..) => Some(MountedStep::Linked(Preparation::Given)),
        (EntryAccess::ReadOnly, ..) => not_kept(NotKept::ReadOnly),
        (EntryAccess::Closed(at), ..) => not_kept(NotKept::Closed { at: at.clone(), uid }),
        // It ends with the container wherever it is.
        (EntryAccess::InMemory, ..) | (EntryAccess::Usable, None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row {
        name: &'static str,
        origin: EntryOrigin,
        kind: Option<Kind>,
        access: EntryAccess,
        expected: Option<MountedStep>,
    }

    #[test]
    fn each_entry_is_copied_linked_or_not_kept() {
        let settings = r#"{ "take": ["set", "sets"], "leave": ["log"], "state": ["chats/", "history.jsonl", "db*"] }"#;
        let settings: Settings = serde_json::from_str(settings).unwrap();
        let linked = |preparation| Some(MountedStep::Linked(preparation));
        let not_kept = |why| Some(MountedStep::NotKept(why));
        let closed = || EntryAccess::Closed("/h".into());
        let (file, directory) = (Some(Kind::File), Some(Kind::Directory));
        let mount = |name, kind, access, expected| Row { name, origin: EntryOrigin::Mount, kind, access, expected };
        let state = |name, kind, access, expected| Row { name, origin: EntryOrigin::State, kind, access, expected };
        let rows = [
            mount("set", file, EntryAccess::ReadOnly, Some(MountedStep::Copied)),
            mount("set", file, closed(), Some(MountedStep::Copied)),
            mount("sets", directory, EntryAccess::Usable, Some(MountedStep::Copied)),
            mount("unknown", file, EntryAccess::Usable, Some(MountedStep::Copied)),
            mount("unknown", directory, EntryAccess::Usable, linked(Preparation::None)),
            mount("unknown", directory, EntryAccess::ReadOnly, linked(Preparation::None)),
            mount("unknown", directory, closed(), not_kept(NotKept::Closed { at: "/h".into(), uid: 7 })),
            mount("log", directory, EntryAccess::New, linked(Preparation::Given)),
            mount("log", file, EntryAccess::Usable, linked(Preparation::None)),
            mount("chats", directory, EntryAccess::Usable, linked(Preparation::None)),
            mount("chats", directory, EntryAccess::New, linked(Preparation::Given)),
            mount("chats", directory, EntryAccess::ReadOnly, not_kept(NotKept::ReadOnly)),
            mount("chats", directory, EntryAccess::InMemory, None),
            mount("history.jsonl", file, EntryAccess::Usable, linked(Preparation::None)),
            mount("history.jsonl", file, closed(), not_kept(NotKept::Closed { at: "/h".into(), uid: 7 })),
            mount(".agent-init", directory, EntryAccess::Usable, None),
            mount("..data", directory, EntryAccess::Usable, None),
            state("chats", None, EntryAccess::Usable, linked(Preparation::Made(Kind::Directory))),
            state("chats", directory, EntryAccess::Usable, linked(Preparation::None)),
            state("chats", None, EntryAccess::ReadOnly, not_kept(NotKept::ReadOnly)),
            state("chats", None, EntryAccess::InMemory, None),
            state("history.jsonl", None, EntryAccess::Usable, linked(Preparation::Made(Kind::File))),
            state("db1", file, EntryAccess::Usable, linked(Preparation::None)),
        ];
        for Row { name, origin, kind, access, expected } in rows {
            let entry = EntryFacts { name: name.into(), origin, kind, access };
            assert_eq!(step(&entry, &settings, 7), expected, "{entry:?}");
        }
    }
}
