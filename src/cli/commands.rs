//! Pure. The options of the commands beside `run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Arg, Parser, ValueHint};

use crate::cli::options::{ConductOptions, RunOptions, WorkplaceOptions};
use crate::cli::value::{AgentSelection, CaptureSpec};
use crate::cli::{Layered, value};
use crate::error::Failure;

/// What `run` does once it starts: no matter to a command that only looks.
const NOT_LOOKED_AT: &[&str] = &[
    "scope",
    "first_run",
    "trust",
    "require",
    "wait",
    "grace",
    "stop_signal",
    "rewrite",
    "forward_to",
    "drop_caps",
    "no_new_privs",
    "verbose",
    "quiet",
    "command",
];

/// `status` and `doctor` take all that `run` takes, so that one set of options gives one answer, and show what matters.
/// Their own options may follow a COMMAND.
fn only_looking(argument: Arg) -> Arg {
    let hidden = NOT_LOOKED_AT.contains(&argument.get_id().as_str());
    let argument = argument.hide(hidden);
    if argument.get_id() == "command" {
        argument.trailing_var_arg(false).value_hint(ValueHint::Unknown)
    } else {
        argument
    }
}

/// The options of `status`.
#[derive(Debug, Default, Parser)]
#[command(
    name = "agent-init status",
    about = "Shows what would authenticate each agent, from where and until when; in a running container, what does",
    override_usage = "agent-init status [OPTIONS]",
    after_help = "Exit status: 0 if every agent of --agent (without it: any agent) can authenticate, else 1.",
    disable_version_flag = true,
    mut_args(only_looking)
)]
pub struct StatusOptions {
    /// Where to look.
    #[command(flatten)]
    pub run: RunOptions,

    /// A login that cannot be refreshed is 'expiring' so long before its end [default: 7d]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub warn_within: Option<Duration>,

    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// The options of `plan`.
#[derive(Debug, Default, Parser)]
#[command(
    name = "agent-init plan",
    about = "Shows what `run` would do with the same options and COMMAND, and why; touches nothing",
    override_usage = "agent-init plan [OPTIONS] [--] COMMAND [ARG...]",
    after_help = "Exit status: 0, or 125 where `run` would refuse to start.",
    disable_version_flag = true
)]
pub struct PlanOptions {
    /// What `run` would get.
    #[command(flatten)]
    pub run: RunOptions,

    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// The options of `doctor`.
#[derive(Debug, Default, Parser)]
#[command(
    name = "agent-init doctor",
    about = "Looks for problems of mounts, owners, modes and sources, and says how to mend each",
    override_usage = "agent-init doctor [OPTIONS]",
    after_help = "Exit status: 0 if nothing is wrong, else 1.",
    disable_version_flag = true,
    mut_args(only_looking)
)]
pub struct DoctorOptions {
    /// Where to look.
    #[command(flatten)]
    pub run: RunOptions,

    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Where an option that `run` has too means something else.
fn of_a_login(argument: Arg) -> Arg {
    let help = match argument.get_id().as_str() {
        "work_dir" => "Parent of the working copy, which is new and removed at the end [default: the state directory]",
        "scope" => {
            "What is captured, and laid down of an earlier capture, beside the login: login, settings or all [default: settings]"
        }
        _ => return argument,
    };
    argument.help(help)
}

/// The options of `setup`.
#[derive(Debug, Default, Parser)]
#[command(
    name = "agent-init setup",
    about = "Logs in interactively, on a terminal, and captures the login for the containers that run the agent",
    override_usage = "agent-init setup [OPTIONS] [--] [COMMAND [ARG...]]",
    after_help = SETUP_AFTER,
    disable_version_flag = true,
    args_override_self = true,
    mut_args(of_a_login)
)]
pub struct SetupOptions {
    /// Agents to log in [default: COMMAND's, else the one that is installed, else any, in a shell]
    #[arg(long, value_name = "NAME[,NAME]", value_parser = value::agents)]
    pub agent: Option<AgentSelection>,

    /// Run the agent itself, asking for no permission, instead of its login command
    #[arg(long, value_name = "BOOL", value_parser = value::boolean, num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub auto: Option<bool>,

    /// Make a long-lived token, for containers that share no login, and capture that
    #[arg(long, value_name = "BOOL", value_parser = value::boolean, num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub token: Option<bool>,

    /// Root with one directory for each agent, or agent=DIR [default: /auth-output, else /capture, if it is there]
    #[arg(long, value_name = "DIR", value_parser = value::capture)]
    pub capture: Option<CaptureSpec>,

    /// As whom and where.
    #[command(flatten)]
    pub workplace: WorkplaceOptions,

    /// How agent-init goes about it.
    #[command(flatten)]
    pub conduct: ConductOptions,

    /// What to run instead of the agent's login command
    #[arg(value_name = "COMMAND", trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

const SETUP_AFTER: &str = "\
Every option has an environment twin: --work-dir is AGENT_INIT_WORK_DIR. The option wins.
Exit status: 0 if a login was captured, 1 if none was, 125 where nothing could be started.

Examples:
  docker run -it --rm -v login:/capture IMAGE setup
  docker run -it --rm -v login:/capture IMAGE setup --token
  docker compose run --rm setup";

impl SetupOptions {
    /// What `run` would be asked, but for the agents, the COMMAND, and what has no place in a login.
    #[must_use]
    pub fn run(&self) -> RunOptions {
        RunOptions {
            capture: self.capture.clone(),
            workplace: self.workplace.clone(),
            conduct: self.conduct.clone(),
            ..RunOptions::default()
        }
    }
}

/// The options of `healthcheck`.
#[derive(Debug, Default, Parser)]
#[command(
    name = "agent-init healthcheck",
    about = "Exits with 0 if the agent that runs here is well, else with 1 and one line; for HEALTHCHECK and probes",
    override_usage = "agent-init healthcheck [OPTIONS]"
)]
pub struct HealthcheckOptions {
    /// Where state is kept [default: where `run` keeps it]
    #[arg(long, value_name = "DIR", value_parser = PathBufValueParser::new().try_map(value::absolute))]
    pub state_dir: Option<PathBuf>,
}

