//! The plan itself: what is done for each agent, and for all.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::agent::definition::{Method, Setting};
use crate::config::{AuthMode, Forwarding, Rewrite, Scope};
use crate::facts::agent_facts::AgentFacts;
use crate::facts::{Candidate, ForeignFile};
use crate::log::Message;
use crate::login::Source;
use crate::login::merge::MergeBase;
use crate::plan::method::{Ignored, Selection};
use crate::plan::write_back::WriteBack;
use crate::state::Shadowed;
use crate::store::directory;
use crate::sys::signal::Signal;
use std::time::Duration;

/// What `run` will do.
pub struct Plan<'f, 'c> {
    /// The served agents.
    pub agents: Vec<AgentPlan<'f, 'c>>,
    /// What changes in the environment.
    pub environment: Changes,
    /// COMMAND and its arguments; empty only where nothing is run.
    pub command: Vec<OsString>,
    /// HOME, where it is made if it is not there.
    pub home: Option<HomeStep>,
    pub privilege: PrivilegeSteps,
    pub signals: SignalPolicy,
    /// Why the agent runs as this user.
    pub identity_why: String,
}

/// HOME is made, if it is not there.
pub struct HomeStep {
    pub path: PathBuf,
    /// The operator named it: without it there is no start.
    pub is_required: bool,
}

/// What the child loses before it executes the agent.
#[derive(Debug, Clone, Copy)]
pub struct PrivilegeSteps {
    /// User and groups are set. Root that is asked for a user gets that user's groups, too, where it stays root.
    pub changes_user: bool,
    /// The bounding set and the capabilities are dropped.
    pub drop_caps: Enforcement,
    /// `no_new_privs` is set.
    pub no_new_privs: Enforcement,
    pub why: &'static str,
}

/// What signals do while the agent runs.
#[derive(Debug, Clone)]
pub struct SignalPolicy {
    /// The signal that ends a start, and that starts a stop.
    pub stop: Signal,
    /// A stop ends within `grace`, and a second stop signal kills; otherwise the signal is only forwarded.
    pub escalates: bool,
    /// From the stop signal to our exit.
    pub grace: Duration,
    pub forward_to: Forwarding,
    /// Signals that are forwarded as others.
    pub rewrites: Vec<Rewrite>,
    /// The signal that we get when our parent dies.
    pub parent_death: Option<Signal>,
    /// Reaping others than the agent is worth a warning.
    pub says_reaped: bool,
}

/// Whether a step of losing privilege is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcement {
    Off,
    /// As far as the kernel lets us: nobody asked for it.
    BestEffort,
    /// Yes, or the agent does not start.
    Required,
}

/// Variables to remove and to set. What is set by name alone is printable; credential values are taken from the candidates
/// when the agent starts.
#[derive(Debug, Default)]
pub struct Changes {
    /// Removed.
    pub unset: BTreeSet<String>,
    /// Set.
    pub set: Vec<(String, OsString)>,
}

/// What is done for one agent.
pub struct AgentPlan<'f, 'c> {
    /// What is known of it.
    pub facts: &'f AgentFacts<'c>,
    /// What authenticates it, and what does not.
    pub choice: Selection,
    /// The login file of the working copy.
    pub login: LoginFileStep,
    /// Where refreshed logins go.
    pub write_back: Option<WriteBack>,
    /// The part of the working copy's path that the agent cannot have changed.
    pub root: TrustedRoot,
    /// Why the working copy is where it is.
    pub place_why: String,
    /// What of the captured settings is copied.
    pub scope: Scope,
    /// The directory whose settings belong to the working copy.
    pub settings: Option<PathBuf>,
    /// The questions of a first start are answered, and these directories are trusted.
    pub first_run: Option<FirstRunStep>,
    /// Why the chosen candidate was chosen.
    pub chosen_why: &'static str,
    /// Why refreshed logins go nowhere, where they do.
    pub no_write_back_why: &'static str,
    /// What was agreed between working copy and store before this start.
    pub base: Option<MergeBase>,
    /// The operator's mode.
    pub mode: AuthMode,
    /// The variable that names a descriptor, when the value is delivered by one.
    pub descriptor: Option<String>,
    /// What the operator should know.
    pub warnings: Vec<Message>,
}

/// The questions of a first start are answered.
pub struct FirstRunStep {
    /// Absolute paths of the directories that the agent is to trust.
    pub trusted: Vec<String>,
}

