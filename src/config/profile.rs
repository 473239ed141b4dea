//! The programs whose place we take when we are started under their name, so that a symbolic link replaces them (also for
//! docker's `--init-path`): their options, variables and exit statuses.
//!
//! agent-init is then a plain init. It serves no agent, and only the container's own stop limits how long COMMAND may take
//! to end.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::choices::Forwarding;
use super::command::{CommandSpec, Flags, Operand, Variables};
use super::compat::Compat;
use super::flag::Name::{Both, Short};
use super::flag::{About, Action, Flag, Group, Printed, TakenBy, Takes, Values};
use super::invalid::{Invalid, text};
use super::layers::Layers;
use super::outcome::Command;
use super::settings::{Origin, Settings};
use super::value::{self, AgentSelection};
use super::{help, reader};
use crate::env::Environment;
use crate::error::Failure;
use crate::looks::quoted;

/// A program whose place we take.
pub(crate) struct Profile {
    /// The names under which it is started.
    names: &'static [&'static str],
    pub spec: CommandSpec,
    version: &'static str,
    forward_to: Forwarding,
    exec_failure: Option<u8>,
    /// Its variables, which weigh less than its options. A value that means nothing to it is ignored.
    variables: &'static [(&'static str, fn(&mut Settings, &OsStr))],
}

/// Every one of its own failures ends in this status.
const FAILURE: u8 = 1;

const LICENSE: &str = "agent-init is licensed under MIT or Apache-2.0, at your choice.\n";

pub(crate) static PROFILES: [Profile; 2] = [
    Profile {
        names: &["tini", "tini-static", "docker-init"],
        spec: CommandSpec {
            program: "tini",
            flags: Flags::These(TINI),
            summary: "Run PROGRAM as a plain init; this is agent-init with the options of tini 0.19",
            long: "",
            usage: "tini [OPTIONS] PROGRAM -- [ARGS]",
            operand: Operand::Command { is_required: true },
            variables: Variables::None,
            exit_status: "",
            examples: &[],
        },
        // docker's daemon reads `tini version NUMBER`.
        version: concat!("tini version 0.19.0 (agent-init ", env!("CARGO_PKG_VERSION"), ")\n"),
        forward_to: Forwarding::Process,
        exec_failure: None,
        variables: &[
            ("TINI_VERBOSITY", |settings, value| {
                let level = value.to_str().and_then(|level| level.parse().ok());
                settings.tini_verbosity = level.unwrap_or(settings.tini_verbosity);
            }),
            ("TINI_KILL_PROCESS_GROUP", |settings, _| settings.run.forward_to = Forwarding::Group),
        ],
    },
    Profile {
        names: &["dumb-init"],
        spec: CommandSpec {
            program: "dumb-init",
            flags: Flags::These(DUMB_INIT),
            summary: "Run COMMAND as a plain init; this is agent-init with the options of dumb-init 1.2",
            long: "",
            usage: "dumb-init [OPTIONS] COMMAND [ARG...]",
            operand: Operand::Command { is_required: true },
            variables: Variables::None,
            exit_status: "",
            examples: &[],
        },
        version: concat!("dumb-init (agent-init ", env!("CARGO_PKG_VERSION"), ")\n"),
        forward_to: Forwarding::Group,
        exec_failure: Some(2),
        variables: &[
            ("DUMB_INIT_SETSID", |settings, value| {
                if value == "0" {
                    settings.run.forward_to = Forwarding::Process;
                }
            }),
            ("DUMB_INIT_DEBUG", |settings, value| settings.verbose |= value == "1"),
        ],
    },
];

/// An option of one of these programs.
const fn option(name: super::flag::Name, takes: Takes, short: &'static str, action: Action) -> Flag {
    Flag {
        name,
        takes,
        variable: None,
        group: Group::Process,
        taken_by: TakenBy::only(&[]),
        about: About { short, long: "", default: "" },
        about_in: &[],
        action,
    }
}

