//! Pure. Where refreshed logins are saved.

use std::path::{Path, PathBuf};

use crate::config::RunConfig;
use crate::facts::Candidate;
use crate::facts::agent_facts::AgentFacts;
use crate::login::Source;

/// Where and when refreshed logins are saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteBack {
    pub target: WriteBackTarget,
    /// The target is writable now. A follower never writes.
    pub writable: bool,
    /// Saved after each refresh; otherwise only at the end.
    pub live: bool,
    /// The chosen login replaces the stored one at the start. The stored one is kept in `conflicts/`.
    pub replaces: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteBackTarget {
    /// A directory that contains the login file.
    Directory(PathBuf),
    /// A login file that is itself a mount. It is written in place.
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

    /// A single file has no directory in which records and conflicts could be kept.
    pub fn is_file(&self) -> bool {
        matches!(self, WriteBackTarget::File(_))
    }
}

impl WriteBack {
    /// The target, as the operator wrote it.
    pub fn location(&self) -> String {
        self.target.helper().map_or_else(|| self.target.path().display().to_string(), str::to_owned)
    }
}

/// Refreshed logins are saved where the login came from. One that was given for this start is saved to the capture.
pub(super) fn for_login(config: &RunConfig, agent: &AgentFacts<'_>, chosen: &Candidate<'_>) -> Option<WriteBack> {
    let live = config.is_synced_live(&agent.definition.name)?;
    let session = agent.definition.session.as_ref()?;
    let file = agent.config_dir.path.join(&session.file);
    let to_origin = |target, writable| Some(WriteBack { target, writable, live, replaces: false });
    match &chosen.source {
        Source::Mount(path) if agent.config_dir.mount_writable => {
            let is_file = *path == file;
            let target = if is_file { WriteBackTarget::File } else { WriteBackTarget::Directory };
            return to_origin(target(path.clone()), true);
        }
        // The config directory, if it cannot be the working copy.
        Source::Home(path) if *path == file && !agent.config_dir.is_usable() => {
            return to_origin(WriteBackTarget::Directory(agent.config_dir.path.clone()), agent.config_dir.writable);
        }
        _ => {}
    }
    let stored = agent.candidates.iter().filter(|candidate| candidate.source.is_store()).find_map(Candidate::session);
    let replaces = !(chosen.source.is_store() || matches!(chosen.source, Source::Home(_)))
        && stored.map(|stored| stored.login.digest) != chosen.session().map(|session| session.login.digest);
    to_store(config, agent, replaces)
}

/// Where the login goes that somebody makes while the agent runs: to the capture, or to a volume at the config directory.
pub(super) fn for_no_login(config: &RunConfig, agent: &AgentFacts<'_>) -> Option<WriteBack> {
    let live = config.is_synced_live(&agent.definition.name)?;
    let is_volume = agent.config_dir.mounted && agent.config_dir.mount_writable && agent.definition.session.is_some();
    let to_volume = || WriteBack {
        target: WriteBackTarget::Directory(agent.config_dir.path.clone()),
        writable: true,
        live,
        replaces: false,
    };
    to_store(config, agent, false).or_else(|| is_volume.then(to_volume))
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
