//! Pure. Arguments and `AGENT_INIT_*` variables: the settings of one invocation.
//!
//! Options and their environment twins are parsed by the same rules, one after the other, and an option wins over its
//! twin; so an error can name the variable that it came from. Only the parser of the command that is asked is built.

mod commands;
mod dropin;
mod explain;
mod manner;
mod options;
mod twins;
mod usual;
pub(crate) mod value;

use std::ffi::{OsStr, OsString};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
pub use commands::{
    AgentsOptions, CompletionsOptions, DoctorOptions, ExecOptions, HealthcheckOptions, InstallOptions, PlanOptions,
    SetupOptions, Shell, StatusOptions,
};
pub use manner::Manner;
pub use options::{ConductOptions, RunOptions, WorkplaceOptions};
pub use twins::PREFIX as TWIN_PREFIX;
pub use value::{
    AgentSelection, AuthMode, CaptureSpec, Delivery, Forwarding, PerAgent, Requirement, Rewrite, Scope, StoreChoice,
    StoreSpec, Switch, SyncMode,
};

use crate::env::Environment;
use crate::error::Failure;
use crate::log::{Message, Reporter};

/// What was asked for.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them")]
pub enum Invocation {
    /// Run an agent.
    Run(RunOptions, Manner),
    /// Something else.
    Beside(Request),
}

/// What can be asked for beside a run.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them")]
pub enum Request {
    /// Log in, and capture the login.
    Setup(SetupOptions),
    /// Show what would authenticate the agents.
    Status(StatusOptions),
    /// Show what `run` would do.
    Plan(PlanOptions),
    /// Show what is wrong.
    Doctor(DoctorOptions),
    /// Say whether the agent that runs here is well.
    Healthcheck(HealthcheckOptions),
    /// Run a command beside the agent, as the agent.
    Exec(ExecOptions),
    /// Show the known agents.
    Agents(AgentsOptions),
    /// Copy this binary.
    Install(InstallOptions),
    /// Print a shell's completions.
    Completions(CompletionsOptions),
    /// Print this on standard output and end well.
    Print(String),
}

/// An invocation, and what its reading found worth a word.
#[derive(Debug)]
pub struct Parsed {
    /// What was asked for.
    pub invocation: Invocation,
    /// Variables that are set in vain.
    pub warnings: Vec<Message>,
}

impl Parsed {
    /// In which manner a run is to be.
    #[must_use]
    pub fn manner(&self) -> Manner {
        match &self.invocation {
            Invocation::Run(_, manner) => manner.clone(),
            Invocation::Beside(_) => Manner::default(),
        }
    }

    /// Who writes the messages.
    #[must_use]
    pub fn reporter(&self) -> Reporter {
        match &self.invocation {
            Invocation::Run(run, _) => run.reporter(),
            Invocation::Beside(request) => request.reporter(),
        }
    }
}

impl Request {
    #[cold]
    #[inline(never)]
    fn reporter(&self) -> Reporter {
        match self {
            Request::Plan(PlanOptions { run, .. })
            | Request::Status(StatusOptions { run, .. })
            | Request::Doctor(DoctorOptions { run, .. }) => run.reporter(),
            Request::Setup(setup) => setup.run().reporter(),
            _ => RunOptions::default().reporter(),
        }
    }
}

/// The commands that are named by a first word; any other first word is the agent's COMMAND.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Run,
    Setup,
    Status,
    Plan,
    Doctor,
    Healthcheck,
    Exec,
    Agents,
    Install,
    Completions,
}

const WORDS: [(&str, Word); 10] = [
    ("run", Word::Run),
    ("setup", Word::Setup),
    ("status", Word::Status),
    ("plan", Word::Plan),
    ("doctor", Word::Doctor),
    ("healthcheck", Word::Healthcheck),
    ("exec", Word::Exec),
    ("agents", Word::Agents),
    ("install", Word::Install),
    ("completions", Word::Completions),
];

