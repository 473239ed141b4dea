//! The words of a command line, by kind: options with their values, and what is no option.

use std::ffi::{OsStr, OsString};

use lexopt::{Arg, Error, Parser};

use super::command::CommandSpec;
use super::flag::{Action, Flag, Name, Printed, Takes};
use super::flags;
use super::layers::{Layer, Occurrence};
use super::settings::Origin;
use super::words::listed;
use crate::error::Failure;
use crate::looks;

/// What a command line says.
pub(crate) struct Line {
    pub options: Layer,
    /// The words that are not options.
    pub words: Vec<OsString>,
    /// The words follow `--`.
    pub is_separated: bool,
    /// What is to be printed instead of doing anything.
    pub print: Option<Request>,
}

/// What is to be printed, and whether the option for it was a long one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub printed: Printed,
    pub is_long: bool,
}

/// The value of an option that takes none, or may do without.
const ON: &str = "on";

/// Reads words by the options of a command. What the values mean is found later.
///
/// # Errors
/// An unknown option, a missing value, or one too many.
pub(crate) fn read(spec: &'static CommandSpec, arguments: &[OsString], origin: Origin) -> Result<Line, Failure> {
    let options = Layer { origin, spec, options: Vec::new() };
    let mut line = Line { options, words: Vec::new(), is_separated: false, print: None };
    let mut parser = Parser::from_args(arguments.iter().cloned());
    while line.print.is_none() && !line.takes_word(&mut parser) {
        let flag = match parser.next() {
            Ok(None) => break,
            Ok(Some(argument)) => line.find(&argument)?,
            Err(error) => {
                line.accept_short_value(error)?;
                continue;
            }
        };
        line.take(flag, &mut parser)?;
    }
    Ok(line)
}

impl Line {
    /// Takes the next word, if it is no option; whether that ends the options, or nothing is left.
    fn takes_word(&mut self, parser: &mut Parser) -> bool {
        loop {
            // In the middle of `-vq` there is none.
            let Some(mut rest) = parser.try_raw_args() else { return false };
            let Some(word) = rest.peek() else { return true };
            if word == "--" {
                rest.next();
                self.is_separated = true;
            } else if is_option(word) {
                return false;
            } else if !self.options.spec.ends_at_command() {
                self.words.extend(rest.next());
                continue;
            }
            self.words.extend(rest);
            return true;
        }
    }

    fn find(&self, argument: &Arg<'_>) -> Result<Found, Failure> {
        let (flag, is_long) = match argument {
            Arg::Long(name) => (self.options.spec.flags().find(|flag| flag.long() == Some(name)), true),
            Arg::Short(name) => (self.options.spec.flags().find(|flag| flag.short() == Some(*name)), false),
            Arg::Value(_) => (None, false),
        };
        let spelled = || match argument {
            Arg::Long(name) => format!("--{name}"),
            Arg::Short(name) => format!("-{name}"),
            Arg::Value(word) => word.to_string_lossy().into_owned(),
        };
        flag.map(|flag| Found { flag, is_long }).ok_or_else(|| unknown(self.options.spec, &spelled()))
    }

    fn take(&mut self, Found { flag, is_long }: Found, parser: &mut Parser) -> Result<(), Failure> {
        let value = match flag.takes {
            Takes::Optional(..) if is_long => parser.optional_value().unwrap_or_else(|| ON.into()),
            // `-vq` is two options: a value of a short one needs its equals sign, see `accept_short_value`.
            Takes::Nothing | Takes::Optional(..) => ON.into(),
            Takes::Value(placeholder, _) => match parser.optional_value() {
                Some(value) => value,
                None => next_word(parser).ok_or_else(|| self.missing(flag, placeholder))?,
            },
        };
        match flag.action {
            Action::Print(printed) => self.print = Some(Request { printed, is_long }),
            Action::Set(_) | Action::SetAfter(..) => self.options.options.push(Occurrence { flag, value }),
        }
        Ok(())
    }

    /// lexopt reports the `=off` of `-v=off` when it comes to it, and the value of an option that takes none.
    fn accept_short_value(&mut self, error: Error) -> Result<(), Failure> {
        let Error::UnexpectedValue { option, value } = error else { return Err(Failure::new(error.to_string())) };
        match self.options.options.last_mut() {
            Some(Occurrence { flag, value: slot })
                if matches!(flag.takes, Takes::Optional(..)) && !option.starts_with("--") =>
            {
                *slot = value;
                Ok(())
            }
            _ => Err(Failure::new(format!("{option} takes no value")).hint(self.see_help())),
        }
    }

    fn missing(&self, flag: &Flag, placeholder: &str) -> Failure {
        let spelled = flag.spelled();
        let equals = if flag.long().is_some() { "=" } else { "" };
        let hint = format!("{spelled} {placeholder}; a value that begins with a dash: {spelled}{equals}VALUE");
        Failure::new(format!("{spelled} needs a value")).hint(format!("{hint}; {}", self.see_help()))
    }

    fn see_help(&self) -> String {
        see_help(self.options.spec)
    }
}

struct Found {
    flag: &'static Flag,
    is_long: bool,
}

/// The next word as the value of an option. One that looks like an option is none: the value was forgotten.
fn next_word(parser: &mut Parser) -> Option<OsString> {
    parser.try_raw_args()?.next_if(|word| !is_option(word))
}

/// Whether a word is an option or `--`. A single dash is a word: many programs read standard input for it.
fn is_option(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    bytes.starts_with(b"-") && bytes != b"-"
}

fn see_help(spec: &CommandSpec) -> String {
    let program = spec.program;
    if spec.ends_at_command() {
        format!("{program} --help shows the options; those of COMMAND come after it, or after --")
    } else {
        format!("{program} --help shows the options")
    }
}

fn unknown(spec: &CommandSpec, spelled: &str) -> Failure {
    let elsewhere = flags::all().find(|flag| spec.command().is_some() && is_spelled(flag, spelled));
    let near = match (elsewhere, nearest(spec, spelled)) {
        (Some(flag), _) => {
            let commands: Vec<&str> =
                flag.taken_by.shown.iter().map(|command| crate::words::spelling::Words::word(*command)).collect();
            format!("it is an option of {}; ", listed(&commands, "and"))
        }
        (None, Some(near)) => format!("did you mean {near}? "),
        (None, None) => String::new(),
    };
    let shown = looks::shown_word(OsStr::new(spelled)).unwrap_or("(not shown)");
    Failure::new(format!("unknown option {shown}")).hint(near + &see_help(spec))
}

fn is_spelled(flag: &Flag, spelled: &str) -> bool {
    let short = |short: char| spelled.strip_prefix('-').is_some_and(|name| name.chars().eq([short]));
    match flag.name {
        Name::Short(name) => short(name),
        Name::Long(name) => spelled.strip_prefix("--") == Some(name),
        Name::Both(name, long) => short(name) || spelled.strip_prefix("--") == Some(long),
    }
}

/// The option that an unknown one is most like, if it is like any.
fn nearest(spec: &CommandSpec, spelled: &str) -> Option<String> {
    let given = spelled.strip_prefix("--")?;
    let likeness = |flag: &Flag| strsim::jaro(flag.long().unwrap_or_default(), given);
    let like = spec.shown_flags().filter(|flag| likeness(flag) > 0.7);
    like.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).map(Flag::spelled)
}
