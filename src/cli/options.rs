//! Pure. The options of `run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, Parser, ValueHint};

use crate::agent::definition::Method;
use crate::cli::value;
use crate::cli::value::{
    AgentSelection, AuthMode, CaptureSpec, Delivery, Forwarding, PerAgent, Requirement, Rewrite, Scope, StoreChoice,
    StoreSpec, Switch, SyncMode,
};
use crate::error::Failure;
use crate::log::{Level, LogFormat, Reporter};
use crate::sys::signal::Signal;

const USAGE: &str = "agent-init [run] [OPTIONS] [--] COMMAND [ARG...]";

const AFTER: &str = "\
Every option has an environment twin: --work-dir is AGENT_INIT_WORK_DIR. The option wins.
Options end at COMMAND: what follows it is COMMAND's own. A command's name may
follow options; after -- it is a COMMAND.

Examples:
  ENV AGENT_INIT_USER=node     ENTRYPOINT [\"agent-init\"]     CMD [\"AGENT\"]
  docker run -v login:/capture IMAGE AGENT -p \"hello\"
  docker run -e AGENT_CREDENTIALS_B64 IMAGE AGENT -p \"hello\"";

/// The ENTRYPOINT of agent containers: finds a login, lays it down as a private working copy, drops privilege, runs
/// COMMAND as PID 1 should, and carries refreshed tokens back.
#[derive(Debug, Default, Clone, Parser)]
#[command(name = "agent-init", version, override_usage = USAGE, after_help = AFTER, args_override_self = true)]
pub struct RunOptions {
    /// Agents to serve: names, `auto` (by COMMAND and by what was given) or `none` (a plain init) [default: auto]
    #[arg(long, value_name = "NAME[,NAME]", value_parser = value::agents)]
    pub agent: Option<AgentSelection>,

    /// auto, sync, copy, token, api-key or ignore, for all agents or for one: NAME=token [default: auto]
    #[arg(long, value_name = "MODE", value_parser = value::auth)]
    pub auth: Option<PerAgent<AuthMode>>,

    /// Methods to prefer: oauth-token, auth-token, api-key, session, cloud [default: the agent's order]
    #[arg(long, value_name = "METHOD[,...]", value_parser = methods)]
    pub prefer: Option<Methods>,

    /// Root with one directory for each agent, or agent=DIR [default: /capture if it is there]
    #[arg(long, value_name = "DIR", value_parser = value::capture)]
    pub capture: Option<CaptureSpec>,

    /// Where logins live between containers: dir, or `exec:CMD ARG...`, a helper for a secret store [default: dir]
    #[arg(long, value_name = "SPEC", value_parser = value::store)]
    pub store: Option<StoreChoice>,

    /// Directories of secret files [default: /run/secrets and `$CREDENTIALS_DIRECTORY`]
    #[arg(long, value_name = "DIR[:DIR]")]
    pub secrets: Option<OsString>,

    /// How a token or key reaches the agent: env, or fd where the agent reads one [default: env]
    #[arg(long, value_name = "HOW", value_enum, hide_possible_values = true)]
    pub deliver: Option<Delivery>,

    /// When a refreshed login is carried back: live, exit (at the end only) or off [default: live]
    #[arg(long, value_name = "WHEN", value_enum, hide_possible_values = true)]
    pub sync: Option<SyncMode>,

    /// Do not start without a usable credential (for these agents)
    #[arg(long, value_name = "NAME[,NAME]", value_parser = value::requirement, num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub require: Option<Requirement>,

    /// With no usable credential, wait so long for one to appear in the capture [default: 0]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub wait: Option<Duration>,

    /// As whom and where it runs.
    #[command(flatten)]
    pub workplace: WorkplaceOptions,

    /// Empty the agent's capability sets and its bounding set: on, off, or auto: if it becomes another user, not root [default: auto]
    #[arg(long, value_name = "SWITCH", value_enum, hide_possible_values = true, ignore_case = true)]
    pub drop_caps: Option<Switch>,

    /// Set `no_new_privs` in the agent: on, off, or auto: if it becomes another user, not root [default: auto]
    #[arg(long, value_name = "SWITCH", value_enum, hide_possible_values = true, ignore_case = true)]
    pub no_new_privs: Option<Switch>,

    /// Who gets forwarded signals: group or process [default: group]
    #[arg(long, value_name = "WHO", value_enum, hide_possible_values = true)]
    pub forward_to: Option<Forwarding>,

    /// Forward another signal instead, or none for FROM:0; may be repeated
    #[arg(long, value_name = "FROM:TO", value_parser = value::rewrite, value_delimiter = ',', action = clap::ArgAction::Append)]
    pub rewrite: Vec<Rewrite>,

    /// The signal that starts the stop [default: TERM]
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<Signal>,

    /// How agent-init goes about it.
    #[command(flatten)]
    pub conduct: ConductOptions,

    /// The agent's command and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// As whom an agent runs or is logged in, and in what working copy.
#[derive(Debug, Default, Clone, Args)]
pub struct WorkplaceOptions {
    /// User of the agent, by name or number, with an optional group [default: unchanged]
    #[arg(long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,

    /// Take user and group from the owner of PATH
    #[arg(long, value_name = "PATH")]
    pub user_from: Option<PathBuf>,

    /// Whether the user was not named on this command line but in a variable (an image's preset) or by the run under way.
    #[arg(skip)]
    pub user_is_preset: bool,

    /// HOME of the agent [default: the user's, else $HOME, else /tmp/agent-home]
    #[arg(long, value_name = "DIR", value_parser = PathBufValueParser::new().try_map(value::absolute))]
    pub home: Option<PathBuf>,

    /// Parent of working copies [default: the agent's own place under HOME, else the state directory]
    #[arg(long, value_name = "DIR", value_parser = PathBufValueParser::new().try_map(value::absolute))]
    pub work_dir: Option<PathBuf>,

    /// What of a captured directory is installed: login, settings or all [default: settings]
    #[arg(long, value_name = "SCOPE", value_enum, hide_possible_values = true)]
    pub scope: Option<Scope>,

    /// Answer onboarding, trust and bypass dialogs beforehand: on or off [default: on]
    #[arg(long, value_name = "BOOL", value_parser = value::boolean)]
    pub first_run: Option<bool>,

    /// Directories that are trusted from the start [default: the working directory]
    #[arg(long, value_name = "DIR[:DIR]")]
    pub trust: Option<OsString>,
}

/// How agent-init itself goes about it.
#[derive(Debug, Default, Clone, Args)]
pub struct ConductOptions {
    /// From the stop signal to our exit, all told [default: 8s]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub grace: Option<Duration>,

    /// Where state is kept [default: /run/agent-init, else $XDG_RUNTIME_DIR/agent-init, else /tmp/agent-init-UID]
    #[arg(long, value_name = "DIR", value_parser = PathBufValueParser::new().try_map(value::absolute))]
    pub state_dir: Option<PathBuf>,

    /// Form of messages: text or json [default: text]
    #[arg(long, value_name = "FORMAT", value_enum, hide_possible_values = true)]
    pub log_format: Option<LogFormat>,

    /// Say each step
    #[arg(short, long, value_name = "BOOL", value_parser = value::boolean, num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub verbose: Option<bool>,

    /// Say warnings and errors only
    #[arg(short, long, value_name = "BOOL", value_parser = value::boolean, num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub quiet: Option<bool>,
}

impl WorkplaceOptions {
    /// These options, and for what is not given the other's.
    #[must_use]
    pub fn or(self, twins: WorkplaceOptions) -> WorkplaceOptions {
        // Two ways to name the user exclude each other, so an option for one silences the twin of the other.
        let user_given = self.user.is_some() || self.user_from.is_some();
        WorkplaceOptions {
            user: self.user.or(twins.user.filter(|_| !user_given)),
            user_from: self.user_from.or(twins.user_from.filter(|_| !user_given)),
            user_is_preset: self.user_is_preset || !user_given,
            home: self.home.or(twins.home),
            work_dir: self.work_dir.or(twins.work_dir),
            scope: self.scope.or(twins.scope),
            first_run: self.first_run.or(twins.first_run),
            trust: self.trust.or(twins.trust),
        }
    }
}

impl WorkplaceOptions {
    /// These options, and for what is not given those that stand before them on the command line.
    #[must_use]
    pub fn after(self, before: WorkplaceOptions) -> WorkplaceOptions {
        // A user that either names is named on the command line; whether a variable does is not known yet.
        WorkplaceOptions { user_is_preset: false, ..self.or(before) }
    }
}

impl ConductOptions {
    /// These options, and for what is not given the other's.
    #[must_use]
    pub fn or(self, twins: ConductOptions) -> ConductOptions {
        ConductOptions {
            grace: self.grace.or(twins.grace),
            state_dir: self.state_dir.or(twins.state_dir),
            log_format: self.log_format.or(twins.log_format),
            verbose: self.verbose.or(twins.verbose),
            quiet: self.quiet.or(twins.quiet),
        }
    }
}

/// Methods in the order of preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Methods(pub Vec<Method>);

fn methods(text: &str) -> Result<Methods, String> {
    let one = |word: &str| {
        let unknown = || format!("'{word}' is no method: use oauth-token, auth-token, api-key, session or cloud");
        Method::ALL.into_iter().find(|method| method.word() == word).ok_or_else(unknown)
    };
    text.split(',').map(str::trim).map(one).collect::<Result<_, _>>().map(Methods)
}

impl RunOptions {
    /// Whether an agent's logins are synced: as they change (true) or at the end (false); `None` where they are not.
    #[must_use]
    pub fn is_synced_live(&self, agent: &str) -> Option<bool> {
        let sync = self.sync.unwrap_or_default();
        let is_synced = sync != SyncMode::Off && self.auth_of(agent) != AuthMode::Copy;
        is_synced.then_some(sync == SyncMode::Live)
    }

    /// These options, and for what is not given the other's.
    #[must_use]
    pub fn or(self, twins: RunOptions) -> RunOptions {
        RunOptions {
            agent: self.agent.or(twins.agent),
            auth: self.auth.or(twins.auth),
            prefer: self.prefer.or(twins.prefer),
            capture: self.capture.or(twins.capture),
            store: self.store.or(twins.store),
            secrets: self.secrets.or(twins.secrets),
            deliver: self.deliver.or(twins.deliver),
            sync: self.sync.or(twins.sync),
            require: self.require.or(twins.require),
            wait: self.wait.or(twins.wait),
            workplace: self.workplace.or(twins.workplace),
            drop_caps: self.drop_caps.or(twins.drop_caps),
            no_new_privs: self.no_new_privs.or(twins.no_new_privs),
            forward_to: self.forward_to.or(twins.forward_to),
            rewrite: if self.rewrite.is_empty() { twins.rewrite } else { self.rewrite },
            stop_signal: self.stop_signal.or(twins.stop_signal),
            conduct: self.conduct.or(twins.conduct),
            command: self.command,
        }
    }

    /// These options, and for what is not given those that stand before them on the command line.
    #[must_use]
    pub fn after(self, before: RunOptions) -> RunOptions {
        let workplace = self.workplace.clone().after(before.workplace.clone());
        RunOptions { workplace, ..self.or(before) }
    }

    /// Whether the user that is asked for is left aside: an image that presets one is also started as another, by `docker
    /// run --user` or with an arbitrary uid of `OpenShift`, and only root may change it.
    #[must_use]
    pub fn user_is_void(&self, current: (u32, u32)) -> bool {
        self.workplace.user_is_preset && current.0 != 0
    }

    /// These options, if they go together and there is a COMMAND.
    ///
    /// # Errors
    /// The two that do not, or the missing COMMAND.
    pub fn checked(self) -> anyhow::Result<RunOptions> {
        if self.command.is_empty() {
            let hint = format!("usage: {USAGE}; agent-init --help shows the options");
            return Err(Failure::new("no COMMAND to run").hint(hint).into());
        }
        self.compatible()
    }

    /// These options, if they go together.
    ///
    /// # Errors
    /// The two that do not.
    pub fn compatible(self) -> anyhow::Result<RunOptions> {
        if self.workplace.user.is_some() && self.workplace.user_from.is_some() {
            return Err(Failure::new("--user and --user-from are both set").hint("use one of them").into());
        }
        if self.store_helper().is_some() && self.capture.is_some() {
            let failure = Failure::new("--store exec: and --capture are both set: a login lives in one place");
            return Err(failure.hint("to move a login into the store, give it once by NAME_CREDENTIALS_FILE").into());
        }
        if self.stop_signal.is_some_and(|signal| !signal.can_be_forwarded()) {
            return Err(Failure::new("--stop-signal: a signal that cannot be caught, or SIGCHLD").into());
        }
        Ok(self)
    }

    /// The helper of the store, if it is behind one.
    #[must_use]
    pub fn store_helper(&self) -> Option<&StoreSpec> {
        match &self.store {
            Some(StoreChoice::Exec(spec)) => Some(spec),
            Some(StoreChoice::Directory) | None => None,
        }
    }

    /// The mode of authentication of an agent.
    #[must_use]
    pub fn auth_of(&self, agent: &str) -> AuthMode {
        self.auth.as_ref().and_then(|auth| auth.of(agent)).copied().unwrap_or_default()
    }

    /// The budget of the stop.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.conduct.grace.unwrap_or(Duration::from_secs(8))
    }

    /// Who writes the messages.
    #[must_use]
    pub fn reporter(&self) -> Reporter {
        let level = match (self.conduct.verbose, self.conduct.quiet) {
            (Some(true), _) => Level::Detail,
            (_, Some(true)) => Level::Warning,
            _ => Level::Notice,
        };
        Reporter { format: self.conduct.log_format.unwrap_or_default(), level, on_raw_terminal: false }
    }
}