/// The options of tini 0.19, and long names for help and version.
const TINI: &[Flag] = &[
    option(Short('s'), Takes::Nothing, "Register as a subreaper (always done)", Action::Set(|_, _| Ok(()))),
    option(
        Short('p'),
        Takes::Value("SIGNAL", Values::Anything),
        "Get this signal when the parent dies",
        Action::Set(|settings, signal| {
            settings.run.compat.parent_death = Some(value::signal(text(signal)?)?);
            Ok(())
        }),
    ),
    option(
        Short('v'),
        Takes::Nothing,
        "Log more; may be repeated",
        Action::Set(|settings, _| {
            settings.tini_verbosity = settings.tini_verbosity.saturating_add(1);
            Ok(())
        }),
    ),
    option(
        Short('w'),
        Takes::Nothing,
        "Warn about each process that is reaped",
        Action::Set(|settings, _| {
            settings.run.compat.says_reaped = true;
            Ok(())
        }),
    ),
    option(
        Short('g'),
        Takes::Nothing,
        "Send signals to the process group of PROGRAM",
        Action::Set(|settings, _| {
            settings.run.forward_to = Forwarding::Group;
            Ok(())
        }),
    ),
    option(
        Short('e'),
        Takes::Value("EXIT_CODE", Values::Anything),
        "Turn this exit status into 0; may be repeated",
        Action::Set(|settings, status| {
            settings.run.compat.expected.push(exit_status(text(status)?)?);
            Ok(())
        }),
    ),
    option(Short('l'), Takes::Nothing, "Print the license", Action::Print(Printed::License)),
    option(Both('h', "help"), Takes::Nothing, "Print help", Action::Print(Printed::Help)),
    option(Both('V', "version"), Takes::Nothing, "Print the version", Action::Print(Printed::Version)),
];

/// The options of dumb-init 1.2.
const DUMB_INIT: &[Flag] = &[
    option(
        Both('c', "single-child"),
        Takes::Nothing,
        "Send signals to COMMAND alone",
        Action::Set(|settings, _| {
            settings.run.forward_to = Forwarding::Process;
            Ok(())
        }),
    ),
    option(
        Both('r', "rewrite"),
        Takes::Value("FROM:TO", Values::Anything),
        "Forward signal FROM as TO, or drop it with FROM:0; may be repeated",
        Action::Set(|settings, value| {
            settings.run.rewrite.push(value::rewrite(text(value)?)?);
            Ok(())
        }),
    ),
    option(
        Both('v', "verbose"),
        Takes::Nothing,
        "Log more",
        Action::Set(|settings, _| {
            settings.verbose = true;
            Ok(())
        }),
    ),
    option(Both('h', "help"), Takes::Nothing, "Print help", Action::Print(Printed::Help)),
    option(Both('V', "version"), Takes::Nothing, "Print the version", Action::Print(Printed::Version)),
];

fn exit_status(text: &str) -> Result<u8, Invalid> {
    text.parse().map_err(|_| {
        Invalid::new(format!("{} is not an exit status", quoted(OsStr::new(text))), "use a number from 0 to 255")
    })
}

