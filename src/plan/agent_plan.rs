//! The plan: what is done for each agent, and for all of them.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::agent::definition::{FirstRun, Method, Setting};
use crate::config::{AuthMode, Forwarding, Rewrite, Scope};
use crate::facts::agent_facts::AgentFacts;
use crate::facts::{Candidate, ForeignFile, Session};
use crate::log::Message;
use crate::login::Source;
use crate::login::entries::EntriesBase;
use crate::login::merge::MergeBase;
use crate::plan::method::{Ignored, Selection};
use crate::plan::mounted::{MountedEntry, MountedStep};
use crate::plan::write_back::WriteBack;
use crate::state::Shadowed;
use crate::store::directory;
use crate::sys::signal::Signal;
use std::time::Duration;

/// What `run` will do.
pub struct Plan<'f, 'c> {
    pub agents: Vec<AgentPlan<'f, 'c>>,
    /// Changes to the environment of the agent.
    pub environment: Changes,
    /// COMMAND and its arguments. Empty only for commands that run nothing.
    pub command: Vec<OsString>,
    pub home: Option<HomeStep>,
    pub privilege: PrivilegeSteps,
    pub signals: SignalPolicy,
    /// Why the agent runs as this user.
    pub identity_why: String,
}

/// HOME is made if it does not exist.
pub struct HomeStep {
    pub path: PathBuf,
    /// The operator named it, so a failure to make it prevents the start.
    pub is_required: bool,
}

/// The privileges that the child gives up before it executes the agent.
#[derive(Debug, Clone, Copy)]
pub struct PrivilegeSteps {
    /// User and groups are set. With `--user root`, the groups of that user are set too.
    pub changes_user: bool,
    /// Whether the bounding set and the capabilities are dropped.
    pub drop_caps: Enforcement,
    /// Whether `no_new_privs` is set.
    pub no_new_privs: Enforcement,
    pub why: &'static str,
}

/// How signals are handled while the agent runs.
#[derive(Debug, Clone)]
pub struct SignalPolicy {
    /// The signal that aborts a start and begins a stop.
    pub stop: Signal,
    /// A stop ends within `grace`, and a second stop signal kills. Otherwise the signal is only forwarded.
    pub escalates: bool,
    /// The time from the stop signal to the exit of this process.
    pub grace: Duration,
    pub forward_to: Forwarding,
    /// Signals that are forwarded as other signals.
    pub rewrites: Vec<Rewrite>,
    /// The signal that this process gets when its parent dies.
    pub parent_death: Option<Signal>,
    /// Reaping a process other than the agent produces a warning.
    pub says_reaped: bool,
}

/// Whether a step of the privilege drop is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcement {
    Off,
    /// As far as the kernel permits, because nobody asked for it.
    BestEffort,
    /// A failure prevents the start.
    Required,
}

/// Variables to remove and to set. All of these can be printed: the values of credentials are added when the agent
/// starts.
#[derive(Debug, Default)]
pub struct Changes {
    pub unset: BTreeSet<String>,
    pub set: Vec<(String, OsString)>,
}

pub struct AgentPlan<'f, 'c> {
    pub facts: &'f AgentFacts<'c>,
    /// The credential that authenticates the agent, and the ignored ones.
    pub selection: Selection,
    /// What happens to the login file of the working copy.
    pub login: LoginFileStep,
    /// Where refreshed logins go.
    pub write_back: Option<WriteBack>,
    pub root: TrustedRoot,
    /// Why the working copy is where it is.
    pub working_copy_why: String,
    pub scope: Scope,
    /// The directories whose settings are copied to the working copy; an entry of the first wins.
    pub settings: Vec<PathBuf>,
    /// What of a mounted config directory goes into the working copy.
    pub mounted: Vec<MountedEntry>,
    pub first_run: Option<FirstRunStep<'c>>,
    pub chosen_why: &'static str,
    /// Why refreshed logins are not saved, if they are not.
    pub no_write_back_why: &'static str,
    /// The merge base: the login that working copy and store last agreed on.
    pub base: Option<MergeBase>,
    /// The merge base of the entries.
    pub entries: EntriesBase,
    /// Logins that earlier runs left, the newest last. Their entries go into the login that is installed, because they
    /// may not be stored yet.
    pub earlier_entries: Vec<&'f Session>,
    /// `--auth` for this agent.
    pub mode: AuthMode,
    /// The variable that names a file descriptor, if the value is delivered through one.
    pub descriptor: Option<String>,
    /// From how long before its deadline a login is warned of.
    pub warn_within: Duration,
    pub warnings: Vec<Message>,
}

/// The questions that the agent asks at its first start are answered beforehand.
pub struct FirstRunStep<'c> {
    /// What is merged into the agent's files.
    pub entries: Vec<&'c FirstRun>,
    /// Absolute paths of the directories that the agent is to trust.
    pub trusted: Vec<String>,
}

