//! Completions of bash, zsh and fish. What they have in common is the walk to where the cursor is: options end at COMMAND,
//! and from there on it is COMMAND's own completions that count, as after sudo.

use clap::{Arg, ArgAction, Command, ValueEnum};

use crate::agent::definition::Method;
use crate::cli::{AuthMode, whole};
use crate::plan::method;

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
        "MODE" => Values::Words(AuthMode::value_variants().iter().map(|mode| method::word(*mode).to_owned()).collect()),
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

pub fn bash() -> String {
    let words = words();
    let action = |values: &Values| match values {
        Values::Anything => None,
        Values::Words(words) => Some(format!("compgen -W '{}' -- \"$2\"", words.join(" "))),
        Values::Agents(more) => Some(format!("compgen -W \"{more} $(_agent_init_agents)\" -- \"$2\"")),
        Values::Directories => Some("compgen -d -- \"$2\"".to_owned()),
        Values::Files => Some("compgen -f -- \"$2\"".to_owned()),
        Values::Users => Some("compgen -u -- \"$2\"".to_owned()),
        Values::Program => Some("compgen -c -- \"$2\"".to_owned()),
    };
    let names = joined(&words, " ", |word| word.name.clone());
    let of_commands = joined(&words, "\n", |word| {
        let options = joined(&word.options, " ", |option| format!("--{}", option.long));
        format!("{}) compgen -W '{options}' -- \"$2\" ;;", word.name)
    });
    let of_options = joined(
        every(&words).iter().filter_map(|option| Some((&option.long, action(&option.values)?))),
        "\n",
        |(long, action)| format!("--{long}) {action} ;;"),
    );
    let of_rest = joined(
        words.iter().filter_map(|word| Some((&word.name, action(word.rest.as_ref()?)?))),
        "\n",
        |(name, action)| format!("{name}) {action} ;;"),
    );
    let programs =
        joined(words.iter().filter(|word| matches!(word.rest, Some(Values::Program))), "|", |word| word.name.clone());
    let with_value = joined(with_value(&words), "|", |option| format!("--{}", option.long));
    format!(
        r#"# Completions of agent-init for bash, {HEAD}.
_agent_init_agents() {{
agent-init agents 2>/dev/null | while read -r name _ && [[ -n $name ]]; do echo "$name"; done
}}
_agent_init_options() {{
case $1 in
{of_commands}
esac
}}
_agent_init_values() {{
case $1 in
{of_options}
esac
}}
_agent_init_rest() {{
case $1 in
{of_rest}
esac
}}
_agent_init() {{
# Words that bash splits at = and : are put together again; at: where each begins in COMP_WORDS.
local -a words=() at=()
local cur=$2 command=run i=0 glued='' last
for ((; i <= COMP_CWORD; i++)); do
if ((${{#words[@]}} > 1)) && [[ -n $glued || ${{COMP_WORDS[i]}} == [=:]* ]]; then
words[${{#words[@]}}-1]+=${{COMP_WORDS[i]}}
[[ ${{COMP_WORDS[i]}} == [=:] ]] && glued=1 || glued=''
else
words+=("${{COMP_WORDS[i]}}") at+=("$i")
fi
done
[[ $cur == [=:] ]] && cur=''
last=$((${{#words[@]}} - 1)) i=1
if ((last > 1)) && [[ " {names} " == *" ${{words[1]}} "* ]]; then
command=${{words[1]}} i=2
fi
COMPREPLY=()
while ((i < last)); do
case ${{words[i]}} in
--) ((i++)); break ;;
--*=*) ((i++)) ;;
{with_value})
if ((i + 1 == last)); then
mapfile -t COMPREPLY < <(_agent_init_values "${{words[i]}}" "$cur")
return
fi
((i += 2)) ;;
-*) ((i++)) ;;
*) break ;;
esac
done
if ((i < last)); then
if [[ $command == @({programs}) ]]; then
local offset
for offset in _comp_command_offset _command_offset; do
declare -F "$offset" >/dev/null && "$offset" "${{at[i]}}" && return
done
fi
elif [[ ${{words[i]}} == -*=* && ${{words[i-1]}} != -- ]]; then
mapfile -t COMPREPLY < <(_agent_init_values "${{words[i]%%=*}}" "$cur")
elif [[ ${{words[i]}} == -* && ${{words[i-1]}} != -- ]]; then
mapfile -t COMPREPLY < <(_agent_init_options "$command" "$cur")
else
mapfile -t COMPREPLY < <(((last == 1)) && compgen -W '{names}' -- "$cur"; _agent_init_rest "$command" "$cur")
fi
}}
complete -o default -F _agent_init agent-init
"#
    )
}

pub fn zsh() -> String {
    let words = words();
    let action = |values: &Values| match values {
        Values::Anything => " ".to_owned(),
        Values::Words(words) => format!("({})", words.join(" ")),
        Values::Agents(more) => format!("_agent_init_agents {more}").trim_end().to_owned(),
        Values::Directories => "_directories".to_owned(),
        Values::Files => "_files".to_owned(),
        Values::Users => "_users".to_owned(),
        Values::Program => "_command_names -e".to_owned(),
    };
    let spec = |option: &Choice| {
        let Choice { long, about, .. } = option;
        // A colon ends a part of a specification.
        let about = about.replace(':', "\\:");
        let action = action(&option.values);
        let takes = match (option.is_flag, &option.values) {
            (true, Values::Anything) => return flag(option, &about),
            (true, _) => format!("=-[{about}]::value:{action}"),
            (false, _) => format!("=[{about}]:value:{action}"),
        };
        let long = format!("'*--{long}{takes}'");
        option.short.map(|short| format!("'-{short}[{about}]' ")).unwrap_or_default() + &long
    };
    let of_commands = joined(&words, "\n", |word| {
        let options = joined(&word.options, " \\\n", spec);
        let rest = match &word.rest {
            Some(Values::Program) => " \\\n'(-)1:program:_command_names -e' '*::argument:_normal'".to_owned(),
            Some(values) => format!(" \\\n'1:argument:{}'", action(values)),
            None => String::new(),
        };
        format!("({}) _arguments -s -S : \\\n{options}{rest} ;;", word.name)
    });
    let names = joined(&words, " ", |word| word.name.clone());
    let described = joined(&words, "\n", |word| format!("'{}:{}'", word.name, word.about));
    let with_value = joined(with_value(&words), "|", |option| format!("--{}", option.long));
    format!(
        r#"#compdef agent-init
# Completions of agent-init for zsh, {HEAD}.
_agent_init_agents() {{
local -a names
names=($@ ${{(f)"$(agent-init agents 2>/dev/null | sed -n 's/^\([a-z][a-z0-9-]*\)  .*/\1/p')"}})
_values -s , agent $names
}}
_agent-init() {{
local command=run
local -a commands names
commands=(
{described}
)
if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
_alternative 'commands:command:{{_describe -t commands command commands}}' 'programs:program:_command_names -e'
return
fi
names=({names})
if (( CURRENT > 2 && ${{names[(Ie)$words[2]]}} )); then
command=$words[2]
shift words
(( CURRENT-- ))
fi
# What follows -- is another command line; _arguments would have the -- be its first word.
local -i i=2
while (( i < CURRENT )); do
case $words[i] in
(--) shift $i words; (( CURRENT -= i )); _normal; return ;;
(--*=*) ;;
({with_value}) (( i++ )) ;;
(-*) ;;
(*) break ;;
esac
(( i++ ))
done
case $command in
{of_commands}
esac
}}
if [ "$funcstack[1]" = "_agent-init" ]; then
_agent-init "$@"
else
compdef _agent-init agent-init
fi
"#
    )
}

/// A specification without a value.
fn flag(option: &Choice, about: &str) -> String {
    let short = option.short.map(|short| format!("'-{short}[{about}]' ")).unwrap_or_default();
    format!("{short}'--{}[{about}]'", option.long)
}

pub fn fish() -> String {
    let words = words();
    let action = |values: &Values| match values {
        Values::Anything => " -x".to_owned(),
        Values::Words(words) => format!(" -x -a '{}'", words.join(" ")),
        Values::Agents(more) => format!(" -x -a '{}'", format!("{more} (__agent_init_agents)").trim_start()),
        Values::Directories => " -x -a '(__fish_complete_directories)'".to_owned(),
        Values::Files => " -r -F".to_owned(),
        Values::Users => " -x -a '(__fish_complete_users)'".to_owned(),
        Values::Program => " -x -a '(__agent_init_program)'".to_owned(),
    };
    let in_words =
        |test: &dyn Fn(&Word) -> bool| joined(words.iter().filter(|word| test(word)), " ", |word| word.name.clone());
    let of_options = joined(every(&words), "\n", |option| {
        let of = in_words(&|word| word.options.iter().any(|other| other.long == option.long));
        let short = option.short.map(|short| format!(" -s {short}")).unwrap_or_default();
        let takes = if option.is_flag { String::new() } else { action(&option.values) };
        let Choice { long, about, .. } = option;
        format!("complete -c agent-init -n '__agent_init_in {of}'{short} -l {long} -d '{about}'{takes}")
    });
    let of_names = joined(&words, "\n", |word| {
        format!("complete -c agent-init -n __agent_init_first -a {} -d '{}'", word.name, word.about)
    });
    let of_rest = joined(words.iter().filter(|word| !matches!(word.rest, Some(Values::Program))), "\n", |word| {
        let takes = word.rest.as_ref().map(&action).unwrap_or_default();
        if takes.is_empty() {
            return format!("# {} takes nothing beside options", word.name);
        }
        let takes = takes.replace(" -x", "").replace(" -r", "");
        format!("complete -c agent-init -n '__agent_init_in {}'{takes}", word.name)
    });
    let programs = in_words(&|word| matches!(word.rest, Some(Values::Program)));
    let names = in_words(&|_| true);
    let with_value = joined(with_value(&words), " ", |option| format!("--{}", option.long));
    format!(
        r"# Completions of agent-init for fish, {HEAD}.
# Where the cursor is: 'options COMMAND', or 'rest COMMAND N' behind the word N, where what follows the options begins.
function __agent_init_at
set -l words (commandline -opc)
set -l count (count $words)
set -l name run
set -l i 2
if test $count -ge 2; and contains -- $words[2] {names}
set name $words[2]
set i 3
end
while test $i -le $count
switch $words[$i]
case --
echo rest $name (math $i + 1)
return
case '--*=*'
case {with_value}
set i (math $i + 1)
case '-*'
case '*'
echo rest $name $i
return
end
set i (math $i + 1)
end
echo options $name
end
function __agent_init_in
set -l at (string split ' ' -- (__agent_init_at))
test $at[1] = options; and contains -- $at[2] $argv
end
function __agent_init_first
test (count (commandline -opc)) = 1
end
function __agent_init_takes_program
set -l at (string split ' ' -- (__agent_init_at))
contains -- $at[2] {programs}
end
function __agent_init_agents
agent-init agents 2>/dev/null | string match -r '^[a-z][a-z0-9-]*(?=  )'
end
function __agent_init_program
set -l at (string split ' ' -- (__agent_init_at))
set -l words (commandline -opc)
set -l before
if test $at[1] = options
string match -q -- '-*' (commandline -ct); and return
else if test $at[3] -le (count $words)
set before (string escape -- $words[$at[3]..-1])
end
complete --do-complete=(string join ' ' -- $before (commandline -ct))
end
complete -c agent-init -f
{of_names}
{of_options}
{of_rest}
complete -c agent-init -n __agent_init_takes_program -a '(__agent_init_program)'
"
    )
}