/// The options of `exec`.
#[derive(Debug, Default, Parser)]
#[command(
    name = "agent-init exec",
    about = "Runs COMMAND as the running agent's user and in its environment; for `docker exec`",
    override_usage = "agent-init exec [OPTIONS] [--] COMMAND [ARG...]"
)]
pub struct ExecOptions {
    /// Where state is kept [default: where `run` keeps it]
    #[arg(long, value_name = "DIR", value_parser = PathBufValueParser::new().try_map(value::absolute))]
    pub state_dir: Option<PathBuf>,

    /// The command and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// The options of `agents`.
#[derive(Debug, Parser)]
#[command(
    name = "agent-init agents",
    about = "Shows the known agents, or one of them",
    override_usage = "agent-init agents [NAME] [--json]"
)]
pub struct AgentsOptions {
    /// The agent to show
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// The options of `install`.
#[derive(Debug, Parser)]
#[command(
    name = "agent-init install",
    about = "Copies this binary to PATH, whole; for an init container that gives it to an image you cannot rebuild",
    override_usage = "agent-init install PATH"
)]
pub struct InstallOptions {
    /// The file, or the directory that gets `agent-init`
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
}

/// The options of `completions`.
#[derive(Debug, Parser)]
#[command(
    name = "agent-init completions",
    about = "Prints the completions of a shell",
    override_usage = "agent-init completions SHELL"
)]
pub struct CompletionsOptions {
    /// bash, zsh or fish
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
}

/// A shell with completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shell {
    /// bash(1).
    Bash,
    /// zsh(1).
    Zsh,
    /// fish(1).
    Fish,
}

impl ExecOptions {
    /// These options, with a COMMAND.
    pub(super) fn checked(self) -> anyhow::Result<ExecOptions> {
        if self.command.is_empty() {
            return Err(Failure::new("no COMMAND to run")
                .hint("usage: agent-init exec [OPTIONS] [--] COMMAND [ARG...]")
                .into());
        }
        Ok(self)
    }
}

impl Layered for RunOptions {
    const WARNS: bool = true;

    fn or(self, twins: RunOptions) -> RunOptions {
        RunOptions::or(self, twins)
    }

    fn after(self, before: RunOptions) -> RunOptions {
        RunOptions::after(self, before)
    }
}

impl Layered for StatusOptions {
    const WARNS: bool = true;

    fn or(self, twins: StatusOptions) -> StatusOptions {
        let warn_within = self.warn_within.or(twins.warn_within);
        StatusOptions { run: self.run.or(twins.run), warn_within, json: self.json }
    }

    fn after(self, before: RunOptions) -> StatusOptions {
        StatusOptions { run: self.run.after(before), ..self }
    }
}

impl Layered for PlanOptions {
    const WARNS: bool = true;

    fn or(self, twins: PlanOptions) -> PlanOptions {
        PlanOptions { run: self.run.or(twins.run), json: self.json }
    }

    fn after(self, before: RunOptions) -> PlanOptions {
        PlanOptions { run: self.run.after(before), ..self }
    }
}

impl Layered for DoctorOptions {
    const WARNS: bool = true;

    fn or(self, twins: DoctorOptions) -> DoctorOptions {
        DoctorOptions { run: self.run.or(twins.run), json: self.json }
    }

    fn after(self, before: RunOptions) -> DoctorOptions {
        DoctorOptions { run: self.run.after(before), ..self }
    }
}

impl Layered for SetupOptions {
    const WARNS: bool = true;

    fn or(self, twins: SetupOptions) -> SetupOptions {
        SetupOptions {
            agent: self.agent.or(twins.agent),
            auto: self.auto.or(twins.auto),
            token: self.token.or(twins.token),
            capture: self.capture.or(twins.capture),
            workplace: self.workplace.or(twins.workplace),
            conduct: self.conduct.or(twins.conduct),
            command: self.command,
        }
    }

    fn after(self, before: RunOptions) -> SetupOptions {
        SetupOptions {
            agent: self.agent.or(before.agent),
            capture: self.capture.or(before.capture),
            workplace: self.workplace.after(before.workplace),
            conduct: self.conduct.or(before.conduct),
            ..self
        }
    }
}

// These two are run often, and by machines: they take their own variable and say nothing of the others.
impl Layered for HealthcheckOptions {
    const WARNS: bool = false;

    fn or(self, twins: HealthcheckOptions) -> HealthcheckOptions {
        HealthcheckOptions { state_dir: self.state_dir.or(twins.state_dir) }
    }

    fn after(self, before: RunOptions) -> HealthcheckOptions {
        HealthcheckOptions { state_dir: self.state_dir.or(before.conduct.state_dir) }
    }
}

impl Layered for ExecOptions {
    const WARNS: bool = false;

    fn or(self, twins: ExecOptions) -> ExecOptions {
        ExecOptions { state_dir: self.state_dir.or(twins.state_dir), command: self.command }
    }

    fn after(self, before: RunOptions) -> ExecOptions {
        ExecOptions { state_dir: self.state_dir.or(before.conduct.state_dir), ..self }
    }
}