/// Reads arguments and environment. `program`: the name under which we were started.
///
/// # Errors
/// A [`Failure`] that names the option or variable and what it takes.
pub fn parse(program: &OsStr, arguments: &[OsString], environment: &Environment) -> anyhow::Result<Parsed> {
    if let Some(other) = dropin::Name::of(program) {
        return in_place_of(other, arguments, environment);
    }
    let Split { word, before, words } = command_of(arguments);
    let mut reader = Reader { word, before, words, environment, warnings: Vec::new() };
    match reader.invocation() {
        Ok(invocation) => Ok(Parsed { invocation, warnings: reader.warnings }),
        Err(Stop::Print(text)) => {
            Ok(Parsed { invocation: Invocation::Beside(Request::Print(text)), warnings: Vec::new() })
        }
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// As another program; apart, for its frame is large.
#[cold]
#[inline(never)]
fn in_place_of(other: dropin::Name, arguments: &[OsString], environment: &Environment) -> anyhow::Result<Parsed> {
    Ok(Parsed { invocation: other.parse(arguments, environment)?, warnings: Vec::new() })
}

/// Options of `run` that take no value, or one behind `=` alone. Every other long one may have its value as the next word;
/// a short one never.
const WITHOUT_VALUE: [&str; 5] = ["--require", "--verbose", "--quiet", "--help", "--version"];

/// Arguments, split at the name of a command.
struct Split<'a> {
    word: Word,
    /// Options of `run` before the name.
    before: &'a [OsString],
    /// What is left for the command.
    words: &'a [OsString],
}

/// A name counts as the first word, and as the first one after options of `run`, with which an image's ENTRYPOINT may end.
/// Without one all of it is `run`'s, and so is what has `--` before it.
fn command_of(arguments: &[OsString]) -> Split<'_> {
    let named = |at: usize| {
        let (before, rest) = arguments.split_at_checked(at)?;
        let (name, words) = rest.split_first()?;
        let (_, word) = WORDS.into_iter().find(|(known, _)| name == known)?;
        Some(Split { word, before, words })
    };
    named(options_end(arguments)).unwrap_or(Split { word: Word::Run, before: &[], words: arguments })
}

/// Where the options at the beginning end; whether each is one, is found where they are read.
fn options_end(arguments: &[OsString]) -> usize {
    let mut at = 0;
    while let Some(bytes) = arguments.get(at).map(|word| word.as_encoded_bytes()) {
        if !bytes.starts_with(b"-") || bytes == b"-" || bytes == b"--" {
            break;
        }
        let is_alone = !bytes.starts_with(b"--")
            || bytes.contains(&b'=')
            || WITHOUT_VALUE.iter().any(|option| option.as_bytes() == bytes);
        at += if is_alone { 1 } else { 2 };
    }
    at
}

/// Why there is no invocation.
enum Stop {
    /// Help or version was asked for.
    Print(String),
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Stop {
        Stop::Failed(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure.into())
    }
}

/// Options that have environment twins.
trait Layered: Parser + Default {
    /// Whether a variable of our prefix that is no twin is worth a warning.
    const WARNS: bool;

    /// These options, and for what is not given the other's.
    #[must_use]
    fn or(self, twins: Self) -> Self;

    /// These options, and for what is not given those of `run` before the command's name, as far as they mean something to
    /// it.
    #[must_use]
    fn after(self, before: RunOptions) -> Self;
}

struct Reader<'r> {
    word: Word,
    before: &'r [OsString],
    words: &'r [OsString],
    environment: &'r Environment,
    warnings: Vec<Message>,
}

