//! From arguments and environment to a command with its configuration.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::choices::Shell;
use super::command::{self, CommandSpec, Operand};
use super::command_name::CommandName;
use super::compat::Compat;
use super::flag::Printed;
use super::layers::{Layers, refuse_store};
use super::outcome::{
    AgentsConfig, Command, DoctorConfig, ExecConfig, HealthcheckConfig, HistoryConfig, InitConfig, Inspection,
    KeepConfig, PlanConfig, SetupConfig, StatusConfig, StatusForm,
};
use super::profile::Profile;
use super::reader::{Line, Request};
use super::run_config::{LogConfig, RunConfig};
use super::settings::{Origin, Settings};
use super::{help, reader, variables, words};
use crate::env::Environment;
use crate::error::Failure;
use crate::log::{Message, Reporter};
use crate::looks::quoted;
use crate::words::spelling::Words;

impl InitConfig {
    /// Reads the command line of PID 1, if that is a run or a keeper of ours.
    pub fn of(command_line: &[OsString]) -> Option<InitConfig> {
        let (program, arguments) = command_line.split_first()?;
        if Path::new(program).file_name() != Some(OsStr::new("agent-init")) {
            return None;
        }
        let mut read = Read::of(arguments, &Environment::default()).ok()?;
        for layer in &mut read.layers.0 {
            layer.origin = Origin::Init;
        }
        let (run, is_keeper) = match read.command().ok()? {
            Command::Run(run) | Command::Serve(run) => (run, false),
            Command::Keep(KeepConfig { run, .. }) => (run, true),
            _ => return None,
        };
        Some(InitConfig { run, is_keeper, layers: read.layers })
    }
}

/// A command, and what is to be said before it is carried out.
#[derive(Debug)]
pub struct Parsed {
    /// What is to be done.
    pub command: Command,
    /// What is said on standard error, and how.
    pub log: LogConfig,
    /// Variables that have no effect.
    pub warnings: Vec<Message>,
}

impl Parsed {
    /// What is different under the name of another init.
    pub fn compat(&self) -> Compat {
        match &self.command {
            Command::Run(run) => run.compat.clone(),
            _ => Compat::default(),
        }
    }

    /// Who writes the messages.
    pub fn reporter(&self) -> Reporter {
        self.log.reporter()
    }
}

/// Reads arguments and environment. `program`: the name under which we were started.
///
/// # Errors
/// A [`Failure`] that names the option or variable and says what it takes.
pub fn parse(program: &OsStr, arguments: &[OsString], environment: &Environment) -> anyhow::Result<Parsed> {
    if let Some(profile) = Profile::of(program) {
        let command = profile.parse(arguments, environment)?;
        let log = command.log();
        return Ok(Parsed { command, log, warnings: Vec::new() });
    }
    let read = Read::of(arguments, environment)?;
    let command = read.command()?;
    let log = command.log();
    Ok(Parsed { command, log, warnings: read.warnings })
}

/// What was read, before it is given its meaning.
struct Read {
    name: CommandName,
    layers: Layers,
    /// The words that are not options.
    words: Vec<OsString>,
    print: Option<Request>,
    warnings: Vec<Message>,
}

impl Read {
    /// Finds the command: the first word that is no option may be its name, unless `--` is before it. The options before the
    /// name are those of `run`, so that an image's ENTRYPOINT may have some, and count as far as the command takes them.
    fn of(arguments: &[OsString], environment: &Environment) -> Result<Read, Failure> {
        let first = reader::read(&command::RUN, arguments, Origin::Words)?;
        let (name, lines) = match named(&first) {
            None => (CommandName::Run, vec![first]),
            Some((name, words)) => {
                let line = reader::read(name.spec(), words, Origin::Words)?;
                (name, vec![before(name, first)?, line])
            }
        };
        let (variables, warnings) = variables::read(name.spec(), environment)?;
        let mut read = Read { name, layers: Layers(vec![variables]), words: Vec::new(), print: None, warnings };
        for line in lines {
            read.layers.0.push(line.options);
            read.words = line.words;
            read.print = line.print;
        }
        Ok(read)
    }