/// The part of a working copy's path that may lead through links. Below it none is followed: an agent of an earlier run may
/// have put it there.
pub enum TrustedRoot {
    /// The operator's `--work-dir`, which is made if it is not there.
    WorkDir(PathBuf),
    /// The state directory or HOME.
    Directory(PathBuf),
    /// What exists of the path: the operator's home variable names it.
    Existing,
}

/// What happens to the login file of the working copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginFileStep {
    /// The chosen login is written.
    Written,
    /// The login that is there stays.
    Stays,
    /// There is to be none; one that is there is kept under `conflicts/` or, when it is no login, removed.
    Absent,
}

impl<'f, 'c> AgentPlan<'f, 'c> {
    /// Whether this is the agent of that name; without a name any is.
    pub(super) fn is(&self, name: Option<&str>) -> bool {
        name.is_none_or(|name| self.facts.definition.name == name)
    }

    /// The candidate that authenticates the agent.
    pub fn chosen(&self) -> Option<&'f Candidate<'c>> {
        self.choice.chosen.and_then(|index| self.facts.candidates.get(index))
    }

    /// Whether what was chosen is of use: it has not ended.
    pub fn is_authenticated(&self) -> bool {
        self.choice.chosen.is_some() && !self.choice.has_ended
    }

    /// The candidates that were not chosen, each with the reason.
    pub fn ignored(&self) -> impl Iterator<Item = (&'f Candidate<'c>, &Ignored)> {
        self.choice.ignored.iter().filter_map(|aside| Some((self.facts.candidates.get(aside.candidate)?, aside)))
    }

    /// The login that was found at the place of the working copy and gives way: it is kept under `conflicts/`.
    pub fn kept_login(&self) -> Option<&'f Candidate<'c>> {
        let place = Source::Home(self.facts.login_file().filter(|_| self.choice.keep_left)?);
        self.facts.candidates.iter().find(|candidate| candidate.source == place && candidate.session().is_some())
    }

    /// The directory that keeps it: where the chosen login is carried to, if that is one that can be written.
    pub fn keeping_capture(&self) -> Option<&Path> {
        let target = self.write_back.as_ref().filter(|target| target.writable && !target.target.is_file())?;
        Some(target.target.path())
    }

    /// Where such a login is kept, as messages name it: in that directory, else beside its own place, which lives as long
    /// as it would have.
    pub fn keeps_at(&self) -> PathBuf {
        let parent = self.keeping_capture().unwrap_or(&self.facts.working_copy);
        parent.join(directory::BOOKKEEPING).join("conflicts")
    }

    /// What was found beside the chosen candidate, and why it is not used.
    pub fn shadowed(&self) -> Vec<Shadowed> {
        let shadowed = |(candidate, aside): (&Candidate<'_>, &Ignored)| Shadowed {
            source: candidate.source.to_string(),
            why: aside.why.to_string(),
        };
        self.ignored().map(shadowed).collect()
    }

    /// Whether an API key, which is billed by use, was chosen although there is a usable login.
    pub fn is_key_over_login(&self) -> bool {
        let is_key = self.chosen().is_some_and(|chosen| chosen.rule.method == Method::ApiKey);
        is_key && self.ignored().any(|(candidate, _)| candidate.session().is_some())
    }

    /// The files that are copied for the agent's user.
    pub fn files(&self) -> impl Iterator<Item = &'f ForeignFile> {
        let rule = self.chosen().map(|candidate| candidate.rule);
        let goes_along = move |file: &&ForeignFile| {
            rule.is_some_and(|rule| rule.files.iter().any(|known| known.variable == file.variable))
        };
        self.facts.files.iter().filter(goes_along)
    }

    /// The setting that the agent would prefer to what was chosen, and that is therefore taken out of the working copy.
    pub fn overriding_settings(&self) -> impl Iterator<Item = &'f Setting> {
        let settings = self.ignored().filter_map(|(candidate, _)| candidate.rule.setting.as_ref());
        settings.filter(|setting| setting.overrides)
    }

    /// The variables in the agent's settings that it would prefer to what was chosen: all of its methods', but for those
    /// that authenticate it.
    pub fn overriding_variables(&self) -> impl Iterator<Item = &'f str> {
        let chosen = self.chosen();
        let stays = move |name: &str| {
            chosen.is_some_and(|candidate| {
                let is_its = candidate.is_setting() && candidate.rule.variable.as_deref() == Some(name);
                is_its || candidate.rule.with.iter().any(|known| known == name)
            })
        };
        let rules = self.facts.definition.methods.iter().filter(|rule| !rule.shared);
        rules.filter_map(|rule| rule.variable.as_deref()).filter(move |name| !stays(name))
    }
}
