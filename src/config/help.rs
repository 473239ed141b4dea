//! Help: `-h` is one line an option, `--help` is everything. Nothing is wider than 80 columns.

use super::command::{CommandSpec, Variables};
use super::command_name::CommandName;
use super::flag::{Flag, Group, Name, Takes, Values};
use crate::words::spelling::Words;

const WIDTH: usize = 80;
/// Where the text of an option begins in `--help`.
const INDENT: usize = 10;
/// The widest option that has its text on the same line in `-h`.
const WIDEST: usize = 28;

/// What `-h` prints.
pub(crate) fn short(spec: &CommandSpec) -> String {
    let lefts = spec.shown_flags().map(|flag| left(flag).len()).filter(|width| *width <= WIDEST);
    let column = lefts.max().unwrap_or_default() + 2;
    let one_line = |flag: &'static Flag| row(&left(flag), flag.about_in(spec.command()).short, column);
    let mut sections = vec![wrapped(spec.summary, 0), usage(spec)];
    sections.extend(commands(spec));
    for (title, group) in groups(spec) {
        sections.push(format!("{title}:\n{}", of_group(spec, group).map(one_line).collect::<String>()));
    }
    sections.extend(more(spec));
    sections.join("\n")
}

/// What `--help` prints.
pub(crate) fn long(spec: &CommandSpec) -> String {
    let mut sections = vec![wrapped(spec.summary, 0), usage(spec), wrapped(spec.long, 0)];
    sections.extend(commands(spec));
    for (title, group) in groups(spec) {
        let entries: Vec<String> = of_group(spec, group).map(|flag| entry(flag, spec)).collect();
        sections.push(format!("{title}:\n{}", entries.join("\n")));
    }
    if !spec.exit_status.is_empty() {
        sections.push(format!("Exit status:\n{}", wrapped(spec.exit_status, 2)));
    }
    if !spec.examples.is_empty() {
        sections.push(format!("Examples:\n  {}\n", spec.examples.join("\n  ")));
    }
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}

fn of_group(spec: &CommandSpec, group: Option<Group>) -> impl Iterator<Item = &'static Flag> + use<> {
    spec.shown_flags().filter(move |flag| group.is_none_or(|group| flag.group == group))
}

fn usage(spec: &CommandSpec) -> String {
    format!("Usage: {}\n", spec.usage)
}

/// Where there is more to read; nothing for a program that has no long help.
fn more(spec: &CommandSpec) -> Option<String> {
    spec.command()?;
    let variables = match spec.variables {
        Variables::None => "",
        Variables::Own | Variables::OwnAndWarn => {
            "Options have environment variables: --work-dir is AGENT_INIT_WORK_DIR.\n\n"
        }
    };
    Some(wrapped(&format!("{variables}{} --help explains everything.", spec.program), 0).replace("\n\n", "\n"))
}

/// The headings of a page, with the group of options under each; one for all where there are few.
pub(super) fn groups(spec: &CommandSpec) -> Vec<(&'static str, Option<Group>)> {
    if spec.shown_flags().count() < 10 {
        return vec![("Options", None)];
    }
    let has_any = |group: &Group| spec.shown_flags().any(|flag| flag.group == *group);
    let groups = Group::ALL.into_iter().filter(has_any);
    groups.map(|group| (group.title(), Some(group))).collect()
}

/// The commands, for the page of the whole program.
fn commands(spec: &CommandSpec) -> Option<String> {
    spec.command().filter(|command| *command == CommandName::Run)?;
    let rows = CommandName::WORDS.iter().map(|word| row(&format!("  {}", word.word), word.help, 16));
    Some(format!("Commands:\n{}", rows.collect::<String>()))
}

/// An option with its placeholder: `  -q, --quiet[=BOOL]`.
fn left(flag: &Flag) -> String {
    let name = match flag.name {
        Name::Short(short) => format!("  -{short}"),
        Name::Both(short, long) => format!("  -{short}, --{long}"),
        Name::Long(long) => format!("      --{long}"),
    };
    name + &placeholder(flag)
}

pub(super) fn placeholder(flag: &Flag) -> String {
    match flag.takes {
        Takes::Nothing => String::new(),
        Takes::Optional(value, _) => format!("[={value}]"),
        Takes::Value(value, _) => format!(" {value}"),
    }
}

/// Two columns; a left one that is too wide has a line for itself.
fn row(left: &str, right: &str, column: usize) -> String {
    let right = wrapped(right, column);
    match right.get(left.len() + 1..).filter(|_| left.len() < column) {
        Some(_) => format!("{left}{}", &right[left.len()..]),
        None => format!("{left}\n{right}"),
    }
}

/// An option in `--help`.
fn entry(flag: &Flag, spec: &CommandSpec) -> String {
    let about = flag.about_in(spec.command());
    let mut entry = format!("{}\n{}", left(flag), wrapped(&sentences(about.short, about.long), INDENT));
    if let Values::Words(words) = flag.values() {
        let explained = words.iter().filter(|word| !word.help.is_empty());
        let widest = words.iter().map(|word| word.word.len()).max().unwrap_or_default();
        for word in explained {
            let meaning = row(&format!("{:INDENT$}  {}", "", word.word), word.help, INDENT + 2 + widest + 2);
            entry += &meaning;
        }
    }
    entry + &wrapped(&defaults(about.default, flag.variable), INDENT)
}

/// The short text as a sentence, and what follows it.
pub(super) fn sentences(short: &str, long: &str) -> String {
    let stop = if short.ends_with('.') { "" } else { "." };
    if long.is_empty() { format!("{short}{stop}") } else { format!("{short}{stop} {long}") }
}

pub(super) fn defaults(default: &str, variable: Option<&str>) -> String {
    let default = if default.is_empty() { String::new() } else { format!("Default: {default}. ") };
    let variable = variable.map(|variable| format!("Variable: {variable}.")).unwrap_or_default();
    default + &variable
}

/// Paragraphs in lines of at most 80 columns, each with a line feed at its end; nothing for an empty text.
fn wrapped(text: &str, indent: usize) -> String {
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty());
    paragraphs.map(|paragraph| paragraph_of(paragraph, indent)).collect::<Vec<_>>().join("\n")
}

fn paragraph_of(text: &str, indent: usize) -> String {
    let mut page = String::new();
    let mut line = " ".repeat(indent);
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && line.len() + 1 + word.len() > WIDTH {
            page += &line;
            page.push('\n');
            line = " ".repeat(indent);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line += word;
        is_empty = false;
    }
    page + &line + "\n"
}
