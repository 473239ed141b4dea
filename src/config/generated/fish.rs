//! Completions of fish.

use crate::config::flag::Values;
use crate::config::generated::shell::{Choice, Entry, HEAD, Rest, entries, every, joined, separated, with_value};

pub fn script() -> String {
    let entries = entries();
    let action = |values: &Values| match values {
        Values::Anything => " -x".to_owned(),
        Values::Words(words) => format!(" -x -a '{}'", separated(words)),
        Values::Agents(more) => {
            format!(" -x -a '{}'", format!("{} (__agent_init_agents)", more.join(" ")).trim_start())
        }
        Values::Directory => " -x -a '(__fish_complete_directories)'".to_owned(),
        Values::Path => " -r -F".to_owned(),
        Values::User => " -x -a '(__fish_complete_users)'".to_owned(),
    };
    let in_words = |test: &dyn Fn(&Entry) -> bool| {
        joined(entries.iter().filter(|entry| test(entry)), " ", |entry| entry.name.to_owned())
    };
    let of_options = joined(every(&entries), "\n", |option| {
        let of = in_words(&|entry| entry.options.iter().any(|other| other.long == option.long));
        let short = option.short.map(|short| format!(" -s {short}")).unwrap_or_default();
        let takes = if option.is_flag { String::new() } else { action(&option.values) };
        let Choice { long, about, .. } = option;
        format!("complete -c agent-init -n '__agent_init_in {of}'{short} -l {long} -d '{about}'{takes}")
    });
    let of_names = joined(&entries, "\n", |entry| {
        format!("complete -c agent-init -n __agent_init_first -a {} -d '{}'", entry.name, entry.about)
    });
    let of_rest = joined(entries.iter().filter(|entry| !entry.runs_program()), "\n", |entry| {
        let Some(Rest::One(values)) = entry.rest else {
            return format!("# {} takes only options", entry.name);
        };
        let takes = action(&values).replace(" -x", "").replace(" -r", "");
        format!("complete -c agent-init -n '__agent_init_in {}'{takes}", entry.name)
    });
    let programs = in_words(&|entry| entry.runs_program());
    let names = in_words(&|_| true);
    let with_value = joined(with_value(&entries), " ", |option| format!("--{}", option.long));
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
agent-init agents 2>/dev/null | string match -rg '^  ([a-z][a-z0-9-]*)  '
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
