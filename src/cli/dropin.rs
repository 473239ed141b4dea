//! Pure. Started under the name of another init, it takes that program's options and keeps its exit codes, so that a
//! symbolic link replaces it (docker's `--init-path` too).
//!
//! It is then a plain init: no agent is served, and nothing but the container's own
//! stop limits how long the command may take to end.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::error::ErrorKind;
use clap::{ArgAction, Parser};

use crate::cli::explain::explain;
use crate::cli::manner::Manner;
use crate::cli::options::{ConductOptions, RunOptions};
use crate::cli::value::{AgentSelection, Forwarding, Rewrite};
use crate::cli::{Invocation, Request, value};
use crate::env::Environment;
use crate::error::Failure;
use crate::sys::signal::Signal;

/// The version of tini whose options these are. docker's daemon reads `tini version NUMBER`.
const VERSION: &str = concat!("version 0.19.0 (agent-init ", env!("CARGO_PKG_VERSION"), ")");

/// tini 0.19, which docker calls docker-init.
#[derive(Debug, Parser)]
#[command(name = "tini", version = VERSION, override_usage = "tini [OPTIONS] PROGRAM -- [ARGS]", args_override_self = true)]
struct Tini {
    /// Register as a subreaper (always done)
    #[arg(short)]
    subreaper: bool,
    /// Get this signal when our parent dies
    #[arg(short, value_name = "SIGNAL")]
    parent_death: Option<Signal>,
    /// Say more; may be repeated
    #[arg(short, action = ArgAction::Count)]
    verbosity: u8,
    /// Warn when processes are reaped
    #[arg(short)]
    warn_on_reap: bool,
    /// Send signals to the command's process group
    #[arg(short)]
    group: bool,
    /// Turn this exit status into 0; may be repeated
    #[arg(short, value_name = "EXIT_CODE", action = ArgAction::Append)]
    expect: Vec<u8>,
    /// Show the licence
    #[arg(short)]
    license: bool,
    /// The command
    #[arg(value_name = "PROGRAM", trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// dumb-init 1.2.
#[derive(Debug, Parser)]
#[command(name = "dumb-init", disable_version_flag = true, override_usage = "dumb-init [OPTIONS] COMMAND [ARG...]")]
struct DumbInit {
    /// Send signals to the command alone
    #[arg(short = 'c', long)]
    single_child: bool,
    /// Forward signal FROM as TO, 0 for none; may be repeated
    #[arg(short, long, value_name = "FROM:TO", value_parser = value::rewrite, action = ArgAction::Append)]
    rewrite: Vec<Rewrite>,
    /// Say more
    #[arg(short, long)]
    verbose: bool,
    /// Show the version
    #[arg(short = 'V', long)]
    version: bool,
    /// The command
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    command: Vec<OsString>,
}

const LICENSE: &str = "agent-init is licensed under MIT or Apache-2.0, at your choice.\n";

/// A program that we stand in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// tini, also as docker-init.
    Tini,
    /// dumb-init.
    DumbInit,
}

impl Name {
    /// By the name under which we were started.
    #[must_use]
    pub fn of(program: &OsStr) -> Option<Name> {
        match Path::new(program).file_name()?.to_str()? {
            "tini" | "tini-static" | "docker-init" => Some(Name::Tini),
            "dumb-init" => Some(Name::DumbInit),
            _ => None,
        }
    }

    fn program(self) -> &'static str {
        match self {
            Name::Tini => "tini",
            Name::DumbInit => "dumb-init",
        }
    }

    /// Its manner: nobody's stop but the container's, and its exit statuses for its own failures.
    fn manner(self) -> Manner {
        let exec_failure = match self {
            Name::Tini => None,
            Name::DumbInit => Some(2),
        };
        Manner { escalates: false, failure: 1, exec_failure, ..Manner::default() }
    }

    /// Reads the program's own arguments and variables.
    ///
    /// # Errors
    /// What the program would refuse too.
    pub fn parse(self, arguments: &[OsString], environment: &Environment) -> Result<Invocation, Failure> {
        let words = std::iter::once(OsString::new()).chain(arguments.iter().cloned());
        match self {
            Name::Tini => Tini::try_parse_from(words).map(|tini| tini.invocation(environment)),
            Name::DumbInit => DumbInit::try_parse_from(words).map(|dumb| dumb.invocation(environment)),
        }
        .unwrap_or_else(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Ok(Invocation::Beside(Request::Print(error.render().to_string())))
            }
            _ => Err(explain(&error, self.program(), None)),
        })
        .map_err(|failure| failure.exit(1))
    }
}

fn run(name: Name, options: RunOptions, manner: Manner) -> Result<Invocation, Failure> {
    if options.command.is_empty() {
        let usage = match name {
            Name::Tini => "tini [OPTIONS] PROGRAM -- [ARGS]",
            Name::DumbInit => "dumb-init [OPTIONS] COMMAND [ARG...]",
        };
        return Err(Failure::new("no command to run").hint(format!("usage: {usage}")));
    }
    Ok(Invocation::Run(options, manner))
}

