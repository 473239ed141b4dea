//! Manual pages: `agent-init.1`, and one for each command. See man(7) for the markup.

use crate::config::command::CommandSpec;
use crate::config::command_name::CommandName;
use crate::config::flag::{Flag, Name, Takes, Values};
use crate::config::help::{defaults, groups, sentences};
use crate::words::spelling::Words;

/// Paths and texts. What `run` takes is on the page of agent-init itself. A page has no date: it is the same whenever it is
/// made.
pub fn pages() -> Vec<(String, String)> {
    let page = |name: &CommandName| {
        let spec = name.spec();
        (format!("man/{}.1", dashed(spec)), page(spec))
    };
    CommandName::VALUES.iter().map(page).collect()
}

/// `agent-init status` as the name of its page.
fn dashed(spec: &CommandSpec) -> String {
    spec.program.replace(' ', "-")
}

fn page(spec: &CommandSpec) -> String {
    let name = dashed(spec);
    let mut page = format!(
        ".\\\" Made from the definition of the command line.\n.TH {} 1 \"\" \"agent-init {}\"\n",
        name.to_ascii_uppercase(),
        env!("CARGO_PKG_VERSION")
    );
    page += &format!(".SH NAME\n{} \\- {}\n", escaped(&name), escaped(&uncapitalized(spec.summary)));
    page += &format!(".SH SYNOPSIS\n{}\n", synopsis(spec));
    page += &format!(".SH DESCRIPTION\n{}\n", paragraphs(&format!("{}.\n\n{}", spec.summary, spec.long)));
    let is_whole = spec.command() == Some(CommandName::Run);
    if is_whole {
        page += ".SH COMMANDS\n";
        for word in CommandName::WORDS {
            page += &format!(".TP\n\\fB{}\\fR\n{}\n", word.word, line(&format!("{}.", word.help)));
        }
    }
    page += ".SH OPTIONS\n";
    for (title, group) in groups(spec) {
        if group.is_some() {
            page += &format!(".SS {title}\n");
        }
        for flag in spec.shown_flags().filter(|flag| group.is_none_or(|group| flag.group == group)) {
            page += &entry(flag, spec);
        }
    }
    page += &format!(".SH EXIT STATUS\n{}\n", paragraphs(spec.exit_status));
    if !spec.examples.is_empty() {
        page += ".SH EXAMPLES\n.nf\n";
        for example in spec.examples {
            page += &format!("{}\n", line(example));
        }
        page += ".fi\n";
    }
    page + &see_also(spec, is_whole)
}

fn see_also(spec: &CommandSpec, is_whole: bool) -> String {
    let others = CommandName::VALUES.iter().map(|name| name.spec()).filter(|other| other.program != spec.program);
    let others = others.filter(|other| is_whole || other.command() == Some(CommandName::Run));
    let pages: Vec<String> = others.map(|other| format!("\\fB{}\\fR(1)", escaped(&dashed(other)))).collect();
    format!(".SH SEE ALSO\n{}\n", pages.join(", "))
}

/// The usage, with the program in bold.
fn synopsis(spec: &CommandSpec) -> String {
    let rest = spec.usage.strip_prefix(spec.program).unwrap_or_default();
    format!("\\fB{}\\fR{}", escaped(spec.program), escaped(rest))
}

fn entry(flag: &Flag, spec: &CommandSpec) -> String {
    let about = flag.about_in(spec.command());
    let mut entry = format!(".TP\n{}\n{}\n", heading(flag), paragraphs(&sentences(about.short, about.long)));
    if let Values::Words(words) = flag.values() {
        let explained: Vec<_> = words.iter().filter(|word| !word.help.is_empty()).collect();
        if !explained.is_empty() {
            entry += ".RS\n";
            for word in explained {
                entry += &format!(".TP\n\\fB{}\\fR\n{}\n", escaped(word.word), line(&format!("{}.", word.help)));
            }
            entry += ".RE\n";
        }
    }
    let defaults = defaults(about.default, flag.variable);
    if defaults.is_empty() { entry } else { format!("{entry}.IP\n{}\n", line(defaults.trim_end())) }
}

/// The option as it is written, in bold, and its placeholder in italics.
fn heading(flag: &Flag) -> String {
    let bold = |text: String| format!("\\fB{}\\fR", escaped(&text));
    let names = match flag.name {
        Name::Short(short) => bold(format!("-{short}")),
        Name::Long(long) => bold(format!("--{long}")),
        Name::Both(short, long) => format!("{}, {}", bold(format!("-{short}")), bold(format!("--{long}"))),
    };
    match flag.takes {
        Takes::Nothing => names,
        Takes::Optional(value, _) => format!("{names}[=\\fI{}\\fR]", escaped(value)),
        Takes::Value(value, _) => format!("{names} \\fI{}\\fR", escaped(value)),
    }
}

fn paragraphs(text: &str) -> String {
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.is_empty());
    paragraphs.map(line).collect::<Vec<_>>().join("\n.PP\n")
}

/// One line of text. A dot or an apostrophe at its beginning would be a request.
fn line(text: &str) -> String {
    let text = escaped(text);
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

fn uncapitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
