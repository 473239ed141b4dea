//! Completions of zsh.

use crate::config::flag::Values;
use crate::config::generated::shell::{AGENT_NAMES, Choice, HEAD, Rest, entries, joined, separated, with_value};

pub fn script() -> String {
    let entries = entries();
    let action = |values: &Values| match values {
        Values::Anything => " ".to_owned(),
        Values::Words(words) => format!("({})", separated(words)),
        Values::Agents(more) => format!("_agent_init_agents {}", more.join(" ")).trim_end().to_owned(),
        Values::Directory => "_directories".to_owned(),
        Values::Path => "_files".to_owned(),
        Values::User => "_users".to_owned(),
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
    let of_commands = joined(&entries, "\n", |entry| {
        let options = joined(&entry.options, " \\\n", spec);
        let rest = match entry.rest {
            Some(Rest::Program) => " \\\n'(-)1:program:_command_names -e' '*::argument:_normal'".to_owned(),
            Some(Rest::One(values)) => format!(" \\\n'1:argument:{}'", action(&values)),
            None => String::new(),
        };
        format!("({}) _arguments -s -S : \\\n{options}{rest} ;;", entry.name)
    });
    let names = joined(&entries, " ", |entry| entry.name.to_owned());
    let described = joined(&entries, "\n", |entry| format!("'{}:{}'", entry.name, entry.about));
    let with_value = joined(with_value(&entries), "|", |option| format!("--{}", option.long));
    format!(
        r#"#compdef agent-init
# Completions of agent-init for zsh, {HEAD}.
_agent_init_agents() {{
local -a names
names=($@ ${{(f)"$({AGENT_NAMES})"}})
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