/// The part of the working copy's path that no agent can have changed. It may lead through links. Below it no link is
/// followed, because an agent of an earlier run may have made it.
pub enum TrustedRoot {
    /// The operator's `--work-dir`, which is made if it does not exist.
    WorkDir(PathBuf),
    /// The state directory or HOME.
    Directory(PathBuf),
    /// The existing part of the path: the operator's environment variable names it.
    Existing,
}

/// What happens to the login file of the working copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginFileStep {
    Written,
    Stays,
    /// There must be none. An existing login is moved to `conflicts/`; a file that is not a login is removed.
    Absent,
}

impl<'f, 'c> AgentPlan<'f, 'c> {
    /// Whether this agent has that name. Without a name, every agent matches.
    pub(super) fn is_named(&self, name: Option<&str>) -> bool {
        name.is_none_or(|name| self.facts.definition.name == name)
    }

    /// The candidate that authenticates the agent.
    pub fn chosen(&self) -> Option<&'f Candidate<'c>> {
        self.selection.chosen.and_then(|index| self.facts.candidates.get(index))
    }

    /// Whether a credential was chosen that has not expired.
    pub fn is_authenticated(&self) -> bool {
        self.selection.chosen.is_some() && !self.selection.has_ended
    }

    /// The candidates that were not chosen, each with the reason.
    pub fn ignored(&self) -> impl Iterator<Item = (&'f Candidate<'c>, &Ignored)> {
        self.selection
            .ignored
            .iter()
            .filter_map(|ignored| Some((self.facts.candidates.get(ignored.candidate)?, ignored)))
    }

    /// The login that was found in the working copy and makes room for another credential. It is kept in `conflicts/`.
    pub fn displaced_login(&self) -> Option<&'f Candidate<'c>> {
        if !self.selection.keeps_found_login {
            return None;
        }
        let source = Source::Home(self.facts.login_file()?);
        self.facts.candidates.iter().find(|candidate| candidate.source == source && candidate.session().is_some())
    }

    /// The capture that keeps the displaced login: the one to which the chosen login is written back, if it is
    /// writable.
    pub fn capture_for_conflicts(&self) -> Option<&Path> {
        let target = self.write_back.as_ref().filter(|target| target.writable && !target.target.is_file())?;
        Some(target.target.path())
    }

    /// The directory for the displaced login: in that capture, or else in the working copy, which lives as long as the
    /// login would have.
    pub fn conflicts_dir(&self) -> PathBuf {
        let parent = self.capture_for_conflicts().unwrap_or(&self.facts.working_copy);
        parent.join(directory::BOOKKEEPING).join("conflicts")
    }

    /// The ignored candidates as the state file records them.
    pub fn shadowed(&self) -> Vec<Shadowed> {
        let shadowed = |(candidate, ignored): (&Candidate<'_>, &Ignored)| Shadowed {
            source: candidate.source.to_string(),
            why: ignored.why.to_string(),
        };
        self.ignored().map(shadowed).collect()
    }

    /// Whether an API key, which is billed by use, was chosen although there is a usable login.
    pub fn is_key_over_login(&self) -> bool {
        let is_key = self.chosen().is_some_and(|chosen| chosen.rule.method == Method::ApiKey);
        is_key && self.ignored().any(|(candidate, _)| candidate.session().is_some())
    }

    /// The files that accompany the chosen method and are copied for the agent's user.
    pub fn files(&self) -> impl Iterator<Item = &'f ForeignFile> {
        let rule = self.chosen().map(|candidate| candidate.rule);
        let accompanies = move |file: &&ForeignFile| {
            rule.is_some_and(|rule| rule.files.iter().any(|known| known.variable == file.variable))
        };
        self.facts.files.iter().filter(accompanies)
    }

    /// The entries of the working copy that are links to a mount.
    pub fn linked_entries(&self) -> impl Iterator<Item = &OsStr> {
        let linked = self.mounted.iter().filter(|entry| matches!(entry.step, MountedStep::Linked(_)));
        linked.map(|entry| entry.name.as_os_str())
    }

    /// The settings that hold credentials and were not chosen. They are removed from the working copy: the agent would
    /// use them at once, or as soon as the chosen credential fails.
    pub fn ignored_settings(&self) -> impl Iterator<Item = &'f Setting> {
        self.ignored().filter_map(|(candidate, _)| candidate.rule.setting.as_ref())
    }

    /// The variables in the agent's settings that it would prefer to the chosen credential: the variables of all its
    /// methods, except those that authenticate it.
    pub fn overriding_variables(&self) -> impl Iterator<Item = &'f str> {
        let chosen = self.chosen();
        let authenticates = move |name: &str| {
            chosen.is_some_and(|candidate| {
                let is_chosen = candidate.is_setting() && candidate.rule.variable.as_deref() == Some(name);
                is_chosen || candidate.rule.with.iter().any(|known| known == name)
            })
        };
        let rules = self.facts.definition.methods.iter().filter(|rule| !rule.shared);
        rules.filter_map(|rule| rule.variable.as_deref()).filter(move |name| !authenticates(name))
    }
}
