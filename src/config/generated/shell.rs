//! What the completions of bash, zsh and fish are made from. What they have in common is the walk to where the cursor is: options end at COMMAND,
//! and from there on it is COMMAND's own completions that count, as after sudo.

use crate::config::command::{CommandSpec, Operand};
use crate::config::command_name::CommandName;
use crate::config::flag::{Flag, Takes, Values};
use crate::words::spelling::{Word, Words};

/// Prints the names of the agents, from the indented lines of `agents`.
pub const AGENT_NAMES: &str = r"agent-init agents 2>/dev/null | sed -n 's/^  \([a-z][a-z0-9-]*\)  .*/\1/p'";

/// What the shell is told of an option.
pub struct Choice {
    pub long: &'static str,
    pub short: Option<char>,
    pub about: String,
    pub values: Values,
    /// It stands alone, or takes its value after an equals sign.
    pub is_flag: bool,
}

/// What the shell is told of a command.
pub struct Entry {
    pub name: &'static str,
    pub about: String,
    pub options: Vec<Choice>,
    /// What follows the options.
    pub rest: Option<Rest>,
}

#[derive(Clone, Copy)]
pub enum Rest {
    /// One word.
    One(Values),
    /// A program and its own arguments.
    Program,
}

impl Entry {
    pub fn runs_program(&self) -> bool {
        matches!(self.rest, Some(Rest::Program))
    }
}

fn choice(flag: &Flag, spec: &CommandSpec) -> Choice {
    Choice {
        long: flag.long().unwrap_or_default(),
        short: flag.short(),
        about: plain(flag.about_in(spec.command()).short),
        values: flag.values(),
        is_flag: !matches!(flag.takes, Takes::Value(..)),
    }
}

/// Without what is markup to a shell.
fn plain(about: &str) -> String {
    about.chars().filter(|c| !"`'\"$\\[]".contains(*c)).collect()
}

/// The commands: `run` first, whose options are also those without a command's name.
pub fn entries() -> Vec<Entry> {
    let entry = |name: &CommandName| {
        let spec = name.spec();
        let rest = match spec.operand {
            Operand::None | Operand::CommandToLookAt => None,
            Operand::One { values, .. } => Some(Rest::One(values)),
            Operand::Command { .. } => Some(Rest::Program),
        };
        let options = spec.shown_flags().map(|flag| choice(flag, spec)).collect();
        Entry { name: name.word(), about: plain(summary(*name)), options, rest }
    };
    CommandName::VALUES.iter().map(entry).collect()
}

fn summary(name: CommandName) -> &'static str {
    CommandName::WORDS.iter().find(|word| word.word == name.word()).map_or("", |word| word.help)
}

/// The words of a value, separated by blanks.
pub fn separated(words: &[Word]) -> String {
    joined(words, " ", |word| word.word.to_owned())
}

/// Every option once: one name means one thing in all commands.
pub fn every(entries: &[Entry]) -> Vec<&Choice> {
    let mut all: Vec<&Choice> = Vec::new();
    for option in entries.iter().flat_map(|entry| &entry.options) {
        if !all.iter().any(|known| known.long == option.long) {
            all.push(option);
        }
    }
    all
}

/// The options whose value is the next word.
pub fn with_value(entries: &[Entry]) -> impl Iterator<Item = &Choice> {
    every(entries).into_iter().filter(|option| !option.is_flag)
}

pub fn joined<T>(items: impl IntoIterator<Item = T>, between: &str, text: impl Fn(T) -> String) -> String {
    items.into_iter().map(text).collect::<Vec<_>>().join(between)
}

pub const HEAD: &str = "made from the definition of its command line; options end at COMMAND";
