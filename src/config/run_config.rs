//! What `run` is asked to do, with every default in its place. What is left open here is left to the facts of a start:
//! which directories exist, who the user is.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::choices::{AuthMode, Delivery, Forwarding, Scope, Switch, SyncMode};
use super::compat::Compat;
use super::value::{AgentSelection, CaptureDirs, PerAgent, Requirement, Rewrite, StoreChoice, UserChoice};
use crate::agent::definition::Method;
use crate::log::{Level, LogFormat, Reporter};
use crate::sys::signal::Signal;

/// The options of `run` and its COMMAND.
#[derive(Debug, Clone)]
pub struct RunConfig {
    /// The agents to serve.
    pub agent: AgentSelection,
    /// How each of them authenticates.
    pub auth: PerAgent<AuthMode>,
    /// Methods that come before the others; empty for the order of the definition.
    pub prefer: Vec<Method>,
    /// Where captures are.
    pub capture: CaptureDirs,
    /// Where logins are kept between containers.
    pub store: StoreChoice,
    /// Directories of secret files, separated by colons; `None` for those that containers usually have.
    pub secrets: Option<OsString>,
    /// How a token or key reaches the agent.
    pub deliver: Delivery,
    /// When a refreshed login is published.
    pub sync: SyncMode,
    /// The credentials without which nothing starts.
    pub require: Requirement,
    /// How long to wait for a credential.
    pub wait: Duration,
    /// Who runs the agent.
    pub user: UserChoice,
    /// The user is not from this command line, but from a variable (which an image may set) or from PID 1's options.
    pub user_is_preset: bool,
    /// HOME of the agent; `None` for that of the user.
    pub home: Option<PathBuf>,
    /// The parent of working copies; `None` for the agent's own directory or the state directory.
    pub work_dir: Option<PathBuf>,
    /// Where state is kept; `None` for the first usable one of the usual directories.
    pub state_dir: Option<PathBuf>,
    /// What of a captured directory goes into the working copy.
    pub scope: Scope,
    /// Whether the questions of a first start are answered.
    pub first_run: bool,
    /// Directories that the agent trusts, separated by colons; `None` for the working directory.
    pub trust: Option<OsString>,
    /// Whether the agent loses its capabilities.
    pub drop_caps: Switch,
    /// Whether the agent gets `no_new_privs`.
    pub no_new_privs: Switch,
    /// Who gets forwarded signals.
    pub forward_to: Forwarding,
    /// Signals that are forwarded as others.
    pub rewrite: Vec<Rewrite>,
    /// The signal that starts the stop.
    pub stop_signal: Signal,
    /// The time from the stop signal to our exit.
    pub grace: Duration,
    /// From how long before its end a login counts as expiring.
    pub warn_within: Duration,
    /// The words of the command that is run for events.
    pub on_event: Option<Vec<OsString>>,
    /// What is said, and how.
    pub log: LogConfig,
    /// What is different under the name of another init.
    pub compat: Compat,
    /// The agent's command and its arguments; empty only for `status`, `doctor` and `setup`.
    pub command: Vec<OsString>,
}

/// The default of `--warn-within`.
const WARN_WITHIN: Duration = Duration::from_secs(7 * 86_400);

impl Default for RunConfig {
    fn default() -> RunConfig {
        RunConfig {
            agent: AgentSelection::default(),
            auth: PerAgent::default(),
            prefer: Vec::new(),
            capture: CaptureDirs::default(),
            store: StoreChoice::default(),
            secrets: None,
            deliver: Delivery::default(),
            sync: SyncMode::default(),
            require: Requirement::default(),
            wait: Duration::ZERO,
            user: UserChoice::default(),
            user_is_preset: false,
            home: None,
            work_dir: None,
            state_dir: None,
            scope: Scope::default(),
            first_run: true,
            trust: None,
            drop_caps: Switch::default(),
            no_new_privs: Switch::default(),
            forward_to: Forwarding::default(),
            rewrite: Vec::new(),
            stop_signal: Signal::TERM,
            // Docker kills after 10 s.
            grace: Duration::from_secs(8),
            warn_within: WARN_WITHIN,
            on_event: None,
            log: LogConfig::default(),
            compat: Compat::default(),
            command: Vec::new(),
        }
    }
}

impl RunConfig {
    /// Whether the choice of a user is left out of account. An image that presets a user may also be started as another one,
    /// by `docker run --user` or with an arbitrary uid of `OpenShift`, and only root can change the user. `current`: uid and
    /// gid of agent-init.
    pub fn user_is_void(&self, current: (u32, u32)) -> bool {
        self.user_is_preset && current.0 != 0
    }

    /// Whether an agent's logins are synced: as they change (true) or at the end (false); `None` where they are not.
    pub fn is_synced_live(&self, agent: &str) -> Option<bool> {
        let is_synced = self.sync != SyncMode::Off && *self.auth.of(agent) != AuthMode::Copy;
        is_synced.then_some(self.sync == SyncMode::Live)
    }

    /// Who writes the messages.
    pub fn reporter(&self) -> Reporter {
        self.log.reporter()
    }
}

/// What is said on standard error, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// Lines for people or for programs.
    pub format: LogFormat,
    /// The least important messages that are shown.
    pub level: Level,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig { format: LogFormat::Text, level: Level::Notice }
    }
}

impl LogConfig {
    /// Who writes the messages.
    pub fn reporter(self) -> Reporter {
        Reporter { format: self.format, level: self.level, on_raw_terminal: false }
    }
}
