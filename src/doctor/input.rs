//! Inspects what `doctor` needs in addition to the facts: every relevant path with its mount, owner, mode and free
//! space.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::agent::{Catalog, Definition};
use crate::config::RunConfig;
use crate::env::Environment;
use crate::facts::{Facts, config_dir, explicit};
use crate::fs::mounts::{Mount, Mounts};
use crate::login::names::{Names, Suffix};
use crate::process::table::Process;
use crate::store::{Capture, Recovery, directory};
use crate::sys::stat::{Kind, Stat};
use crate::sys::{access, privilege, watch};

/// What agent-init uses a path for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRole {
    /// The root of captures, or one agent's.
    Capture,
    /// The login file in a capture.
    CapturedLogin,
    /// The config directory of an agent.
    ConfigDir,
    /// The login file in a config directory.
    ConfigDirLogin,
    /// A file in a secrets directory.
    Secret,
    /// A file that this variable names.
    Named(String),
    WorkingCopy,
    /// The state directory.
    State,
    /// HOME of the agent.
    Home,
    WorkingDirectory,
    /// A lock that the agent makes while it refreshes.
    RefreshLock,
    /// A login that a store refused and that is kept until it can be published.
    Recovery,
    /// `/run`.
    Run,
    /// `/run/secrets`.
    RunSecrets,
}

#[derive(Debug, Clone)]
pub struct InspectedPath {
    pub role: PathRole,
    pub path: PathBuf,
    /// The file or directory there, with links followed.
    pub found: Option<Found>,
    /// The mount at exactly this path.
    pub mount: Option<Mount>,
    /// The mount that contains it.
    pub on: Option<Mount>,
    /// This process can read it.
    pub readable: bool,
    /// This process can write to it.
    pub writable: bool,
    /// inotify(7) reports every change there.
    pub watched: bool,
    /// Free space in bytes.
    pub room: Option<u64>,
    /// The number of logins in its `conflicts/`.
    pub conflicts: usize,
    pub is_empty: bool,
}

/// The file or directory at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// The last change of its content.
    pub modified: SystemTime,
}

/// Everything that the checks read.
#[derive(Debug)]
pub struct DoctorInput {
    pub inspected_paths: Vec<InspectedPath>,
    /// This process; `None` without /proc.
    pub process: Option<Process>,
    /// uid and gid of the agent.
    pub agent: (u32, u32),
    /// uid and gid of this process.
    pub current: (u32, u32),
    /// An agent runs in this container.
    pub is_running: bool,
    pub now: SystemTime,
}

/// Inspects everything that the checks need. `facts` is `None` if a start would fail before its facts are complete.
pub fn inspect(
    config: &RunConfig,
    catalog: &Catalog,
    environment: &Environment,
    facts: Option<&Facts<'_>>,
    is_running: bool,
) -> DoctorInput {
    let current = privilege::current();
    let mut survey = Survey { mounts: Mounts::read().unwrap_or_default(), inspected_paths: Vec::new() };
    let home = facts.map(|facts| facts.home.clone()).or_else(|| environment.get_filled("HOME").map(PathBuf::from));
    let home = home.unwrap_or_else(|| PathBuf::from("/"));
    survey.add(PathRole::Run, Path::new("/run"));
    survey.add(PathRole::RunSecrets, Path::new("/run/secrets"));
    survey.add(PathRole::Home, &home);
    survey.roots(config);
    if let Some(facts) = facts {
        survey.add(PathRole::WorkingDirectory, &facts.working_directory);
        if !facts.agents.is_empty() {
            survey.add(PathRole::State, &facts.state_dir);
        }
    }
    let secrets = explicit::secret_directories(config.secrets.as_deref(), environment);
    let known = facts.map(|facts| &facts.agents).filter(|agents| !agents.is_empty());
    let definitions: Vec<&Definition> = match known {
        Some(agents) => agents.iter().map(|agent| agent.definition).collect(),
        None => catalog.definitions().unwrap_or_default(),
    };
    for definition in definitions {
        let named = |name: &str| environment.get_filled(name).map(Path::new);
        survey.config_dir(definition, &config_dir::locate(&definition.home, named, &home));
        survey.explicit_files(definition, environment, &secrets);
    }
    for agent in known.into_iter().flatten() {
        survey.add(PathRole::WorkingCopy, &agent.working_copy);
        if let Some(capture) = &agent.capture {
            survey.capture(&capture.path, agent.definition);
        }
        if let (Some(session), Some(facts)) = (&agent.definition.session, facts) {
            let recovery = Recovery::new(&facts.state_dir, &agent.definition.name, &session.file);
            survey.add(PathRole::Recovery, &recovery.path());
        }
    }
    DoctorInput {
        inspected_paths: survey.inspected_paths,
        process: Process::this(),
        agent: facts.map_or(current, |facts| (facts.identity.uid, facts.identity.gid)),
        current,
        is_running,
        now: SystemTime::now(),
    }
}

