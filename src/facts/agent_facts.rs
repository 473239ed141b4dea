//! What is known of one agent before anything is decided.

use std::path::PathBuf;

use crate::agent::Definition;
use crate::facts::candidate::Candidate;
use crate::facts::explicit::ExplicitSources;
use crate::facts::files::ForeignFile;
use crate::facts::place::ConfigDirFacts;
use crate::facts::stored::StoreFacts;
use crate::login::Secret;
use crate::login::history::History;

/// What is known of one agent.
pub struct AgentFacts<'c> {
    /// What it is.
    pub definition: &'c Definition,
    /// It is served whatever is found: it was named, or COMMAND is its.
    pub is_certain: bool,
    /// What was found that could authenticate it.
    pub candidates: Vec<Candidate<'c>>,
    /// Variables that go with one of its methods, read from elsewhere.
    pub companions: Vec<(String, Secret)>,
    /// Files that go with one of its methods, and that its user could not read.
    pub files: Vec<ForeignFile>,
    /// Every variable of its own that is set, and the forms that were given.
    pub given: ExplicitSources,
    /// Its own place.
    pub place: ConfigDirFacts,
    /// Where its working copy goes.
    pub working_copy: PathBuf,
    /// Its capture, if there is a directory for it.
    pub capture: Option<CaptureFacts>,
}

impl AgentFacts<'_> {
    /// Where the login is in the working copy; `None` for an agent that keeps none.
    pub fn login_file(&self) -> Option<PathBuf> {
        self.definition.session.as_ref().map(|session| self.working_copy.join(&session.file))
    }
}

/// What is known of a capture.
pub struct CaptureFacts {
    /// The directory; it may not be there yet below a root that is.
    pub path: PathBuf,
    /// Whether a login can be stored there.
    pub writable: bool,
    /// The logins that were stored there.
    pub history: History,
    /// How many other containers use it now; counted only where this one is not going to take turns with them.
    pub others: usize,
    /// It is the mirror of a store behind a helper.
    pub store: Option<StoreFacts>,
}

impl CaptureFacts {
    /// Where it is, as the operator knows it.
    pub fn place(&self) -> String {
        self.store.as_ref().map_or_else(|| self.path.display().to_string(), |store| store.spec.text.clone())
    }
}
