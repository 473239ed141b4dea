//! Completions of bash.

use crate::config::flag::Values;
use crate::config::generated::shell::{AGENT_NAMES, HEAD, Rest, entries, every, joined, separated, with_value};

pub fn script() -> String {
    let entries = entries();
    let action = |values: &Values| match values {
        Values::Anything => None,
        Values::Words(words) => Some(format!("compgen -W '{}' -- \"$2\"", separated(words))),
        Values::Agents(more) => Some(format!("compgen -W \"{} $(_agent_init_agents)\" -- \"$2\"", more.join(" "))),
        Values::Directory => Some("compgen -d -- \"$2\"".to_owned()),
        Values::Path => Some("compgen -f -- \"$2\"".to_owned()),
        Values::User => Some("compgen -u -- \"$2\"".to_owned()),
    };
    let rest = |rest| match rest {
        Rest::One(values) => action(&values),
        Rest::Program => Some("compgen -c -- \"$2\"".to_owned()),
    };
    let names = joined(&entries, " ", |entry| entry.name.to_owned());
    let of_commands = joined(&entries, "\n", |entry| {
        let options = joined(&entry.options, " ", |option| format!("--{}", option.long));
        format!("{}) compgen -W '{options}' -- \"$2\" ;;", entry.name)
    });
    let of_options = joined(
        every(&entries).iter().filter_map(|option| Some((&option.long, action(&option.values)?))),
        "\n",
        |(long, action)| format!("--{long}) {action} ;;"),
    );
    let of_rest =
        joined(entries.iter().filter_map(|entry| Some((entry.name, rest(entry.rest?)?))), "\n", |(name, action)| {
            format!("{name}) {action} ;;")
        });
    let programs = joined(entries.iter().filter(|entry| entry.runs_program()), "|", |entry| entry.name.to_owned());
    let with_value = joined(with_value(&entries), "|", |option| format!("--{}", option.long));
    format!(
        r#"# Completions of agent-init for bash, {HEAD}.
_agent_init_agents() {{
{AGENT_NAMES}
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
