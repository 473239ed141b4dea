//! Completions of bash, zsh and fish. What they have in common is the walk to where the cursor is: options end at COMMAND,
//! and from there on it is COMMAND's own completions that count, as after sudo.

mod bash;
mod fish;
mod zsh;

pub use bash::script as bash;
use clap::{Arg, ArgAction, Command, ValueEnum};
pub use fish::script as fish;
pub use zsh::script as zsh;

use crate::agent::definition::Method;
use crate::cli::value::AuthMode;
use crate::cli::whole;

/// What an option or an argument takes.
enum Values {
    /// Nothing that a shell could know.
    Anything,
    /// One of these words.
    Words(Vec<String>),
    /// Names of agents, and these words.
    Agents(&'static str),
    Directories,
    Files,
    Users,
    /// A program, and its own arguments.
    Program,
}

struct Choice {
    long: String,
    short: Option<char>,
    about: String,
    values: Values,
    /// It stands alone, or takes its value after an equals sign.
    is_flag: bool,
}

struct Word {
    name: String,
    about: String,
    options: Vec<Choice>,
    /// What follows the options.
    rest: Option<Values>,
}

fn values(argument: &Arg) -> Values {
    let possible: Vec<String> =
        argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if !possible.is_empty() {
        return Values::Words(possible);
    }
    let words = |words: &[&str]| Values::Words(words.iter().map(|word| (*word).to_owned()).collect());
    let name = argument.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
    match name {
        "NAME[,NAME]" if argument.get_id() == "agent" => Values::Agents("auto none"),
        "NAME[,NAME]" | "NAME" => Values::Agents(""),
        "MODE" => Values::Words(AuthMode::value_variants().iter().map(|mode| mode.word().to_owned()).collect()),
        "METHOD[,...]" => words(&Method::ALL.map(Method::word)),
        "BOOL" => words(&["on", "off"]),
        "SIGNAL" => words(&["TERM", "INT", "HUP", "QUIT", "USR1", "USR2"]),
        "DIR" | "DIR[:DIR]" => Values::Directories,
        "PATH" => Values::Files,
        "USER[:GROUP]" => Values::Users,
        "COMMAND" => Values::Program,
        _ => Values::Anything,
    }
}

fn choice(argument: &Arg) -> Choice {
    let about = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let takes_none = matches!(argument.get_action(), ArgAction::SetTrue | ArgAction::Help | ArgAction::Version);
    Choice {
        long: argument.get_long().unwrap_or_default().to_owned(),
        short: argument.get_short(),
        about: plain(&about),
        values: if takes_none { Values::Anything } else { values(argument) },
        is_flag: takes_none || argument.is_require_equals_set(),
    }
}

/// Without what is markup to a shell or to help.
fn plain(about: &str) -> String {
    let about = about.split(" [default").next().unwrap_or_default();
    about.chars().filter(|c| !"`'\"$\\[]".contains(*c)).collect()
}

/// The commands: `run` first, whose options are also those without a command's name.
fn words() -> Vec<Word> {
    let word = |command: &Command| {
        let mut command = command.clone();
        command.build();
        let options = command.get_arguments().filter(|argument| argument.get_long().is_some());
        let rest = command.get_positionals().next();
        Word {
            name: command.get_name().to_owned(),
            about: plain(&command.get_about().map(ToString::to_string).unwrap_or_default()),
            options: options.map(choice).collect(),
            rest: rest.map(values),
        }
    };
    whole().get_subcommands().map(word).collect()
}

/// Every option once: one name means one thing in all commands.
fn every(words: &[Word]) -> Vec<&Choice> {
    let mut all: Vec<&Choice> = Vec::new();
    for option in words.iter().flat_map(|word| &word.options) {
        if !all.iter().any(|known| known.long == option.long) {
            all.push(option);
        }
    }
    all
}

/// The options whose value is the next word.
fn with_value(words: &[Word]) -> impl Iterator<Item = &Choice> {
    every(words).into_iter().filter(|option| !option.is_flag)
}

fn joined<T>(items: impl IntoIterator<Item = T>, between: &str, text: impl Fn(T) -> String) -> String {
    items.into_iter().map(text).collect::<Vec<_>>().join(between)
}

const HEAD: &str = "made from the definition of its command line; options end at COMMAND";