impl Tini {
    fn invocation(self, environment: &Environment) -> Result<Invocation, Failure> {
        if self.license {
            return Ok(Invocation::Beside(Request::Print(LICENSE.to_owned())));
        }
        let is_set = |name: &str| environment.get(name).is_some();
        let level =
            environment.get("TINI_VERBOSITY").and_then(OsStr::to_str).and_then(|level| level.parse::<u8>().ok());
        let forward_to =
            if self.group || is_set("TINI_KILL_PROCESS_GROUP") { Forwarding::Group } else { Forwarding::Process };
        let options = RunOptions {
            agent: Some(AgentSelection::Nobody),
            forward_to: Some(forward_to),
            // tini's levels: 0 fatal, 1 warnings (the default), 2 and 3 more.
            conduct: ConductOptions {
                verbose: Some(self.verbosity + level.unwrap_or(1) > 1),
                ..ConductOptions::default()
            },
            command: self.command,
            ..RunOptions::default()
        };
        let manner = Manner {
            parent_death: self.parent_death,
            expected: self.expect,
            says_reaped: self.warn_on_reap,
            ..Name::Tini.manner()
        };
        run(Name::Tini, options, manner)
    }
}

impl DumbInit {
    fn invocation(self, environment: &Environment) -> Result<Invocation, Failure> {
        if self.version {
            return Ok(Invocation::Beside(Request::Print(format!(
                "dumb-init (agent-init {})\n",
                env!("CARGO_PKG_VERSION")
            ))));
        }
        let single = self.single_child || environment.get("DUMB_INIT_SETSID").is_some_and(|value| value == "0");
        let debug = environment.get("DUMB_INIT_DEBUG").is_some_and(|value| value == "1");
        let options = RunOptions {
            agent: Some(AgentSelection::Nobody),
            forward_to: Some(if single { Forwarding::Process } else { Forwarding::Group }),
            rewrite: self.rewrite,
            conduct: ConductOptions { verbose: Some(self.verbose || debug), ..ConductOptions::default() },
            command: self.command,
            ..RunOptions::default()
        };
        run(Name::DumbInit, options, Name::DumbInit.manner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(program: &str, words: &[&str], variables: &[(&str, &str)]) -> Result<(RunOptions, Manner), Failure> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let environment = Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())));
        match Name::of(OsStr::new(program)).unwrap().parse(&words, &environment)? {
            Invocation::Run(options, manner) => Ok((options, manner)),
            Invocation::Beside(Request::Print(text)) => Err(Failure::new(text).exit(0)),
            Invocation::Beside(request) => panic!("{request:?}"),
        }
    }

    #[test]
    fn names() {
        let rows = [
            ("/sbin/docker-init", Some(Name::Tini)),
            ("tini", Some(Name::Tini)),
            ("/usr/bin/dumb-init", Some(Name::DumbInit)),
            ("agent-init", None),
            ("/", None),
        ];
        for (program, name) in rows {
            assert_eq!(Name::of(OsStr::new(program)), name, "{program}");
        }
    }

    #[test]
    fn tinis_options() {
        let (options, manner) =
            parse("tini", &["-s", "-vv", "-w", "-g", "-e", "143", "-e", "3", "-p", "SIGKILL", "--", "x", "-g"], &[])
                .unwrap();
        assert_eq!(options.command, ["x", "-g"]);
        assert_eq!(options.forward_to, Some(Forwarding::Group));
        assert_eq!((manner.expected, manner.parent_death), (vec![143, 3], Some(Signal::KILL)));
        assert!(manner.says_reaped && !manner.escalates && options.conduct.verbose == Some(true));
        let (options, _) = parse("docker-init", &["--", "x"], &[]).unwrap();
        assert_eq!((options.forward_to, options.conduct.verbose), (Some(Forwarding::Process), Some(false)));
        let (options, _) = parse("tini", &["x"], &[("TINI_KILL_PROCESS_GROUP", ""), ("TINI_VERBOSITY", "3")]).unwrap();
        assert_eq!((options.forward_to, options.conduct.verbose), (Some(Forwarding::Group), Some(true)));
    }

    #[test]
    fn dumb_inits_options() {
        let (options, manner) =
            parse("dumb-init", &["-c", "--rewrite", "15:2", "-r", "1:0", "-v", "x", "-v"], &[]).unwrap();
        assert_eq!(options.command, ["x", "-v"]);
        assert_eq!((options.rewrite.len(), options.forward_to), (2, Some(Forwarding::Process)));
        assert_eq!((manner.failure, manner.exec_failure), (1, Some(2)));
        let (options, _) = parse("dumb-init", &["x"], &[("DUMB_INIT_SETSID", "0")]).unwrap();
        assert_eq!(options.forward_to, Some(Forwarding::Process));
    }

    #[test]
    fn what_they_refuse_and_print() {
        let rows: [(&str, &[&str], u8); 8] = [
            ("tini", &[], 1),
            ("tini", &["-x"], 1),
            ("tini", &["-e", "300", "x"], 1),
            ("tini", &["-p", "NOPE", "x"], 1),
            ("dumb-init", &["-r", "15", "x"], 1),
            ("dumb-init", &[], 1),
            ("tini", &["--version"], 0),
            ("dumb-init", &["-V"], 0),
        ];
        for (program, words, exit) in rows {
            assert_eq!(parse(program, words, &[]).map(|_| ()).unwrap_err().exit, exit, "{program} {words:?}");
        }
    }
}
