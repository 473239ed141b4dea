# Completions of agent-init for fish, made from the definition of its command line; options end at COMMAND.
# Where the cursor is: 'options COMMAND', or 'rest COMMAND N' behind the word N, where what follows the options begins.
function __agent_init_at
set -l words (commandline -opc)
set -l count (count $words)
set -l name run
set -l i 2
if test $count -ge 2; and contains -- $words[2] run setup status plan doctor healthcheck exec agents install completions
set name $words[2]
set i 3
end
while test $i -le $count
switch $words[$i]
case --
echo rest $name (math $i + 1)
return
case '--*=*'
case --agent --auth --prefer --capture --store --secrets --deliver --sync --wait --user --user-from --home --work-dir --scope --first-run --trust --drop-caps --no-new-privs --forward-to --rewrite --stop-signal --grace --state-dir --log-format --warn-within
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
contains -- $at[2] run setup status plan doctor exec
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
complete -c agent-init -n __agent_init_first -a run -d 'Runs COMMAND with its agents login: what is done without a commands name'
complete -c agent-init -n __agent_init_first -a setup -d 'Logs in interactively, on a terminal, and captures the login for the containers that run the agent'
complete -c agent-init -n __agent_init_first -a status -d 'Shows what would authenticate each agent, from where and until when; in a running container, what does'
complete -c agent-init -n __agent_init_first -a plan -d 'Shows what run would do with the same options and COMMAND, and why; touches nothing'
complete -c agent-init -n __agent_init_first -a doctor -d 'Looks for problems of mounts, owners, modes and sources, and says how to mend each'
complete -c agent-init -n __agent_init_first -a healthcheck -d 'Exits with 0 if the agent that runs here is well, else with 1 and one line; for HEALTHCHECK and probes'
complete -c agent-init -n __agent_init_first -a exec -d 'Runs COMMAND as the running agents user and in its environment; for docker exec'
complete -c agent-init -n __agent_init_first -a agents -d 'Shows the known agents, or one of them'
complete -c agent-init -n __agent_init_first -a install -d 'Copies this binary to PATH, whole; for an init container that gives it to an image you cannot rebuild'
complete -c agent-init -n __agent_init_first -a completions -d 'Prints the completions of a shell'
complete -c agent-init -n '__agent_init_in run setup status plan doctor' -l agent -d 'Agents to serve: names, auto (by COMMAND and by what was given) or none (a plain init)' -x -a 'auto none (__agent_init_agents)'
complete -c agent-init -n '__agent_init_in run status plan doctor' -l auth -d 'auto, sync, copy, token, api-key or ignore, for all agents or for one: NAME=token' -x -a 'auto sync copy token api-key ignore'
complete -c agent-init -n '__agent_init_in run status plan doctor' -l prefer -d 'Methods to prefer: oauth-token, auth-token, api-key, session, cloud' -x -a 'oauth-token auth-token api-key session cloud'
complete -c agent-init -n '__agent_init_in run setup status plan doctor' -l capture -d 'Root with one directory for each agent, or agent=DIR' -x -a '(__fish_complete_directories)'
complete -c agent-init -n '__agent_init_in run status plan doctor' -l store -d 'Where logins live between containers: dir, or exec:CMD ARG..., a helper for a secret store' -x
complete -c agent-init -n '__agent_init_in run status plan doctor' -l secrets -d 'Directories of secret files' -x -a '(__fish_complete_directories)'
complete -c agent-init -n '__agent_init_in run status plan doctor' -l deliver -d 'How a token or key reaches the agent: env, or fd where the agent reads one' -x -a 'env fd'
complete -c agent-init -n '__agent_init_in run status plan doctor' -l sync -d 'When a refreshed login is carried back: live, exit (at the end only) or off' -x -a 'live exit off'
complete -c agent-init -n '__agent_init_in run status plan doctor' -l require -d 'Do not start without a usable credential (for these agents)'
complete -c agent-init -n '__agent_init_in run status plan doctor' -l wait -d 'With no usable credential, wait so long for one to appear in the capture' -x
complete -c agent-init -n '__agent_init_in run setup status plan doctor' -l user -d 'User of the agent, by name or number, with an optional group' -x -a '(__fish_complete_users)'
complete -c agent-init -n '__agent_init_in run setup status plan doctor' -l user-from -d 'Take user and group from the owner of PATH' -r -F
complete -c agent-init -n '__agent_init_in run setup status plan doctor' -l home -d 'HOME of the agent' -x -a '(__fish_complete_directories)'
complete -c agent-init -n '__agent_init_in run setup status plan doctor' -l work-dir -d 'Parent of working copies' -x -a '(__fish_complete_directories)'
complete -c agent-init -n '__agent_init_in run setup status plan doctor' -l scope -d 'What of a captured directory is installed: login, settings or all' -x -a 'login settings all'
complete -c agent-init -n '__agent_init_in run setup status plan doctor' -l first-run -d 'Answer onboarding, trust and bypass dialogs beforehand: on or off' -x -a 'on off'
complete -c agent-init -n '__agent_init_in run setup status plan doctor' -l trust -d 'Directories that are trusted from the start' -x -a '(__fish_complete_directories)'
complete -c agent-init -n '__agent_init_in run status plan doctor' -l drop-caps -d 'Empty the agents capability sets and its bounding set: on, off, or auto: if it becomes another user, not root' -x -a 'on off auto'
complete -c agent-init -n '__agent_init_in run status plan doctor' -l no-new-privs -d 'Set no_new_privs in the agent: on, off, or auto: if it becomes another user, not root' -x -a 'on off auto'
complete -c agent-init -n '__agent_init_in run status plan doctor' -l forward-to -d 'Who gets forwarded signals: group or process' -x -a 'group process'
complete -c agent-init -n '__agent_init_in run status plan doctor' -l rewrite -d 'Forward another signal instead, or none for FROM:0; may be repeated' -x
complete -c agent-init -n '__agent_init_in run status plan doctor' -l stop-signal -d 'The signal that starts the stop' -x -a 'TERM INT HUP QUIT USR1 USR2'
complete -c agent-init -n '__agent_init_in run setup status plan doctor' -l grace -d 'From the stop signal to our exit, all told' -x
complete -c agent-init -n '__agent_init_in run setup status plan doctor healthcheck exec' -l state-dir -d 'Where state is kept' -x -a '(__fish_complete_directories)'
complete -c agent-init -n '__agent_init_in run setup status plan doctor' -l log-format -d 'Form of messages: text or json' -x -a 'text json'
complete -c agent-init -n '__agent_init_in run setup status plan doctor' -s v -l verbose -d 'Say each step'
complete -c agent-init -n '__agent_init_in run setup status plan doctor' -s q -l quiet -d 'Say warnings and errors only'
complete -c agent-init -n '__agent_init_in run setup status plan doctor healthcheck exec agents install completions' -s h -l help -d 'Print help'
complete -c agent-init -n '__agent_init_in run' -s V -l version -d 'Print version'
complete -c agent-init -n '__agent_init_in setup' -l auto -d 'Run the agent itself, asking for no permission, instead of its login command'
complete -c agent-init -n '__agent_init_in setup' -l token -d 'Make a long-lived token, for containers that share no login, and capture that'
complete -c agent-init -n '__agent_init_in status' -l warn-within -d 'A login that cannot be refreshed is expiring so long before its end' -x
complete -c agent-init -n '__agent_init_in status plan doctor agents' -l json -d 'One JSON object instead of text'
# healthcheck takes nothing beside options
complete -c agent-init -n '__agent_init_in agents' -a '(__agent_init_agents)'
complete -c agent-init -n '__agent_init_in install' -F
complete -c agent-init -n '__agent_init_in completions' -a 'bash zsh fish'
complete -c agent-init -n __agent_init_takes_program -a '(__agent_init_program)'
