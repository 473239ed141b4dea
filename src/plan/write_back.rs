//! Pure. Where refreshed logins go.

use std::path::{Path, PathBuf};

use crate::config::RunConfig;
use crate::facts::Candidate;
use crate::facts::agent_facts::AgentFacts;
use crate::login::Source;

/// Where refreshed logins go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteBack {
    /// Where to.
    pub target: WriteBackTarget,
    /// It can be written now.
    pub writable: bool,
    /// As it happens, or at the end.
    pub live: bool,
    /// The chosen login is not the stored one: it becomes it at the start, and the stored one is kept.
    pub replaces: bool,
}

/// What refreshed logins are written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteBackTarget {
    /// A directory with the login file in it.
    Directory(PathBuf),
    /// A login file that is a mount of its own: it is written in place.
    File(PathBuf),
    /// A store behind a helper, as the operator wrote it, and the directory that mirrors it.
    Helper { spec: String, mirror: PathBuf },
}

impl WriteBackTarget {
    /// The directory, file or mirror.
    pub fn path(&self) -> &Path {
        match self {
            WriteBackTarget::Directory(path) | WriteBackTarget::File(path) => path,
            WriteBackTarget::Helper { mirror, .. } => mirror,
        }
    }

    /// The store behind a helper, as the operator wrote it.
    pub fn helper(&self) -> Option<&str> {
        match self {
            WriteBackTarget::Helper { spec, .. } => Some(spec),
            WriteBackTarget::Directory(_) | WriteBackTarget::File(_) => None,
        }
    }

    /// Whether it is a single file, beside which nothing can be kept.
    pub fn is_file(&self) -> bool {
        matches!(self, WriteBackTarget::File(_))
    }
}

impl WriteBack {
    /// The target as the operator knows it.
    pub fn place(&self) -> String {
        self.target.helper().map_or_else(|| self.target.path().display().to_string(), str::to_owned)
    }
}

/// Where refreshed logins go: back to where the login came from, or, for one that was given for this start, to the
/// capture.
pub(super) fn of(config: &RunConfig, agent: &AgentFacts<'_>, chosen: &Candidate<'_>) -> Option<WriteBack> {
    let live = config.is_synced_live(&agent.definition.name)?;
    let session = agent.definition.session.as_ref()?;
    let file = agent.config_dir.path.join(&session.file);
    let in_place = |target, writable| Some(WriteBack { target, writable, live, replaces: false });
    match &chosen.source {
        Source::Mount(path) if agent.config_dir.mount_writable => {
            let is_file = *path == file;
            let target = if is_file { WriteBackTarget::File } else { WriteBackTarget::Directory };
            return in_place(target(path.clone()), true);
        }
        // The agent's own place, where the working copy cannot be.
        Source::Home(path) if *path == file && !agent.config_dir.is_usable() => {
            return in_place(WriteBackTarget::Directory(agent.config_dir.path.clone()), agent.config_dir.writable);
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
    let target = match &capture.store {
        Some(store) => WriteBackTarget::Helper { spec: store.spec.text.clone(), mirror: capture.path.clone() },
        None => WriteBackTarget::Directory(capture.path.clone()),
    };
    Some(WriteBack { target, writable: capture.writable, live, replaces })
}
