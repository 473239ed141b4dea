# Completions of agent-init for bash, made from the definition of its command line; options end at COMMAND.
_agent_init_agents() {
agent-init agents 2>/dev/null | sed -n 's/^  \([a-z][a-z0-9-]*\)  .*/\1/p'
}
_agent_init_options() {
case $1 in
run) compgen -W '--agent --auth --prefer --capture --store --secrets --deliver --sync --require --wait --user --user-from --home --work-dir --scope --first-run --trust --state-dir --drop-caps --no-new-privs --stop-signal --grace --forward-to --rewrite --log-format --verbose --quiet --warn-within --on-event --help --version' -- "$2" ;;
serve) compgen -W '--agent --auth --prefer --capture --store --secrets --deliver --sync --require --wait --user --user-from --home --work-dir --scope --first-run --trust --state-dir --drop-caps --no-new-privs --stop-signal --grace --forward-to --rewrite --log-format --verbose --quiet --warn-within --on-event --help --version' -- "$2" ;;
setup) compgen -W '--agent --auto --token --capture --user --user-from --home --work-dir --scope --first-run --trust --state-dir --grace --log-format --verbose --quiet --help' -- "$2" ;;
keep) compgen -W '--agent --capture --store --before --once --secrets --user --user-from --home --state-dir --drop-caps --no-new-privs --stop-signal --grace --log-format --verbose --quiet --warn-within --on-event --help' -- "$2" ;;
status) compgen -W '--agent --auth --prefer --capture --store --secrets --deliver --sync --user --user-from --home --work-dir --state-dir --log-format --verbose --warn-within --short --openmetrics --json --help' -- "$2" ;;
history) compgen -W '--agent --capture --store --state-dir --json --help' -- "$2" ;;
plan) compgen -W '--agent --auth --prefer --capture --store --secrets --deliver --sync --require --wait --user --user-from --home --work-dir --scope --first-run --trust --state-dir --drop-caps --no-new-privs --stop-signal --grace --forward-to --rewrite --log-format --verbose --quiet --warn-within --on-event --json --help' -- "$2" ;;
doctor) compgen -W '--agent --auth --prefer --capture --store --secrets --deliver --sync --user --user-from --home --work-dir --state-dir --log-format --warn-within --json --help' -- "$2" ;;
healthcheck) compgen -W '--state-dir --help' -- "$2" ;;
exec) compgen -W '--state-dir --help' -- "$2" ;;
agents) compgen -W '--json --help' -- "$2" ;;
install) compgen -W '--help' -- "$2" ;;
completions) compgen -W '--help' -- "$2" ;;
help) compgen -W '--help' -- "$2" ;;
version) compgen -W '--help' -- "$2" ;;
esac
}
_agent_init_values() {
case $1 in
--agent) compgen -W "auto none $(_agent_init_agents)" -- "$2" ;;
--auth) compgen -W 'auto sync copy follow token api-key ignore' -- "$2" ;;
--prefer) compgen -W 'oauth-token auth-token api-key session cloud' -- "$2" ;;
--capture) compgen -d -- "$2" ;;
--secrets) compgen -d -- "$2" ;;
--deliver) compgen -W 'env fd' -- "$2" ;;
--sync) compgen -W 'live exit off' -- "$2" ;;
--require) compgen -W " $(_agent_init_agents)" -- "$2" ;;
--user) compgen -u -- "$2" ;;
--user-from) compgen -f -- "$2" ;;
--home) compgen -d -- "$2" ;;
--work-dir) compgen -d -- "$2" ;;
--scope) compgen -W 'login settings all' -- "$2" ;;
--first-run) compgen -W 'on off' -- "$2" ;;
--trust) compgen -d -- "$2" ;;
--state-dir) compgen -d -- "$2" ;;
--drop-caps) compgen -W 'on off auto' -- "$2" ;;
--no-new-privs) compgen -W 'on off auto' -- "$2" ;;
--stop-signal) compgen -W 'TERM INT HUP QUIT USR1 USR2' -- "$2" ;;
--forward-to) compgen -W 'group process' -- "$2" ;;
--log-format) compgen -W 'text json' -- "$2" ;;
--verbose) compgen -W 'on off' -- "$2" ;;
--quiet) compgen -W 'on off' -- "$2" ;;
--auto) compgen -W 'on off' -- "$2" ;;
--token) compgen -W 'on off' -- "$2" ;;
--once) compgen -W 'on off' -- "$2" ;;
esac
}
_agent_init_rest() {
case $1 in
run) compgen -c -- "$2" ;;
setup) compgen -c -- "$2" ;;
plan) compgen -c -- "$2" ;;
exec) compgen -c -- "$2" ;;
agents) compgen -W " $(_agent_init_agents)" -- "$2" ;;
install) compgen -f -- "$2" ;;
completions) compgen -W 'bash zsh fish' -- "$2" ;;
help) compgen -W 'run serve setup keep status history plan doctor healthcheck exec agents install completions help version' -- "$2" ;;
esac
}
_agent_init() {
# Words that bash splits at = and : are put together again; at: where each begins in COMP_WORDS.
local -a words=() at=()
local cur=$2 command=run i=0 glued='' last
for ((; i <= COMP_CWORD; i++)); do
if ((${#words[@]} > 1)) && [[ -n $glued || ${COMP_WORDS[i]} == [=:]* ]]; then
words[${#words[@]}-1]+=${COMP_WORDS[i]}
[[ ${COMP_WORDS[i]} == [=:] ]] && glued=1 || glued=''
else
words+=("${COMP_WORDS[i]}") at+=("$i")
fi
done
[[ $cur == [=:] ]] && cur=''
last=$((${#words[@]} - 1)) i=1
if ((last > 1)) && [[ " run serve setup keep status history plan doctor healthcheck exec agents install completions help version " == *" ${words[1]} "* ]]; then
command=${words[1]} i=2
fi
COMPREPLY=()
while ((i < last)); do
case ${words[i]} in
--) ((i++)); break ;;
--*=*) ((i++)) ;;
--agent|--auth|--prefer|--capture|--store|--secrets|--deliver|--sync|--wait|--user|--user-from|--home|--work-dir|--scope|--first-run|--trust|--state-dir|--drop-caps|--no-new-privs|--stop-signal|--grace|--forward-to|--rewrite|--log-format|--warn-within|--on-event|--before)
if ((i + 1 == last)); then
mapfile -t COMPREPLY < <(_agent_init_values "${words[i]}" "$cur")
return
fi
((i += 2)) ;;
-*) ((i++)) ;;
*) break ;;
esac
done
if ((i < last)); then
if [[ $command == @(run|setup|plan|exec) ]]; then
local offset
for offset in _comp_command_offset _command_offset; do
declare -F "$offset" >/dev/null && "$offset" "${at[i]}" && return
done
fi
elif [[ ${words[i]} == -*=* && ${words[i-1]} != -- ]]; then
mapfile -t COMPREPLY < <(_agent_init_values "${words[i]%%=*}" "$cur")
elif [[ ${words[i]} == -* && ${words[i-1]} != -- ]]; then
mapfile -t COMPREPLY < <(_agent_init_options "$command" "$cur")
else
mapfile -t COMPREPLY < <(((last == 1)) && compgen -W 'run serve setup keep status history plan doctor healthcheck exec agents install completions help version' -- "$cur"; _agent_init_rest "$command" "$cur")
fi
}
complete -o default -F _agent_init agent-init
