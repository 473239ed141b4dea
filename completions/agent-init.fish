# Completions of agent-init for fish, made from the definition of its command line; options end at COMMAND.
# Where the cursor is: 'options COMMAND', or 'rest COMMAND N' behind the word N, where what follows the options begins.
function __agent_init_at
set -l words (commandline -opc)
set -l count (count $words)
set -l name run
set -l i 2
if test $count -ge 2; and contains -- $words[2] run serve setup keep status history plan doctor healthcheck exec agents install completions help version
set name $words[2]
set i 3
end
while test $i -le $count
switch $words[$i]
case --
echo rest $name (math $i + 1)
return
case '--*=*'
case --agent --auth --prefer --capture --store --secrets --deliver --sync --wait --user --user-from --home --work-dir --scope --first-run --trust --state-dir --drop-caps --no-new-privs --stop-signal --grace --forward-to --rewrite --log-format --warn-within --on-event --before
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
contains -- $at[2] run setup plan exec
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
complete -c agent-init -n __agent_init_first -a run -d 'Run COMMAND with its agents login (the default command)'
complete -c agent-init -n __agent_init_first -a serve -d 'Install and sync logins without a COMMAND, until a stop signal'
complete -c agent-init -n __agent_init_first -a setup -d 'Log in at the terminal and save the login for other containers'
complete -c agent-init -n __agent_init_first -a keep -d 'Refresh logins shortly before they expire, for containers that follow'
complete -c agent-init -n __agent_init_first -a status -d 'Show how each agent is logged in, and until when'
complete -c agent-init -n __agent_init_first -a history -d 'Show who refreshed, saved, adopted or lost a login, and when'
complete -c agent-init -n __agent_init_first -a plan -d 'Show what run would do and why, without doing it'
complete -c agent-init -n __agent_init_first -a doctor -d 'Look for problems and show how to fix each of them'
complete -c agent-init -n __agent_init_first -a healthcheck -d 'Exit with 0 if the running agent is healthy, else with 1'
complete -c agent-init -n __agent_init_first -a exec -d 'Run COMMAND as the running agents user, in its environment'
complete -c agent-init -n __agent_init_first -a agents -d 'Show the known agents, or one of them'
complete -c agent-init -n __agent_init_first -a install -d 'Copy this binary to PATH'
complete -c agent-init -n __agent_init_first -a completions -d 'Print the completions of a shell'
complete -c agent-init -n __agent_init_first -a help -d 'Print the help of a command'
complete -c agent-init -n __agent_init_first -a version -d 'Print the version'
complete -c agent-init -n '__agent_init_in run serve setup keep status history plan doctor' -l agent -d 'Agents to log in: names, auto or none' -x -a 'auto none (__agent_init_agents)'
complete -c agent-init -n '__agent_init_in run serve status plan doctor' -l auth -d 'How agents log in: a MODE, or NAME=MODE for each' -x -a 'auto sync copy follow token api-key ignore'
complete -c agent-init -n '__agent_init_in run serve status plan doctor' -l prefer -d 'Methods to prefer if there are several' -x -a 'oauth-token auth-token api-key session cloud'
complete -c agent-init -n '__agent_init_in run serve setup keep status history plan doctor' -l capture -d 'The login directory, or NAME=DIR for each agent' -x -a '(__fish_complete_directories)'
complete -c agent-init -n '__agent_init_in run serve keep status history plan doctor' -l store -d 'Where logins are kept: dir, or exec:CMD ARG...' -x
complete -c agent-init -n '__agent_init_in run serve keep status plan doctor' -l secrets -d 'Directories of secret files' -x -a '(__fish_complete_directories)'
complete -c agent-init -n '__agent_init_in run serve status plan doctor' -l deliver -d 'How a token or key reaches the agent: env or fd' -x -a 'env fd'
complete -c agent-init -n '__agent_init_in run serve status plan doctor' -l sync -d 'When to save refreshed logins: live, exit or off' -x -a 'live exit off'
complete -c agent-init -n '__agent_init_in run serve plan' -l require -d 'Do not start without a usable credential'
complete -c agent-init -n '__agent_init_in run serve plan' -l wait -d 'Wait this long for a login to appear in the capture' -x
complete -c agent-init -n '__agent_init_in run serve setup keep status plan doctor' -l user -d 'Run the agent as USER, by name or number' -x -a '(__fish_complete_users)'
complete -c agent-init -n '__agent_init_in run serve setup keep status plan doctor' -l user-from -d 'Run the agent as the owner and group of PATH' -r -F
complete -c agent-init -n '__agent_init_in run serve setup keep status plan doctor' -l home -d 'HOME of the agent' -x -a '(__fish_complete_directories)'
complete -c agent-init -n '__agent_init_in run serve setup status plan doctor' -l work-dir -d 'Directory for working copies of logins' -x -a '(__fish_complete_directories)'
complete -c agent-init -n '__agent_init_in run serve setup plan' -l scope -d 'What to copy from a capture: login, settings or all' -x -a 'login settings all'
complete -c agent-init -n '__agent_init_in run serve setup plan' -l first-run -d 'Answer the dialogs of the agents first start' -x -a 'on off'
complete -c agent-init -n '__agent_init_in run serve setup plan' -l trust -d 'Directories that the agent trusts from the start' -x -a '(__fish_complete_directories)'
complete -c agent-init -n '__agent_init_in run serve setup keep status history plan doctor healthcheck exec' -l state-dir -d 'Directory for the state of a run' -x -a '(__fish_complete_directories)'
complete -c agent-init -n '__agent_init_in run serve keep plan' -l drop-caps -d 'Take all capabilities from the agent: on, off, auto' -x -a 'on off auto'
complete -c agent-init -n '__agent_init_in run serve keep plan' -l no-new-privs -d 'Set no_new_privs for the agent: on, off, auto' -x -a 'on off auto'
complete -c agent-init -n '__agent_init_in run serve keep plan' -l stop-signal -d 'The signal that stops the container' -x -a 'TERM INT HUP QUIT USR1 USR2'
complete -c agent-init -n '__agent_init_in run serve setup keep plan' -l grace -d 'Time from the stop signal to the exit' -x
complete -c agent-init -n '__agent_init_in run serve plan' -l forward-to -d 'Who gets forwarded signals: group or process' -x -a 'group process'
complete -c agent-init -n '__agent_init_in run serve plan' -l rewrite -d 'Forward signal FROM as TO, or drop it with FROM:0' -x
complete -c agent-init -n '__agent_init_in run serve setup keep status plan doctor' -l log-format -d 'Form of messages: text or json' -x -a 'text json'
complete -c agent-init -n '__agent_init_in run serve setup keep status plan' -s v -l verbose -d 'Log each step'
complete -c agent-init -n '__agent_init_in run serve setup keep plan' -s q -l quiet -d 'Log warnings and errors only'
complete -c agent-init -n '__agent_init_in run serve keep status plan doctor' -l warn-within -d 'Report a login as expiring this long before its end' -x
complete -c agent-init -n '__agent_init_in run serve keep plan' -l on-event -d 'Run CMD when something happens to a login' -x
complete -c agent-init -n '__agent_init_in run serve setup keep status history plan doctor healthcheck exec agents install completions help version' -s h -l help -d 'Print help: -h is short, --help is long'
complete -c agent-init -n '__agent_init_in run serve' -s V -l version -d 'Print the version'
complete -c agent-init -n '__agent_init_in setup' -l auto -d 'Start the agent itself instead of its login command'
complete -c agent-init -n '__agent_init_in setup' -l token -d 'Create and capture a long-lived token'
complete -c agent-init -n '__agent_init_in keep' -l before -d 'Refresh a login this long before it expires' -x
complete -c agent-init -n '__agent_init_in keep' -l once -d 'Refresh what is due, then exit'
complete -c agent-init -n '__agent_init_in status' -l short -d 'Print one line for each agent'
complete -c agent-init -n '__agent_init_in status' -l openmetrics -d 'Print metrics for Prometheus instead of text'
complete -c agent-init -n '__agent_init_in status history plan doctor agents' -l json -d 'Print one JSON object instead of text'
# serve takes only options
# keep takes only options
# status takes only options
# history takes only options
# doctor takes only options
# healthcheck takes only options
complete -c agent-init -n '__agent_init_in agents' -a '(__agent_init_agents)'
complete -c agent-init -n '__agent_init_in install' -F
complete -c agent-init -n '__agent_init_in completions' -a 'bash zsh fish'
complete -c agent-init -n '__agent_init_in help' -a 'run serve setup keep status history plan doctor healthcheck exec agents install completions help version'
# version takes only options
complete -c agent-init -n __agent_init_takes_program -a '(__agent_init_program)'