impl Reader<'_> {
    fn invocation(&mut self) -> Result<Invocation, Stop> {
        if self.word != Word::Run {
            return self.request().map(Invocation::Beside);
        }
        let options = match usual::words(self.words).filter(|_| self.before.is_empty()) {
            Some(options) => options,
            None => self.parse(self.before.iter().chain(self.words))?,
        };
        let options = match usual::twins(self.environment) {
            Some(twins) => options.or(twins),
            None => self.with_twins(options)?,
        };
        Ok(Invocation::Run(options.checked()?, Manner::default()))
    }

    /// Apart, so that a start does not touch the pages of what it does not need.
    #[cold]
    #[inline(never)]
    fn request(&mut self) -> Result<Request, Stop> {
        Ok(match self.word {
            Word::Plan => {
                let PlanOptions { run, json } = self.layered()?;
                Request::Plan(PlanOptions { run: run.checked()?, json })
            }
            Word::Status => {
                let options: StatusOptions = self.layered()?;
                Request::Status(StatusOptions { run: options.run.compatible()?, ..options })
            }
            Word::Doctor => {
                let DoctorOptions { run, json } = self.layered()?;
                Request::Doctor(DoctorOptions { run: run.compatible()?, json })
            }
            Word::Healthcheck => Request::Healthcheck(self.layered()?),
            Word::Exec => Request::Exec(self.layered::<ExecOptions>()?.checked()?),
            Word::Agents => Request::Agents(self.arguments()?),
            Word::Install => Request::Install(self.arguments()?),
            Word::Completions => Request::Completions(self.arguments()?),
            Word::Setup => {
                let options: SetupOptions = self.layered()?;
                options.run().compatible()?;
                self.no_store()?;
                Request::Setup(options)
            }
            Word::Run => return Err(Failure::new("'run' is no command beside a run").into()),
        })
    }

    /// `setup` captures into a directory: a login that went there while runs look into a store would be missed.
    fn no_store(&self) -> Result<(), Stop> {
        let name = twins::name("store");
        let by_variable = self.environment.get_filled(&name).filter(|store| *store != "dir");
        let given = match (self.before()?.store, by_variable) {
            (Some(StoreChoice::Exec(_)), _) => "--store",
            (None, Some(_)) => &name,
            (Some(StoreChoice::Directory), _) | (None, None) => return Ok(()),
        };
        let what = format!("setup captures into a directory, and {given} names a store");
        let hint = format!(
            "leave it out, mount a directory, and carry the login over then: NAME_CREDENTIALS_FILE=FILE {name}=... \
             agent-init --agent NAME -- true"
        );
        Err(Failure::new(what).hint(hint).into())
    }

    /// The options of `run` before the command's name.
    fn before(&self) -> Result<RunOptions, Stop> {
        if self.before.is_empty() { Ok(RunOptions::default()) } else { self.parse(self.before) }
    }

    /// What one command alone takes; the options of `run` before its name mean nothing to it.
    fn arguments<T: Parser>(&self) -> Result<T, Stop> {
        self.before()?;
        self.parse(self.words)
    }

    /// Apart, for its frame is large, and each page of a stack costs a start a fault.
    #[inline(never)]
    fn parse<'w, T: Parser>(&self, words: impl IntoIterator<Item = &'w OsString>) -> Result<T, Stop> {
        T::try_parse_from(with_program(words)).map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp if T::command().get_name() == WHOLE => {
                Stop::Print(whole().render_help().to_string())
            }
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Print(error.render().to_string()),
            _ => explain::explain(&error, &self.program(), None).into(),
        })
    }

    /// Arguments, and for what they leave open the options before the command's name, and then the environment's twins.
    fn layered<T: Layered>(&mut self) -> Result<T, Stop> {
        let options: T = self.parse(self.words)?;
        let options = options.after(self.before()?);
        self.with_twins(options)
    }

    fn with_twins<T: Layered>(&mut self, options: T) -> Result<T, Stop> {
        let (twins, warnings) = twins::words(self.environment, T::command);
        if T::WARNS {
            self.warnings = warnings;
        }
        if twins.is_empty() { Ok(options) } else { self.or_twins(options, &twins) }
    }

    #[cold]
    #[inline(never)]
    fn or_twins<T: Layered>(&self, options: T, twins: &[OsString]) -> Result<T, Stop> {
        let twins = T::try_parse_from(with_program(twins))
            .map_err(|error| explain::explain(&error, &self.program(), Some(twins::name)))?;
        Ok(options.or(twins))
    }

    /// What shows the help of this command.
    fn program(&self) -> String {
        let name = WORDS.iter().find(|(_, word)| *word == self.word && *word != Word::Run);
        name.map_or_else(|| "agent-init".to_owned(), |(name, _)| format!("agent-init {name}"))
    }
}

/// The program's name, and that of the parser of `run`'s options.
const WHOLE: &str = "agent-init";

/// The words after the one that clap expects before them.
fn with_program<'w>(words: impl IntoIterator<Item = &'w OsString>) -> impl Iterator<Item = OsString> {
    std::iter::once(OsString::from(WHOLE)).chain(words.into_iter().cloned())
}

/// The whole command line: for the help, the manual pages and the completions, which nobody waits for.
#[must_use]
pub fn whole() -> clap::Command {
    RunOptions::command().disable_help_subcommand(true).subcommands([
        RunOptions::command()
            .name("run")
            .about("Runs COMMAND with its agent's login: what is done without a command's name"),
        SetupOptions::command().name("setup"),
        StatusOptions::command().name("status"),
        PlanOptions::command().name("plan"),
        DoctorOptions::command().name("doctor"),
        HealthcheckOptions::command().name("healthcheck"),
        ExecOptions::command().name("exec"),
        AgentsOptions::command().name("agents"),
        InstallOptions::command().name("install"),
        CompletionsOptions::command().name("completions"),
    ])
}

#[cfg(test)]
mod generated;
#[cfg(test)]
mod tests;
