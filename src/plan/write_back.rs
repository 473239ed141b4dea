//! Pure. Where refreshed logins are saved.

use std::path::{Path, PathBuf};

use crate::config::{AuthMode, RunConfig};
use crate::facts::Candidate;
use crate::facts::agent_facts::AgentFacts;
use crate::facts::config_dir::MountAccess;
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
    let config_dir = &agent.config_dir;
    let file = config_dir.path.join(&session.file);
    let to_origin = |target, writable| Some(WriteBack { target, writable, live, replaces: false });
    match &chosen.source {
        Source::Mount(path) if *path == file && is_writable(config_dir.mounts.login_file) => {
            return to_origin(WriteBackTarget::File(file), true);
        }
        Source::Mount(path) if *path != file && is_writable(config_dir.mounts.directory) => {
            return to_origin(WriteBackTarget::Directory(path.clone()), true);
        }
        // The config directory, if it is not the working copy.
        Source::Home(path) if *path == file && agent.working_copy != config_dir.path => {
            return to_origin(WriteBackTarget::Directory(config_dir.path.clone()), config_dir.site.writable);
        }
        _ => {}
    }
    let digest = |candidate: &Candidate<'_>| candidate.session().map(|session| session.login.digest);
    let find = |test: fn(&Source) -> bool| {
        agent.candidates.iter().filter(|candidate| test(&candidate.source)).find_map(digest)
    };
    let replaces = !(chosen.source.is_store() || matches!(chosen.source, Source::Home(_)))
        && find(Source::is_store) != digest(chosen);
    to_store(config, agent, replaces).or_else(|| {
        // Another login in the volume stays: somebody uses it.
        let mounted = find(|source| matches!(source, Source::Mount(_)));
        let is_free = mounted.is_none() || mounted == digest(chosen);
        volume(agent, live).filter(|_| is_free)
    })
}

/// Where the login goes that somebody makes while the agent runs: to the capture, or to a volume at the config directory.
pub(super) fn for_no_login(config: &RunConfig, agent: &AgentFacts<'_>) -> Option<WriteBack> {
    let live = config.is_synced_live(&agent.definition.name)?;
    let store = to_store(config, agent, false);
    let is_follower = *config.auth.of(&agent.definition.name) == AuthMode::Follow;
    match store {
        // A follower adopts from a capture that it need not be able to write.
        Some(store) if store.writable || is_follower => Some(store),
        store => volume(agent, live).or(store),
    }
}

/// A volume at the config directory or at the login file, which holds no login yet.
fn volume(agent: &AgentFacts<'_>, live: bool) -> Option<WriteBack> {
    let session = agent.definition.session.as_ref()?;
    let path = &agent.config_dir.path;
    let mounts = &agent.config_dir.mounts;
    let target = if mounts.login_file.is_some_and(MountAccess::is_kept) {
        WriteBackTarget::File(path.join(&session.file))
    } else if mounts.login_file.is_none() && mounts.directory.is_some_and(MountAccess::is_kept) {
        WriteBackTarget::Directory(path.clone())
    } else {
        return None;
    };
    Some(WriteBack { target, writable: true, live, replaces: false })
}

fn is_writable(access: Option<MountAccess>) -> bool {
    access.is_some_and(|access| access != MountAccess::ReadOnly)
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
