//! `docs/options.md`: every option, its variable, its default, and the commands that take it.

use crate::config::command_name::CommandName;
use crate::config::flag::{Action, Flag, Group, Printed, Values};
use crate::config::flags;
use crate::config::help::{placeholder, sentences};
use crate::words::spelling::Words;

const HEAD: &str = "\
# Options

<!-- Made from the definition of the command line: UPDATE_SNAPSHOTS=1 cargo test --lib generated -->

An option is given on the command line or by its environment variable; the option wins, and then its default holds. A value that cannot
be read is an error (exit status 125), wherever it comes from. An empty variable counts as not set, but an empty `AGENT_INIT_USER`,
`AGENT_INIT_DROP_CAPS` or `AGENT_INIT_NO_NEW_PRIVS` is an error. Booleans are `1` or `0`, `true` or
`false`, `yes` or `no`, `on` or `off`. Durations are `500ms`, `8s`, `2m`, `1h`; a number without a unit is seconds.
";

pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for group in Group::ALL {
        page += &format!("\n## {}\n\n", group.title());
        page += "| option | variable | default | meaning | commands |\n|---|---|---|---|---|\n";
        for flag in flags::all().filter(|flag| flag.group == group) {
            page += &row(flag);
        }
    }
    page
}

fn row(flag: &Flag) -> String {
    let short = flag.short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let variable = flag.variable.map(|variable| format!("`{variable}`")).unwrap_or_default();
    let option = format!("{short}`{}{}`", flag.spelled(), placeholder(flag));
    let cells = [option, variable, flag.about.default.to_owned(), meaning(flag), commands(flag)];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|").replace('\n', " ")).join(" | "))
}

/// What it does, its words, and what it does elsewhere.
fn meaning(flag: &Flag) -> String {
    let mut meaning = sentences(flag.about.short, flag.about.long);
    if let Values::Words(words) = flag.values() {
        let explained = words.iter().filter(|word| !word.help.is_empty());
        let explained: Vec<String> = explained.map(|word| format!("`{}`: {}", word.word, word.help)).collect();
        if !explained.is_empty() {
            meaning += &format!(" {}.", explained.join("; "));
        }
    }
    for (command, about) in flag.about_in.iter().filter(|(command, _)| *command == CommandName::Setup) {
        meaning += &format!(" For `{}`: {}", command.word(), sentences(about.short, about.long));
        if about.default != flag.about.default {
            meaning += &format!(" Default: {}.", about.default);
        }
    }
    meaning
}

fn commands(flag: &Flag) -> String {
    if matches!(flag.action, Action::Print(Printed::Help)) {
        return "all".to_owned();
    }
    flag.taken_by.shown.iter().map(|command| format!("`{}`", command.word())).collect::<Vec<_>>().join(", ")
}
