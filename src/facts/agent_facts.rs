//! The facts about one agent.

use std::io;
use std::path::{Path, PathBuf};

use crate::agent::Definition;
use crate::facts::candidate::Candidate;
use crate::facts::config_dir::ConfigDirFacts;
use crate::facts::explicit::ExplicitSources;
use crate::facts::files::ForeignFile;
use crate::facts::placement::Reason;
use crate::facts::stored::StoreFacts;
use crate::login::file::LoginFile;
use crate::login::history::History;
use crate::login::{Secret, Source};
use crate::store::Capture;
use crate::sys::dir::Dir;

pub struct AgentFacts<'c> {
    pub definition: &'c Definition,
    /// `--agent` or COMMAND names it, so it is served even if nothing is found for it.
    pub is_selected: bool,
    /// Every credential that was found, usable or not.
    pub candidates: Vec<Candidate<'c>>,
    /// Values of variables that accompany a method, read from files, commands or secrets.
    pub companions: Vec<(String, Secret)>,
    /// Files that accompany a method and that the agent's user could not read.
    pub files: Vec<ForeignFile>,
    /// Why a file may be closed to this process.
    pub reader: Reader,
    /// The credentials that the operator gave by variable or secret file.
    pub explicit: ExplicitSources,
    pub config_dir: ConfigDirFacts,
    /// Files outside of the config directory that the operator mounted, and that belong into the working copy.
    pub mounted_outside: Vec<OutsideFile>,
    /// The path of the working copy.
    pub working_copy: PathBuf,
    pub working_copy_reason: Reason,
    /// The versions of the login that were stored in a mount at the config directory.
    pub mount_history: History,
    /// `None` without a directory or store for this agent.
    pub capture: Option<CaptureFacts>,
}

impl AgentFacts<'_> {
    /// Opens a directory of settings, which may be the capture.
    pub fn open_settings(&self, path: &Path) -> io::Result<Dir> {
        match self.capture.as_ref().and_then(|capture| capture.opened.as_ref()) {
            Some(capture) if capture.path == path => capture.handle().sub_beneath(Path::new(".")),
            _ => Dir::open(path),
        }
    }

    /// The login file in the working copy; `None` for an agent without login files.
    pub fn login_file(&self) -> Option<PathBuf> {
        self.definition.session.as_ref().map(|session| self.working_copy.join(&session.file))
    }

    /// The directory of a capture: the one that was opened for the facts, if that was opened by this path.
    pub fn open_capture(&self, path: &Path) -> io::Result<Capture> {
        match self.capture.as_ref().and_then(|capture| capture.opened.as_ref()) {
            Some(opened) if opened.path == path => opened.duplicate(),
            _ => Capture::open(path),
        }
    }

    /// The login of the capture as it was read, if its stamp tells every later change.
    pub fn stored_login(&self) -> Option<LoginFile> {
        let source = Source::Capture(self.capture.as_ref()?.path.clone());
        self.candidates.iter().find(|candidate| candidate.source == source)?.session()?.file()
    }
}

/// What decides which files this process can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// No mode keeps it out; a network file system may.
    Privileged,
    /// Root without the capability to read everybody's files (`docker run --cap-drop ALL`).
    RootWithoutCapability,
    /// An ordinary user, with this uid.
    User(u32),
}

/// A file that the agent reads from outside its config directory as long as its variable is not set.
#[derive(Debug, PartialEq, Eq)]
pub struct OutsideFile {
    pub from: PathBuf,
    /// Its name in the config directory.
    pub name: String,
}

/// The capture of one agent.
pub struct CaptureFacts {
    /// The directory. It may still have to be made below an existing root.
    pub path: PathBuf,
    /// The open directory. From here on the path is not used again: something else could be there by then.
    pub opened: Option<Capture>,
    /// A login can be stored there.
    pub writable: bool,
    /// The versions of the login that were stored there.
    pub history: History,
    /// How many other containers use it now. Counted only if this one will not take turns with them.
    pub others: usize,
    /// The store behind a helper, of which the directory is the mirror.
    pub store: Option<StoreFacts>,
}

impl CaptureFacts {
    /// The directory or store, as the operator wrote it.
    pub fn location(&self) -> String {
        self.store.as_ref().map_or_else(|| self.path.display().to_string(), |store| store.spec.text.clone())
    }
}