struct Survey {
    mounts: Mounts,
    inspected_paths: Vec<InspectedPath>,
}

impl Survey {
    fn add(&mut self, role: PathRole, path: &Path) {
        if self.inspected_paths.iter().any(|inspected| inspected.path == path && inspected.role == role) {
            return;
        }
        let found = path.metadata().ok();
        let existing = path.ancestors().find(|ancestor| ancestor.exists());
        self.inspected_paths.push(InspectedPath {
            path: path.to_owned(),
            found: found.as_ref().map(Found::of),
            mount: self.mounts.at(path).cloned(),
            on: self.mounts.holding(path).cloned(),
            readable: access::may_read(path),
            writable: access::may_write(path),
            watched: watch::would_watch_all(path),
            room: existing.and_then(access::room),
            is_empty: path.read_dir().is_ok_and(|mut entries| entries.next().is_none()),
            conflicts: match role {
                PathRole::Capture => Capture::open(path).map_or(0, |capture| capture.conflicts()),
                PathRole::State => count(&path.join("conflicts")),
                PathRole::WorkingCopy => count(&path.join(directory::BOOKKEEPING).join("conflicts")),
                _ => 0,
            },
            role,
        });
    }

    /// The roots of captures.
    fn roots(&mut self, config: &RunConfig) {
        let default = PathBuf::from(directory::DEFAULT);
        if config.capture.for_all.is_none() && default.exists() {
            self.add(PathRole::Capture, &default);
        }
        for root in config.capture.directories() {
            self.add(PathRole::Capture, root);
        }
    }

    fn capture(&mut self, path: &Path, definition: &Definition) {
        if path.exists() {
            self.add(PathRole::Capture, path);
        }
        if let Some(session) = &definition.session {
            self.add(PathRole::CapturedLogin, &path.join(&session.file));
        }
    }

    fn config_dir(&mut self, definition: &Definition, config_dir: &Path) {
        self.add(PathRole::ConfigDir, config_dir);
        if let Some(session) = &definition.session {
            self.add(PathRole::ConfigDirLogin, &config_dir.join(&session.file));
        }
        if let Some(lock) = &definition.refresh_lock {
            let mut beside = config_dir.as_os_str().to_owned();
            beside.push(&lock.beside);
            self.add(PathRole::RefreshLock, Path::new(&beside));
            self.add(PathRole::RefreshLock, &config_dir.join(&lock.intent));
        }
    }

    /// Secret files and the files that variables name.
    fn explicit_files(&mut self, definition: &Definition, environment: &Environment, secrets: &[PathBuf]) {
        let values = definition.methods.iter().filter_map(|rule| rule.variable.as_deref()).map(Names::of_value);
        let names: Vec<Names> = values.chain(definition.session_names(true)).collect();
        for name in &names {
            let variable = Suffix::File.of(&name.variable);
            if let Some(path) = environment.get_filled(&variable) {
                self.add(PathRole::Named(variable), Path::new(path));
            }
        }
        let files: Vec<&String> = names.iter().flat_map(|name| &name.files).collect();
        for path in secrets.iter().flat_map(|directory| files.iter().map(move |file| directory.join(file))) {
            if path.symlink_metadata().is_ok() {
                self.add(PathRole::Secret, &path);
            }
        }
    }
}

/// The number of entries, at most 256.
fn count(path: &Path) -> usize {
    path.read_dir().map_or(0, |entries| entries.take(256).count())
}

impl Found {
    /// The same as a [`Stat`]. Only kind, mode, uid and gid are meaningful.
    pub fn stat(self) -> Stat {
        let Found { kind, mode, uid, gid, .. } = self;
        Stat { kind, mode, uid, gid, links: 1, size: 0, id: (0, 0), changed: (0, 0), modified: (0, 0) }
    }

    fn of(metadata: &std::fs::Metadata) -> Found {
        let kind = match metadata.file_type() {
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_file() => Kind::File,
            kind if kind.is_symlink() => Kind::Link,
            _ => Kind::Special,
        };
        let since = Duration::from_secs(u64::try_from(metadata.mtime()).unwrap_or(0));
        Found {
            kind,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            modified: UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH),
        }
    }
}
