# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_agent_init_global_optspecs
string join \n agent= auth= prefer= capture= store= secrets= user= user-from= home= work-dir= scope= deliver= first-run= trust= sync= require= wait= grace= stop-signal= rewrite= forward-to= drop-caps= no-new-privs= state-dir= log-format= v/verbose= q/quiet= h/help V/version
end

function __fish_agent_init_needs_command
# Figure out if the current invocation already has a command.
set -l cmd (commandline -opc)
set -e cmd[1]
argparse -s (__fish_agent_init_global_optspecs) -- $cmd 2>/dev/null
or return
if set -q argv[1]
# Also print the command, so this can be used to figure out what it is.
echo $argv[1]
return 1
end
return 0
end

function __fish_agent_init_using_subcommand
set -l cmd (__fish_agent_init_needs_command)
test -z "$cmd"
and return 1
contains -- $cmd[1] $argv
end

complete -c agent-init -n "__fish_agent_init_needs_command" -l agent -d 'Agents to serve: names, `auto` (by COMMAND and by what was given) or `none` (a plain init) [default: auto]' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -l auth -d 'auto, sync, copy, token, api-key or ignore, for all agents or for one: NAME=token [default: auto]' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -l prefer -d 'Methods to prefer: oauth-token, auth-token, api-key, session, cloud [default: the agent\'s order]' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -l capture -d 'Root with one directory for each agent, or agent=DIR [default: /capture if it is there]' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -l store -d 'Where logins live between containers: dir, or `exec:CMD ARG...`, a helper for a secret store [default: dir]' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -l secrets -d 'Directories of secret files [default: /run/secrets and `$CREDENTIALS_DIRECTORY`]' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -l user -d 'User of the agent, by name or number, with an optional group [default: unchanged]' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -l user-from -d 'Take user and group from the owner of PATH' -r -F
complete -c agent-init -n "__fish_agent_init_needs_command" -l home -d 'HOME of the agent [default: the user\'s, else $HOME, else /tmp/agent-home]' -r -F
complete -c agent-init -n "__fish_agent_init_needs_command" -l work-dir -d 'Parent of working copies [default: the agent\'s own place under HOME, else the state directory]' -r -F
complete -c agent-init -n "__fish_agent_init_needs_command" -l scope -d 'What of a captured directory is laid down: login, settings or all [default: settings]' -r -f -a "login\t'The login alone'
settings\t'The login and the agent\'s settings'
all\t'All but locks and caches'"
complete -c agent-init -n "__fish_agent_init_needs_command" -l deliver -d 'How a token or key reaches the agent: env, or fd where the agent reads one [default: env]' -r -f -a "env\t'In its environment'
fd\t'By a descriptor, where the agent reads one'"
complete -c agent-init -n "__fish_agent_init_needs_command" -l first-run -d 'Answer onboarding, trust and bypass dialogs beforehand: on or off [default: on]' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -l trust -d 'Directories that are trusted from the start [default: the working directory]' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -l sync -d 'When a refreshed login is carried back: live, exit or off [default: live]' -r -f -a "live\t'As it happens, and at the end'
exit\t'At the end'
off\t'Never'"
complete -c agent-init -n "__fish_agent_init_needs_command" -l require -d 'Do not start without a usable credential (for these agents)' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -l wait -d 'With no usable credential, wait so long for one to appear in the capture [default: 0]' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -l grace -d 'From the stop signal to our exit, all told [default: 8s]' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -l stop-signal -d 'The signal that starts the stop [default: TERM]' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -l rewrite -d 'Forward another signal instead, or none for FROM:0; may be repeated' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -l forward-to -d 'Who gets forwarded signals: group or process [default: group]' -r -f -a "group\t'COMMAND\'s process group'
process\t'COMMAND alone'"
complete -c agent-init -n "__fish_agent_init_needs_command" -l drop-caps -d 'Empty the agent\'s capability sets and its bounding set: on, off or auto [default: auto]' -r -f -a "on\t'Always'
off\t'Never'
auto\t'When agent-init itself changes to another user that is not root'"
complete -c agent-init -n "__fish_agent_init_needs_command" -l no-new-privs -d 'Set `no_new_privs` in the agent: on, off or auto [default: auto]' -r -f -a "on\t'Always'
off\t'Never'
auto\t'When agent-init itself changes to another user that is not root'"
complete -c agent-init -n "__fish_agent_init_needs_command" -l state-dir -d 'Where state is kept [default: /run/agent-init, else $XDG_RUNTIME_DIR/agent-init, else /tmp/agent-init-UID]' -r -F
complete -c agent-init -n "__fish_agent_init_needs_command" -l log-format -d 'Form of messages: text or json [default: text]' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c agent-init -n "__fish_agent_init_needs_command" -s v -l verbose -d 'Say each step' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -s q -l quiet -d 'Say warnings and errors only' -r
complete -c agent-init -n "__fish_agent_init_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c agent-init -n "__fish_agent_init_needs_command" -s V -l version -d 'Print version'
complete -c agent-init -n "__fish_agent_init_needs_command" -a "run" -d 'Runs COMMAND with its agent\'s login: what is done without a command\'s name'
complete -c agent-init -n "__fish_agent_init_needs_command" -a "setup" -d 'Logs in interactively, on a terminal, and captures the login for the containers that run the agent'
complete -c agent-init -n "__fish_agent_init_needs_command" -a "status" -d 'Shows what would authenticate each agent, from where and until when; in a running container, what does'
complete -c agent-init -n "__fish_agent_init_needs_command" -a "plan" -d 'Shows what `run` would do with the same options and COMMAND, and why; touches nothing'
complete -c agent-init -n "__fish_agent_init_needs_command" -a "doctor" -d 'Looks for problems of mounts, owners, modes and sources, and says how to mend each'
complete -c agent-init -n "__fish_agent_init_needs_command" -a "healthcheck" -d 'Exits with 0 if the agent that runs here is well, else with 1 and one line; for HEALTHCHECK and probes'
complete -c agent-init -n "__fish_agent_init_needs_command" -a "exec" -d 'Runs COMMAND as the running agent\'s user and in its environment; for `docker exec`'
complete -c agent-init -n "__fish_agent_init_needs_command" -a "agents" -d 'Shows the known agents, or one of them'
complete -c agent-init -n "__fish_agent_init_needs_command" -a "install" -d 'Copies this binary to PATH, whole; for an init container that gives it to an image you can not rebuild'
complete -c agent-init -n "__fish_agent_init_needs_command" -a "completions" -d 'Prints the completions of a shell'
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l agent -d 'Agents to serve: names, `auto` (by COMMAND and by what was given) or `none` (a plain init) [default: auto]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l auth -d 'auto, sync, copy, token, api-key or ignore, for all agents or for one: NAME=token [default: auto]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l prefer -d 'Methods to prefer: oauth-token, auth-token, api-key, session, cloud [default: the agent\'s order]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l capture -d 'Root with one directory for each agent, or agent=DIR [default: /capture if it is there]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l store -d 'Where logins live between containers: dir, or `exec:CMD ARG...`, a helper for a secret store [default: dir]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l secrets -d 'Directories of secret files [default: /run/secrets and `$CREDENTIALS_DIRECTORY`]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l user -d 'User of the agent, by name or number, with an optional group [default: unchanged]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l user-from -d 'Take user and group from the owner of PATH' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l home -d 'HOME of the agent [default: the user\'s, else $HOME, else /tmp/agent-home]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l work-dir -d 'Parent of working copies [default: the agent\'s own place under HOME, else the state directory]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l scope -d 'What of a captured directory is laid down: login, settings or all [default: settings]' -r -f -a "login\t'The login alone'
settings\t'The login and the agent\'s settings'
all\t'All but locks and caches'"
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l deliver -d 'How a token or key reaches the agent: env, or fd where the agent reads one [default: env]' -r -f -a "env\t'In its environment'
fd\t'By a descriptor, where the agent reads one'"
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l first-run -d 'Answer onboarding, trust and bypass dialogs beforehand: on or off [default: on]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l trust -d 'Directories that are trusted from the start [default: the working directory]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l sync -d 'When a refreshed login is carried back: live, exit or off [default: live]' -r -f -a "live\t'As it happens, and at the end'
exit\t'At the end'
off\t'Never'"
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l require -d 'Do not start without a usable credential (for these agents)' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l wait -d 'With no usable credential, wait so long for one to appear in the capture [default: 0]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l grace -d 'From the stop signal to our exit, all told [default: 8s]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l stop-signal -d 'The signal that starts the stop [default: TERM]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l rewrite -d 'Forward another signal instead, or none for FROM:0; may be repeated' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l forward-to -d 'Who gets forwarded signals: group or process [default: group]' -r -f -a "group\t'COMMAND\'s process group'
process\t'COMMAND alone'"
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l drop-caps -d 'Empty the agent\'s capability sets and its bounding set: on, off or auto [default: auto]' -r -f -a "on\t'Always'
off\t'Never'
auto\t'When agent-init itself changes to another user that is not root'"
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l no-new-privs -d 'Set `no_new_privs` in the agent: on, off or auto [default: auto]' -r -f -a "on\t'Always'
off\t'Never'
auto\t'When agent-init itself changes to another user that is not root'"
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l state-dir -d 'Where state is kept [default: /run/agent-init, else $XDG_RUNTIME_DIR/agent-init, else /tmp/agent-init-UID]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -l log-format -d 'Form of messages: text or json [default: text]' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -s v -l verbose -d 'Say each step' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -s q -l quiet -d 'Say warnings and errors only' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c agent-init -n "__fish_agent_init_using_subcommand run" -s V -l version -d 'Print version'
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -l agent -d 'Agents to log in [default: COMMAND\'s, else the one that is installed, else any, in a shell]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -l auto -d 'Run the agent itself, asking for no permission, instead of its login command' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -l token -d 'Make a long-lived token, for containers that share no login, and capture that' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -l capture -d 'Root with one directory for each agent, or agent=DIR [default: /auth-output, else /capture, if it is there]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -l user -d 'User of the agent, by name or number, with an optional group [default: unchanged]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -l user-from -d 'Take user and group from the owner of PATH' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -l home -d 'HOME of the agent [default: the user\'s, else $HOME, else /tmp/agent-home]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -l work-dir -d 'Parent of the working copy, which is new and removed at the end [default: the state directory]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -l scope -d 'What is captured, and laid down of an earlier capture, beside the login: login, settings or all [default: settings]' -r -f -a "login\t'The login alone'
settings\t'The login and the agent\'s settings'
all\t'All but locks and caches'"
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -l first-run -d 'Answer onboarding, trust and bypass dialogs beforehand: on or off [default: on]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -l trust -d 'Directories that are trusted from the start [default: the working directory]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -l grace -d 'From the stop signal to our exit, all told [default: 8s]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -l state-dir -d 'Where state is kept [default: /run/agent-init, else $XDG_RUNTIME_DIR/agent-init, else /tmp/agent-init-UID]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -l log-format -d 'Form of messages: text or json [default: text]' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -s v -l verbose -d 'Say each step' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -s q -l quiet -d 'Say warnings and errors only' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand setup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l agent -d 'Agents to serve: names, `auto` (by COMMAND and by what was given) or `none` (a plain init) [default: auto]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l auth -d 'auto, sync, copy, token, api-key or ignore, for all agents or for one: NAME=token [default: auto]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l prefer -d 'Methods to prefer: oauth-token, auth-token, api-key, session, cloud [default: the agent\'s order]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l capture -d 'Root with one directory for each agent, or agent=DIR [default: /capture if it is there]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l store -d 'Where logins live between containers: dir, or `exec:CMD ARG...`, a helper for a secret store [default: dir]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l secrets -d 'Directories of secret files [default: /run/secrets and `$CREDENTIALS_DIRECTORY`]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l user -d 'User of the agent, by name or number, with an optional group [default: unchanged]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l user-from -d 'Take user and group from the owner of PATH' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l home -d 'HOME of the agent [default: the user\'s, else $HOME, else /tmp/agent-home]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l work-dir -d 'Parent of working copies [default: the agent\'s own place under HOME, else the state directory]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l scope -d 'What of a captured directory is laid down: login, settings or all [default: settings]' -r -f -a "login\t'The login alone'
settings\t'The login and the agent\'s settings'
all\t'All but locks and caches'"
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l deliver -d 'How a token or key reaches the agent: env, or fd where the agent reads one [default: env]' -r -f -a "env\t'In its environment'
fd\t'By a descriptor, where the agent reads one'"
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l first-run -d 'Answer onboarding, trust and bypass dialogs beforehand: on or off [default: on]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l trust -d 'Directories that are trusted from the start [default: the working directory]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l sync -d 'When a refreshed login is carried back: live, exit or off [default: live]' -r -f -a "live\t'As it happens, and at the end'
exit\t'At the end'
off\t'Never'"
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l require -d 'Do not start without a usable credential (for these agents)' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l wait -d 'With no usable credential, wait so long for one to appear in the capture [default: 0]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l grace -d 'From the stop signal to our exit, all told [default: 8s]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l stop-signal -d 'The signal that starts the stop [default: TERM]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l rewrite -d 'Forward another signal instead, or none for FROM:0; may be repeated' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l forward-to -d 'Who gets forwarded signals: group or process [default: group]' -r -f -a "group\t'COMMAND\'s process group'
process\t'COMMAND alone'"
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l drop-caps -d 'Empty the agent\'s capability sets and its bounding set: on, off or auto [default: auto]' -r -f -a "on\t'Always'
off\t'Never'
auto\t'When agent-init itself changes to another user that is not root'"
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l no-new-privs -d 'Set `no_new_privs` in the agent: on, off or auto [default: auto]' -r -f -a "on\t'Always'
off\t'Never'
auto\t'When agent-init itself changes to another user that is not root'"
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l state-dir -d 'Where state is kept [default: /run/agent-init, else $XDG_RUNTIME_DIR/agent-init, else /tmp/agent-init-UID]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l log-format -d 'Form of messages: text or json [default: text]' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -s v -l verbose -d 'Say each step' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -s q -l quiet -d 'Say warnings and errors only' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l warn-within -d 'A login that can not be refreshed is \'expiring\' so long before its end [default: 7d]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -l json -d 'One JSON object instead of text'
complete -c agent-init -n "__fish_agent_init_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l agent -d 'Agents to serve: names, `auto` (by COMMAND and by what was given) or `none` (a plain init) [default: auto]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l auth -d 'auto, sync, copy, token, api-key or ignore, for all agents or for one: NAME=token [default: auto]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l prefer -d 'Methods to prefer: oauth-token, auth-token, api-key, session, cloud [default: the agent\'s order]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l capture -d 'Root with one directory for each agent, or agent=DIR [default: /capture if it is there]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l store -d 'Where logins live between containers: dir, or `exec:CMD ARG...`, a helper for a secret store [default: dir]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l secrets -d 'Directories of secret files [default: /run/secrets and `$CREDENTIALS_DIRECTORY`]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l user -d 'User of the agent, by name or number, with an optional group [default: unchanged]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l user-from -d 'Take user and group from the owner of PATH' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l home -d 'HOME of the agent [default: the user\'s, else $HOME, else /tmp/agent-home]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l work-dir -d 'Parent of working copies [default: the agent\'s own place under HOME, else the state directory]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l scope -d 'What of a captured directory is laid down: login, settings or all [default: settings]' -r -f -a "login\t'The login alone'
settings\t'The login and the agent\'s settings'
all\t'All but locks and caches'"
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l deliver -d 'How a token or key reaches the agent: env, or fd where the agent reads one [default: env]' -r -f -a "env\t'In its environment'
fd\t'By a descriptor, where the agent reads one'"
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l first-run -d 'Answer onboarding, trust and bypass dialogs beforehand: on or off [default: on]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l trust -d 'Directories that are trusted from the start [default: the working directory]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l sync -d 'When a refreshed login is carried back: live, exit or off [default: live]' -r -f -a "live\t'As it happens, and at the end'
exit\t'At the end'
off\t'Never'"
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l require -d 'Do not start without a usable credential (for these agents)' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l wait -d 'With no usable credential, wait so long for one to appear in the capture [default: 0]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l grace -d 'From the stop signal to our exit, all told [default: 8s]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l stop-signal -d 'The signal that starts the stop [default: TERM]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l rewrite -d 'Forward another signal instead, or none for FROM:0; may be repeated' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l forward-to -d 'Who gets forwarded signals: group or process [default: group]' -r -f -a "group\t'COMMAND\'s process group'
process\t'COMMAND alone'"
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l drop-caps -d 'Empty the agent\'s capability sets and its bounding set: on, off or auto [default: auto]' -r -f -a "on\t'Always'
off\t'Never'
auto\t'When agent-init itself changes to another user that is not root'"
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l no-new-privs -d 'Set `no_new_privs` in the agent: on, off or auto [default: auto]' -r -f -a "on\t'Always'
off\t'Never'
auto\t'When agent-init itself changes to another user that is not root'"
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l state-dir -d 'Where state is kept [default: /run/agent-init, else $XDG_RUNTIME_DIR/agent-init, else /tmp/agent-init-UID]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l log-format -d 'Form of messages: text or json [default: text]' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -s v -l verbose -d 'Say each step' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -s q -l quiet -d 'Say warnings and errors only' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -l json -d 'One JSON object instead of text'
complete -c agent-init -n "__fish_agent_init_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l agent -d 'Agents to serve: names, `auto` (by COMMAND and by what was given) or `none` (a plain init) [default: auto]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l auth -d 'auto, sync, copy, token, api-key or ignore, for all agents or for one: NAME=token [default: auto]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l prefer -d 'Methods to prefer: oauth-token, auth-token, api-key, session, cloud [default: the agent\'s order]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l capture -d 'Root with one directory for each agent, or agent=DIR [default: /capture if it is there]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l store -d 'Where logins live between containers: dir, or `exec:CMD ARG...`, a helper for a secret store [default: dir]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l secrets -d 'Directories of secret files [default: /run/secrets and `$CREDENTIALS_DIRECTORY`]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l user -d 'User of the agent, by name or number, with an optional group [default: unchanged]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l user-from -d 'Take user and group from the owner of PATH' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l home -d 'HOME of the agent [default: the user\'s, else $HOME, else /tmp/agent-home]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l work-dir -d 'Parent of working copies [default: the agent\'s own place under HOME, else the state directory]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l scope -d 'What of a captured directory is laid down: login, settings or all [default: settings]' -r -f -a "login\t'The login alone'
settings\t'The login and the agent\'s settings'
all\t'All but locks and caches'"
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l deliver -d 'How a token or key reaches the agent: env, or fd where the agent reads one [default: env]' -r -f -a "env\t'In its environment'
fd\t'By a descriptor, where the agent reads one'"
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l first-run -d 'Answer onboarding, trust and bypass dialogs beforehand: on or off [default: on]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l trust -d 'Directories that are trusted from the start [default: the working directory]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l sync -d 'When a refreshed login is carried back: live, exit or off [default: live]' -r -f -a "live\t'As it happens, and at the end'
exit\t'At the end'
off\t'Never'"
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l require -d 'Do not start without a usable credential (for these agents)' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l wait -d 'With no usable credential, wait so long for one to appear in the capture [default: 0]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l grace -d 'From the stop signal to our exit, all told [default: 8s]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l stop-signal -d 'The signal that starts the stop [default: TERM]' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l rewrite -d 'Forward another signal instead, or none for FROM:0; may be repeated' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l forward-to -d 'Who gets forwarded signals: group or process [default: group]' -r -f -a "group\t'COMMAND\'s process group'
process\t'COMMAND alone'"
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l drop-caps -d 'Empty the agent\'s capability sets and its bounding set: on, off or auto [default: auto]' -r -f -a "on\t'Always'
off\t'Never'
auto\t'When agent-init itself changes to another user that is not root'"
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l no-new-privs -d 'Set `no_new_privs` in the agent: on, off or auto [default: auto]' -r -f -a "on\t'Always'
off\t'Never'
auto\t'When agent-init itself changes to another user that is not root'"
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l state-dir -d 'Where state is kept [default: /run/agent-init, else $XDG_RUNTIME_DIR/agent-init, else /tmp/agent-init-UID]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l log-format -d 'Form of messages: text or json [default: text]' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -s v -l verbose -d 'Say each step' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -s q -l quiet -d 'Say warnings and errors only' -r
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -l json -d 'One JSON object instead of text'
complete -c agent-init -n "__fish_agent_init_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c agent-init -n "__fish_agent_init_using_subcommand healthcheck" -l state-dir -d 'Where state is kept [default: where `run` keeps it]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand healthcheck" -s h -l help -d 'Print help'
complete -c agent-init -n "__fish_agent_init_using_subcommand exec" -l state-dir -d 'Where state is kept [default: where `run` keeps it]' -r -F
complete -c agent-init -n "__fish_agent_init_using_subcommand exec" -s h -l help -d 'Print help'
complete -c agent-init -n "__fish_agent_init_using_subcommand agents" -l json -d 'One JSON object instead of text'
complete -c agent-init -n "__fish_agent_init_using_subcommand agents" -s h -l help -d 'Print help'
complete -c agent-init -n "__fish_agent_init_using_subcommand install" -s h -l help -d 'Print help'
complete -c agent-init -n "__fish_agent_init_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