    fn spec(&self) -> &'static CommandSpec {
        self.name.spec()
    }

    fn command(&self) -> Result<Command, Failure> {
        if let Some(request) = self.print {
            return Ok(Command::Print(printed(self.spec(), request)));
        }
        let mut settings = self.layers.resolve()?;
        if self.name == CommandName::Setup {
            refuse_store(&settings, &self.layers)?;
        }
        settings.check()?;
        let operand = self.operand()?;
        settings.run.command.clone_from(&self.words);
        let form = StatusForm::of(&settings);
        let Settings { run, auto, token, before, once, idle, json, .. } = settings;
        Ok(match self.name {
            CommandName::Run => Command::Run(run),
            CommandName::Serve if idle => Command::Idle,
            CommandName::Serve => Command::Serve(run),
            CommandName::Setup => Command::Setup(SetupConfig { run, auto, token }),
            CommandName::Keep => Command::Keep(KeepConfig { run, before, once }),
            CommandName::Status => Command::Status(StatusConfig { inspection: self.inspection(run), form }),
            CommandName::History => Command::History(HistoryConfig { inspection: self.inspection(run), json }),
            CommandName::Plan => Command::Plan(PlanConfig { run, json }),
            CommandName::Doctor => Command::Doctor(DoctorConfig { inspection: self.inspection(run), json }),
            CommandName::Healthcheck => {
                Command::Healthcheck(HealthcheckConfig { state_dir: run.state_dir, warn_within: run.warn_within })
            }
            CommandName::Exec => Command::Exec(ExecConfig { state_dir: run.state_dir, command: run.command }),
            CommandName::Agents => {
                Command::Agents(AgentsConfig { name: operand.map(|name| self.text(name)).transpose()?, json })
            }
            CommandName::Install => Command::Install(operand.map(PathBuf::from).unwrap_or_default()),
            CommandName::Completions => Command::Completions(self.shell(operand)?),
            CommandName::Help => Command::Print(help::long(self.explained(operand)?)),
            CommandName::Version => Command::Print(VERSION.to_owned()),
        })
    }

    fn inspection(&self, run: RunConfig) -> Inspection {
        Inspection { run, layers: self.layers.clone() }
    }

    /// The one word of commands that take one, and a failure if there are too few or too many words.
    fn operand(&self) -> Result<Option<&OsString>, Failure> {
        let spec = self.spec();
        let missing = |what: String| Failure::new(what).hint(format!("usage: {}; {} --help", spec.usage, spec.program));
        let unexpected = |word: &OsString| {
            let what = format!("unexpected word {}", quoted(word));
            Failure::new(what).hint(format!("usage: {}", spec.usage))
        };
        match (spec.operand, self.words.as_slice()) {
            (Operand::Command { is_required: true }, []) => Err(missing("no COMMAND to run".to_owned())),
            (Operand::Command { .. } | Operand::CommandToLookAt, _) | (Operand::None, []) => Ok(None),
            (Operand::None, [word, ..]) | (Operand::One { .. }, [_, word, ..]) => Err(unexpected(word)),
            (Operand::One { name, is_required: true, .. }, []) => Err(missing(format!("{name} is missing"))),
            (Operand::One { .. }, words) => Ok(words.first()),
        }
    }

    fn text(&self, word: &OsStr) -> Result<String, Failure> {
        let refused = || Failure::new("the word is not valid UTF-8");
        word.to_str().map(str::to_owned).ok_or_else(|| refused().hint(format!("usage: {}", self.spec().usage)))
    }

    fn shell(&self, operand: Option<&OsString>) -> Result<Shell, Failure> {
        self.one_of(operand.map(OsString::as_os_str).unwrap_or_default())
    }

    /// The command whose help is asked for.
    fn explained(&self, operand: Option<&OsString>) -> Result<&'static CommandSpec, Failure> {
        let name = operand.map(|word| self.one_of::<CommandName>(word)).transpose()?;
        Ok(name.unwrap_or(CommandName::Run).spec())
    }

    fn one_of<T: Words>(&self, word: &OsStr) -> Result<T, Failure> {
        words::parse(&self.text(word)?).map_err(|invalid| Failure::new(invalid.what).hint(invalid.hint))
    }
}

/// What `--version` prints.
const VERSION: &str = concat!("agent-init ", env!("CARGO_PKG_VERSION"), "\n");

/// The command that a line names, and its words.
fn named(line: &Line) -> Option<(CommandName, &[OsString])> {
    let (name, words) = line.words.split_first().filter(|_| !line.is_separated)?;
    Some((words::parse(name.to_str()?).ok()?, words))
}

/// The options of `run` before the name of a command: all of them are read, and those that the command takes count.
fn before(name: CommandName, line: Line) -> Result<Line, Failure> {
    let mut line = line;
    line.options.origin = Origin::BeforeCommand;
    Settings::default().apply(&line.options)?;
    line.options.options.retain(|option| option.flag.is_taken_by(name));
    Ok(line)
}

fn printed(spec: &CommandSpec, Request { printed, is_long }: Request) -> String {
    match printed {
        Printed::Help if is_long => help::long(spec),
        Printed::Help => help::short(spec),
        Printed::Version | Printed::License => VERSION.to_owned(),
    }
}
