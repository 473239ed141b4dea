//! Pure. Arguments and `AGENT_INIT_*` variables: the settings of one invocation.
//!
//! Options and their environment twins are parsed by the same rules, one after the other, and an option wins over its
//! twin; so an error can name the variable that it came from.

mod dropin;
mod options;
pub(crate) mod value;

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};

pub use options::RunOptions;
pub use value::{
    AgentSelection, AuthMode, CaptureSpec, Delivery, Forwarding, PerAgent, Requirement, Rewrite, Scope, Switch,
    SyncMode,
};

use crate::discover::Environment;
use crate::report::{EXIT_FAILURE, Failure, Message};
use crate::sys::signal::Signal;

/// The commands that are named by a first word; any other first word is the agent's COMMAND.
const COMMANDS: &[&str] = &["run", "setup", "status", "plan", "doctor", "healthcheck", "exec", "agents", "install"];

/// The prefix of the environment twins.
pub const TWIN_PREFIX: &str = "AGENT_INIT_";

/// What was asked for.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them")]
pub enum Invocation {
    /// Run an agent.
    Run(RunOptions, Manner, Vec<Message>),
    /// Print this on standard output and end well.
    Print(String),
}

/// What the name under which we were started changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manner {
    /// The stop signal starts a stop within a budget, and a second one kills. Else signals are passed on and no more.
    pub escalates: bool,
    /// The signal that we want when our parent dies.
    pub parent_death: Option<Signal>,
    /// Exit statuses of COMMAND that become 0.
    pub expected: Vec<u8>,
    /// Reaping is worth a warning.
    pub says_reaped: bool,
    /// The exit status of our own failures.
    pub failure: u8,
    /// The exit status when COMMAND can not be executed; else 127 or 126.
    pub exec_failure: Option<u8>,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner {
            escalates: true,
            parent_death: None,
            expected: Vec::new(),
            says_reaped: false,
            failure: EXIT_FAILURE,
            exec_failure: None,
        }
    }
}

impl Manner {
    /// The exit status for a failure.
    #[must_use]
    pub fn exit_status(&self, failure: u8) -> u8 {
        if failure == EXIT_FAILURE { self.failure } else { self.exec_failure.unwrap_or(failure) }
    }
}

/// Reads arguments and environment. `program`: the name under which we were started.
///
/// # Errors
/// A [`Failure`] that names the option or variable and what it takes.
pub fn parse(program: &OsStr, arguments: &[OsString], environment: &Environment) -> anyhow::Result<Invocation> {
    if let Some(other) = dropin::Name::of(program) {
        return Ok(other.parse(arguments, environment)?);
    }
    let words = without_command(arguments)?;
    let parsed = match without_options(words) {
        Some(command) => Ok(RunOptions { command: command.to_vec(), ..RunOptions::default() }),
        None => RunOptions::try_parse_from(with_program(words)),
    };
    let options = match parsed {
        Ok(options) => options,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Invocation::Print(error.render().to_string()));
        }
        Err(error) => return Err(explain(&error, None).into()),
    };
    let (twins, warnings) = twins(environment);
    let twins = if twins.is_empty() { RunOptions::default() } else { parse_twins(&twins)? };
    let options = options.or(twins).checked()?;
    Ok(Invocation::Run(options, Manner::default(), warnings))
}

/// The words without the name of the command; none is `run`.
fn without_command(arguments: &[OsString]) -> anyhow::Result<&[OsString]> {
    let Some((first, rest)) = arguments.split_first() else { return Ok(arguments) };
    match first.to_str().filter(|word| COMMANDS.contains(word)) {
        None => Ok(arguments),
        Some("run") => Ok(rest),
        Some(command) => Err(Failure::new(format!("the command '{command}' is not in this version"))
            .hint(format!("to run a program of that name: agent-init -- {command}"))
            .into()),
    }
}

/// COMMAND, where no option precedes it: the usual start, and clap would take a tenth of its time to find that out.
fn without_options(words: &[OsString]) -> Option<&[OsString]> {
    let (first, rest) = words.split_first()?;
    let command = if first == "--" { rest } else { words };
    (!command.is_empty() && (first == "--" || !first.as_encoded_bytes().starts_with(b"-"))).then_some(command)
}

/// The words after the one that clap expects before them.
fn with_program(words: &[OsString]) -> impl Iterator<Item = OsString> {
    std::iter::once(OsString::from("agent-init")).chain(words.iter().cloned())
}

/// The environment's twins as `--name=value` words, and a warning for each variable that is none.
fn twins(environment: &Environment) -> (Vec<OsString>, Vec<Message>) {
    let mut words = Vec::new();
    let mut warnings = Vec::new();
    let set: Vec<&str> =
        environment.names().filter_map(OsStr::to_str).filter(|name| name.starts_with(TWIN_PREFIX)).collect();
    if set.is_empty() {
        return (words, warnings);
    }
    let command = RunOptions::command();
    let known: Vec<(String, &str)> =
        command.get_arguments().filter_map(|arg| arg.get_long()).map(|long| (twin_of(long), long)).collect();
    for name in set {
        let Some((_, long)) = known.iter().find(|(twin, _)| twin == name) else {
            let nearest = known.iter().max_by(|(a, _), (b, _)| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
            let hint = nearest.map(|(twin, _)| format!("did you mean {twin}?")).unwrap_or_default();
            warnings.push(Message::warning(format!("unknown variable {name} is ignored")).hint(hint));
            continue;
        };
        // Compose writes an empty value for what is not set.
        if let Some(value) = environment.get_filled(name) {
            let mut word = OsString::from(format!("--{long}="));
            word.push(value);
            words.push(word);
        }
    }
    (words, warnings)
}

/// `work-dir` -> `AGENT_INIT_WORK_DIR`.
fn twin_of(long: &str) -> String {
    format!("{TWIN_PREFIX}{}", long.to_ascii_uppercase().replace('-', "_"))
}

fn parse_twins(words: &[OsString]) -> anyhow::Result<RunOptions> {
    RunOptions::try_parse_from(with_program(words)).map_err(|error| explain(&error, Some(twin_of)).into())
}

/// Clap's finding in our form. `name` turns an option into the name by which it was given.
fn explain(error: &clap::Error, name: Option<fn(&str) -> String>) -> Failure {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let long = argument.split([' ', '=', '[']).next().unwrap_or_default();
    let given = name.map_or_else(|| long.to_owned(), |name| name(long.trim_start_matches('-')));
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let usage = "agent-init --help shows the options; what belongs to COMMAND comes after it, or after --";
    match error.kind() {
        ErrorKind::InvalidValue if value.is_empty() => Failure::new(format!("{given} needs a value")).hint(usage),
        ErrorKind::InvalidValue => {
            let forms = text(ContextKind::ValidValue).map(|forms| format!("use one of: {forms}"));
            Failure::new(format!("{given}: '{value}' is not accepted")).hint(forms.unwrap_or_else(|| usage.to_owned()))
        }
        ErrorKind::ValueValidation => {
            Failure::new(format!("{given}: '{value}' is not accepted: {}", cause.unwrap_or_default())).hint(usage)
        }
        ErrorKind::UnknownArgument => {
            let near = text(ContextKind::SuggestedArg).map(|near| format!("did you mean {near}? "));
            Failure::new(format!("unknown option {given}")).hint(near.unwrap_or_default() + usage)
        }
        _ => {
            let rendered = error.render().to_string();
            let first = rendered.lines().next().unwrap_or_default().trim_start_matches("error: ");
            Failure::new(first).hint(usage)
        }
    }
}

#[cfg(test)]
mod tests;
