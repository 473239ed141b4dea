//! Pure. The options of the commands beside `run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, Parser, ValueHint};

use super::options::RunOptions;
use super::{Layered, value};
use crate::report::Failure;

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

    /// A login that can not be refreshed is 'expiring' so long before its end [default: 7d]
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

/// The options of `healthcheck`.
#[derive(Debug, Default, Parser)]
#[command(
    name = "agent-init healthcheck",
    about = "Exits with 0 if the agent that runs here is well, else with 1 and one line; for HEALTHCHECK and probes",
    override_usage = "agent-init healthcheck [OPTIONS]"
)]
pub struct HealthcheckOptions {
    /// Where state is kept [default: where `run` keeps it]
    #[arg(long, value_name = "DIR")]
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
    #[arg(long, value_name = "DIR")]
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
    about = "Copies this binary to PATH, whole; for an init container that gives it to an image you can not rebuild",
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
}

impl Layered for StatusOptions {
    const WARNS: bool = true;

    fn or(self, twins: StatusOptions) -> StatusOptions {
        let warn_within = self.warn_within.or(twins.warn_within);
        StatusOptions { run: self.run.or(twins.run), warn_within, json: self.json }
    }
}

impl Layered for PlanOptions {
    const WARNS: bool = true;

    fn or(self, twins: PlanOptions) -> PlanOptions {
        PlanOptions { run: self.run.or(twins.run), json: self.json }
    }
}

impl Layered for DoctorOptions {
    const WARNS: bool = true;

    fn or(self, twins: DoctorOptions) -> DoctorOptions {
        DoctorOptions { run: self.run.or(twins.run), json: self.json }
    }
}

// These two are run often, and by machines: they take their own variable and say nothing of the others.
impl Layered for HealthcheckOptions {
    const WARNS: bool = false;

    fn or(self, twins: HealthcheckOptions) -> HealthcheckOptions {
        HealthcheckOptions { state_dir: self.state_dir.or(twins.state_dir) }
    }
}

impl Layered for ExecOptions {
    const WARNS: bool = false;

    fn or(self, twins: ExecOptions) -> ExecOptions {
        ExecOptions { state_dir: self.state_dir.or(twins.state_dir), command: self.command }
    }
}
