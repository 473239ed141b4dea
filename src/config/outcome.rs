//! What an invocation comes to: a command with its configuration.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::choices::Shell;
use super::layers::Layers;
use super::run_config::{LogConfig, RunConfig};
use super::settings::Settings;

/// What is to be done.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them")]
pub enum Command {
    /// Run an agent.
    Run(RunConfig),
    /// Install and sync logins without a command.
    Serve(RunConfig),
    /// Wait for a signal: what `serve` runs.
    Idle,
    /// Log in, and capture the login.
    Setup(SetupConfig),
    /// Refresh logins for others.
    Keep(KeepConfig),
    /// Show how the agents are logged in.
    Status(StatusConfig),
    /// Show what happened to logins.
    History(HistoryConfig),
    /// Show what `run` would do.
    Plan(PlanConfig),
    /// Show what is wrong.
    Doctor(DoctorConfig),
    /// Say whether the running agent is healthy.
    Healthcheck(HealthcheckConfig),
    /// Run a command as the running agent.
    Exec(ExecConfig),
    /// Show the known agents.
    Agents(AgentsConfig),
    /// Copy this binary to a path.
    Install(PathBuf),
    /// Print the completions of a shell.
    Completions(Shell),
    /// Print this on standard output and exit with 0.
    Print(String),
}

/// The configuration of `setup`.
#[derive(Debug)]
pub struct SetupConfig {
    /// Agents, user, files and COMMAND, as for a run.
    pub run: RunConfig,
    /// Start the agent itself instead of its login command.
    pub auto: bool,
    /// Create a long-lived token.
    pub token: bool,
}

/// The configuration of `keep`.
#[derive(Debug)]
pub struct KeepConfig {
    /// Agents, stores, user and files, as for a run.
    pub run: RunConfig,
    /// How long before its end an access token is refreshed.
    pub before: Duration,
    /// Refresh what is due, then exit.
    pub once: bool,
}

/// The configuration of `plan`.
#[derive(Debug)]
pub struct PlanConfig {
    /// The run that is planned.
    pub run: RunConfig,
    /// JSON instead of text.
    pub json: bool,
}

/// The configuration of `status`.
#[derive(Debug)]
pub struct StatusConfig {
    /// The run that is looked at.
    pub inspection: Inspection,
    pub form: StatusForm,
}

/// How `status` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusForm {
    Json,
    OpenMetrics,
    Text(Detail),
}

/// How much is said of each agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The verdict.
    Short,
    /// What a person needs.
    Normal,
    /// What a program would be told, too: times, specifications, words of the JSON.
    Verbose,
}

impl StatusForm {
    pub(super) fn of(settings: &Settings) -> StatusForm {
        match settings {
            Settings { json: true, .. } => StatusForm::Json,
            Settings { openmetrics: true, .. } => StatusForm::OpenMetrics,
            Settings { short: true, .. } => StatusForm::Text(Detail::Short),
            Settings { verbose: true, .. } => StatusForm::Text(Detail::Verbose),
            _ => StatusForm::Text(Detail::Normal),
        }
    }
}

/// The configuration of `history`.
#[derive(Debug)]
pub struct HistoryConfig {
    /// The run whose logins are looked at.
    pub inspection: Inspection,
    /// JSON instead of text.
    pub json: bool,
}

/// The configuration of `doctor`.
#[derive(Debug)]
pub struct DoctorConfig {
    /// The run that is looked at.
    pub inspection: Inspection,
    /// JSON instead of text.
    pub json: bool,
}

/// The configuration of `healthcheck`.
#[derive(Debug)]
pub struct HealthcheckConfig {
    /// Where the run keeps its state, if it was given.
    pub state_dir: Option<PathBuf>,
    /// From how long before its end a login counts as expiring.
    pub warn_within: Duration,
}

/// The configuration of `exec`.
#[derive(Debug)]
pub struct ExecConfig {
    /// Where the run keeps its state, if it was given.
    pub state_dir: Option<PathBuf>,
    /// The command and its arguments.
    pub command: Vec<OsString>,
}

/// The configuration of `agents`.
#[derive(Debug)]
pub struct AgentsConfig {
    /// The agent to show.
    pub name: Option<String>,
    /// JSON instead of text.
    pub json: bool,
}

/// A run that is looked at.
#[derive(Debug)]
pub struct Inspection {
    /// What `run` would do with the same words and variables.
    pub run: RunConfig,
    pub(super) layers: Layers,
}

impl Inspection {
    /// The same, but what was not given is as PID 1 was told: a command after `docker exec` then looks where the run looked.
    ///
    /// # Errors
    /// None that is known: every value was accepted before.
    pub fn with_init(&self, init: &InitConfig) -> anyhow::Result<RunConfig> {
        let mut layers = init.layers.clone();
        layers.0.extend(self.layers.0.iter().cloned());
        let mut run = layers.resolve()?.run;
        let is_given = !self.run.command.is_empty();
        run.command.clone_from(if is_given { &self.run.command } else { &init.run.command });
        Ok(run)
    }
}

/// What the command line of PID 1 says.
#[derive(Debug)]
pub struct InitConfig {
    /// The run, without its variables, which others cannot see.
    pub run: RunConfig,
    /// It keeps logins, and runs no agent.
    pub is_keeper: bool,
    pub(super) layers: Layers,
}

impl Command {
    pub(super) fn log(&self) -> LogConfig {
        match self {
            Command::Run(run)
            | Command::Serve(run)
            | Command::Plan(PlanConfig { run, .. })
            | Command::Setup(SetupConfig { run, .. })
            | Command::Keep(KeepConfig { run, .. })
            | Command::Status(StatusConfig { inspection: Inspection { run, .. }, .. })
            | Command::History(HistoryConfig { inspection: Inspection { run, .. }, .. })
            | Command::Doctor(DoctorConfig { inspection: Inspection { run, .. }, .. }) => run.log,
            _ => LogConfig::default(),
        }
    }
}
