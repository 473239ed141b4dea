//! Pure. Where refreshed logins go.

use std::path::{Path, PathBuf};

use crate::config::RunConfig;
use crate::facts::Candidate;
use crate::facts::agent_facts::AgentFacts;
use crate::login::Source;

/// Where refreshed logins go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteBack {
    /// The directory, or the file that is a mount of its own; for a store behind a helper, its mirror.
    pub target: PathBuf,
    /// The store behind a helper, as the operator wrote it.
    pub store: Option<String>,
    /// The target is a single file.
    pub single_file: bool,
    /// It can be written now.
    pub writable: bool,
    /// As it happens, or at the end.
    pub live: bool,
    /// The chosen login is not the stored one: it becomes it at the start, and the stored one is kept.
    pub replaces: bool,
}

impl WriteBack {
    /// The target as the operator knows it.
    #[must_use]
    pub fn place(&self) -> String {
        self.store.clone().unwrap_or_else(|| self.target.display().to_string())
    }
}

/// Where refreshed logins go: back to where the login came from, or, for one that was given for this start, to the
/// capture.
pub(super) fn of(config: &RunConfig, agent: &AgentFacts<'_>, chosen: &Candidate<'_>) -> Option<WriteBack> {
    let live = config.is_synced_live(&agent.definition.name)?;
    let session = agent.definition.session.as_ref()?;
    let file = agent.place.path.join(&session.file);
    let in_place = |target: &Path, single_file, writable| {
        Some(WriteBack { target: target.to_owned(), store: None, single_file, writable, live, replaces: false })
    };
    match &chosen.source {
        Source::Mount(path) if agent.place.mount_writable => return in_place(path, *path == file, true),
        // The agent's own place, where the working copy cannot be.
        Source::Home(path) if *path == file && !agent.place.is_usable() => {
            return in_place(&agent.place.path, false, agent.place.writable);
        }
        _ => {}
    }
    let stored = agent.candidates.iter().filter(|candidate| candidate.source.is_store()).find_map(Candidate::session);
    let replaces = !(chosen.source.is_store() || matches!(chosen.source, Source::Home(_)))
        && stored.map(|stored| stored.login.digest) != chosen.session().map(|session| session.login.digest);
    to_store(config, agent, replaces)
}

/// To the capture, or to the store behind a helper.
pub(super) fn to_store(config: &RunConfig, agent: &AgentFacts<'_>, replaces: bool) -> Option<WriteBack> {
    let live = config.is_synced_live(&agent.definition.name)?;
    let capture = agent.capture.as_ref()?;
    Some(WriteBack {
        target: capture.path.clone(),
        store: capture.store.as_ref().map(|store| store.spec.text.clone()),
        single_file: false,
        writable: capture.writable,
        live,
        replaces,
    })
}