impl Profile {
    /// The program under whose name we were started.
    pub fn of(program: &OsStr) -> Option<&'static Profile> {
        let name = Path::new(program).file_name()?.to_str()?;
        PROFILES.iter().find(|profile| profile.names.contains(&name))
    }

    /// Reads the program's own arguments and variables.
    ///
    /// # Errors
    /// What the program would refuse too, with its exit status.
    pub fn parse(&'static self, arguments: &[OsString], environment: &Environment) -> Result<Command, Failure> {
        self.command(arguments, environment).map_err(|failure| failure.exit(FAILURE))
    }

    fn command(&'static self, arguments: &[OsString], environment: &Environment) -> Result<Command, Failure> {
        let line = reader::read(&self.spec, arguments, Origin::Words)?;
        if let Some(request) = line.print {
            return Ok(Command::Print(match request.printed {
                Printed::Help => help::short(&self.spec),
                Printed::Version => self.version.to_owned(),
                Printed::License => LICENSE.to_owned(),
            }));
        }
        let mut settings = self.settings();
        for (name, set) in self.variables {
            if let Some(value) = environment.get(name) {
                set(&mut settings, value);
            }
        }
        let mut settings = Layers(vec![line.options]).resolve_from(settings)?;
        if line.words.is_empty() {
            return Err(Failure::new("no command to run").hint(format!("usage: {}", self.spec.usage)));
        }
        settings.run.command = line.words;
        Ok(Command::Run(settings.run))
    }

    /// What holds before its options are read.
    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.run.agent = AgentSelection::Nobody;
        settings.run.forward_to = self.forward_to;
        settings.run.compat =
            Compat { escalates: false, failure: FAILURE, exec_failure: self.exec_failure, ..Compat::default() };
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::super::run_config::RunConfig;
    use super::*;
    use crate::log::Level;
    use crate::sys::signal::Signal;

    fn parse(program: &str, words: &[&str], variables: &[(&str, &str)]) -> Result<RunConfig, Failure> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let environment = Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())));
        match Profile::of(OsStr::new(program)).unwrap().parse(&words, &environment)? {
            Command::Run(run) => Ok(run),
            Command::Print(text) => Err(Failure::new(text).exit(0)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names() {
        let rows = [
            ("/sbin/docker-init", Some("tini")),
            ("tini", Some("tini")),
            ("tini-static", Some("tini")),
            ("/usr/bin/dumb-init", Some("dumb-init")),
            ("agent-init", None),
            ("/", None),
        ];
        for (program, name) in rows {
            assert_eq!(Profile::of(OsStr::new(program)).map(|profile| profile.spec.program), name, "{program}");
        }
    }

    #[test]
    fn options_of_tini() {
        let run = parse("tini", &["-s", "-vv", "-w", "-g", "-e", "143", "-e3", "-p", "SIGKILL", "--", "x", "-g"], &[])
            .unwrap();
        assert_eq!(run.command, ["x", "-g"]);
        assert_eq!((run.agent, run.forward_to), (AgentSelection::Nobody, Forwarding::Group));
        assert_eq!((run.compat.expected, run.compat.parent_death), (vec![143, 3], Some(Signal::KILL)));
        assert!(run.compat.says_reaped && !run.compat.escalates && run.log.level == Level::Detail);
        assert_eq!((run.compat.failure, run.compat.exec_failure), (1, None));
        let run = parse("docker-init", &["--", "x"], &[]).unwrap();
        assert_eq!((run.forward_to, run.log.level), (Forwarding::Process, Level::Notice));
    }

    #[test]
    fn variables_of_tini() {
        let run = parse("tini", &["x"], &[("TINI_KILL_PROCESS_GROUP", ""), ("TINI_VERBOSITY", "3")]).unwrap();
        assert_eq!((run.forward_to, run.log.level), (Forwarding::Group, Level::Detail));
        // -v adds to the variable.
        let rows = [("0", "-v", Level::Notice), ("0", "-vv", Level::Detail), ("x", "-v", Level::Detail)];
        for (variable, option, level) in rows {
            let run = parse("tini", &[option, "x"], &[("TINI_VERBOSITY", variable)]).unwrap();
            assert_eq!(run.log.level, level, "{variable} {option}");
        }
    }

    #[test]
    fn options_of_dumb_init() {
        let run = parse("dumb-init", &["-c", "--rewrite", "15:2", "-r", "1:0", "-v", "x", "-v"], &[]).unwrap();
        assert_eq!(run.command, ["x", "-v"]);
        assert_eq!((run.rewrite.len(), run.forward_to), (2, Forwarding::Process));
        assert_eq!((run.compat.failure, run.compat.exec_failure), (1, Some(2)));
        assert_eq!(run.log.level, Level::Detail);
        let run = parse("dumb-init", &["x"], &[("DUMB_INIT_SETSID", "0"), ("DUMB_INIT_DEBUG", "1")]).unwrap();
        assert_eq!((run.forward_to, run.log.level), (Forwarding::Process, Level::Detail));
    }

    #[test]
    fn variables_of_ours_mean_nothing_to_them() {
        let run = parse("tini", &["x"], &[("AGENT_INIT_AGENT", "a"), ("AGENT_INIT_GRACE", "soon")]).unwrap();
        assert_eq!(run.agent, AgentSelection::Nobody);
    }

    #[test]
    fn what_they_refuse_and_print() {
        let rows: [(&str, &[&str], u8); 12] = [
            ("tini", &[], 1),
            ("tini", &["-s"], 1),
            ("tini", &["-x"], 1),
            ("tini", &["-e", "300", "x"], 1),
            ("tini", &["-e", "-1", "x"], 1),
            ("tini", &["-p", "NOPE", "x"], 1),
            ("dumb-init", &["-r", "15", "x"], 1),
            ("dumb-init", &[], 1),
            ("tini", &["--version"], 0),
            ("tini", &["-h"], 0),
            ("dumb-init", &["-V"], 0),
            ("dumb-init", &["--help"], 0),
        ];
        for (program, words, exit) in rows {
            assert_eq!(parse(program, words, &[]).map(|_| ()).unwrap_err().exit, exit, "{program} {words:?}");
        }
        let version = parse("docker-init", &["--version"], &[]).unwrap_err().what;
        assert!(version.starts_with("tini version 0.19.0 "), "{version}");
        assert!(parse("tini", &["-l"], &[]).unwrap_err().what.contains("MIT"));
    }
}
