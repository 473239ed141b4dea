_agent__init() {
local i cur prev opts cmd
COMPREPLY=()
if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
cur="$2"
else
cur="${COMP_WORDS[COMP_CWORD]}"
fi
prev="$3"
cmd=""
opts=""

for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
do
case "${cmd},${i}" in
",$1")
cmd="agent__init"
;;
agent__init,agents)
cmd="agent__init__subcmd__agents"
;;
agent__init,completions)
cmd="agent__init__subcmd__completions"
;;
agent__init,doctor)
cmd="agent__init__subcmd__doctor"
;;
agent__init,exec)
cmd="agent__init__subcmd__exec"
;;
agent__init,healthcheck)
cmd="agent__init__subcmd__healthcheck"
;;
agent__init,install)
cmd="agent__init__subcmd__install"
;;
agent__init,plan)
cmd="agent__init__subcmd__plan"
;;
agent__init,run)
cmd="agent__init__subcmd__run"
;;
agent__init,setup)
cmd="agent__init__subcmd__setup"
;;
agent__init,status)
cmd="agent__init__subcmd__status"
;;
*)
;;
esac
done

case "${cmd}" in
agent__init)
opts="-v -q -h -V --agent --auth --prefer --capture --store --secrets --user --user-from --home --work-dir --scope --deliver --first-run --trust --sync --require --wait --grace --stop-signal --rewrite --forward-to --drop-caps --no-new-privs --state-dir --log-format --verbose --quiet --help --version run setup status plan doctor healthcheck exec agents install completions"
if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
fi
case "${prev}" in
--agent)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--auth)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--prefer)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--capture)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--store)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--secrets)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--user)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--user-from)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--home)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--work-dir)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--scope)
COMPREPLY=($(compgen -W "login settings all" -- "${cur}"))
return 0
;;
--deliver)
COMPREPLY=($(compgen -W "env fd" -- "${cur}"))
return 0
;;
--first-run)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--trust)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--sync)
COMPREPLY=($(compgen -W "live exit off" -- "${cur}"))
return 0
;;
--require)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--wait)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--grace)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--stop-signal)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--rewrite)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--forward-to)
COMPREPLY=($(compgen -W "group process" -- "${cur}"))
return 0
;;
--drop-caps)
COMPREPLY=($(compgen -W "on off auto" -- "${cur}"))
return 0
;;
--no-new-privs)
COMPREPLY=($(compgen -W "on off auto" -- "${cur}"))
return 0
;;
--state-dir)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--log-format)
COMPREPLY=($(compgen -W "text json" -- "${cur}"))
return 0
;;
--verbose)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
-v)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--quiet)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
-q)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
*)
COMPREPLY=()
;;
esac
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
;;
agent__subcmd__init__subcmd__agents)
opts="-h --json --help"
if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
fi
case "${prev}" in
*)
COMPREPLY=()
;;
esac
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
;;
agent__subcmd__init__subcmd__completions)
opts="-h --help bash zsh fish"
if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
fi
case "${prev}" in
*)
COMPREPLY=()
;;
esac
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
;;
agent__subcmd__init__subcmd__doctor)
opts="-v -q -h --agent --auth --prefer --capture --store --secrets --user --user-from --home --work-dir --scope --deliver --first-run --trust --sync --require --wait --grace --stop-signal --rewrite --forward-to --drop-caps --no-new-privs --state-dir --log-format --verbose --quiet --json --help"
if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
fi
case "${prev}" in
--agent)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--auth)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--prefer)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--capture)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--store)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--secrets)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--user)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--user-from)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--home)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--work-dir)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--scope)
COMPREPLY=($(compgen -W "login settings all" -- "${cur}"))
return 0
;;
--deliver)
COMPREPLY=($(compgen -W "env fd" -- "${cur}"))
return 0
;;
--first-run)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--trust)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--sync)
COMPREPLY=($(compgen -W "live exit off" -- "${cur}"))
return 0
;;
--require)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--wait)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--grace)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--stop-signal)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--rewrite)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--forward-to)
COMPREPLY=($(compgen -W "group process" -- "${cur}"))
return 0
;;
--drop-caps)
COMPREPLY=($(compgen -W "on off auto" -- "${cur}"))
return 0
;;
--no-new-privs)
COMPREPLY=($(compgen -W "on off auto" -- "${cur}"))
return 0
;;
--state-dir)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--log-format)
COMPREPLY=($(compgen -W "text json" -- "${cur}"))
return 0
;;
--verbose)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
-v)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--quiet)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
-q)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
*)
COMPREPLY=()
;;
esac
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
;;
agent__subcmd__init__subcmd__exec)
opts="-h --state-dir --help"
if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
fi
case "${prev}" in
--state-dir)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
*)
COMPREPLY=()
;;
esac
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
;;
agent__subcmd__init__subcmd__healthcheck)
opts="-h --state-dir --help"
if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
fi
case "${prev}" in
--state-dir)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
*)
COMPREPLY=()
;;
esac
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
;;
agent__subcmd__init__subcmd__install)
opts="-h --help"
if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
fi
case "${prev}" in
*)
COMPREPLY=()
;;
esac
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
;;
agent__subcmd__init__subcmd__plan)
opts="-v -q -h --agent --auth --prefer --capture --store --secrets --user --user-from --home --work-dir --scope --deliver --first-run --trust --sync --require --wait --grace --stop-signal --rewrite --forward-to --drop-caps --no-new-privs --state-dir --log-format --verbose --quiet --json --help"
if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
fi
case "${prev}" in
--agent)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--auth)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--prefer)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--capture)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--store)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--secrets)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--user)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--user-from)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--home)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--work-dir)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--scope)
COMPREPLY=($(compgen -W "login settings all" -- "${cur}"))
return 0
;;
--deliver)
COMPREPLY=($(compgen -W "env fd" -- "${cur}"))
return 0
;;
--first-run)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--trust)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--sync)
COMPREPLY=($(compgen -W "live exit off" -- "${cur}"))
return 0
;;
--require)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--wait)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--grace)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--stop-signal)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--rewrite)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--forward-to)
COMPREPLY=($(compgen -W "group process" -- "${cur}"))
return 0
;;
--drop-caps)
COMPREPLY=($(compgen -W "on off auto" -- "${cur}"))
return 0
;;
--no-new-privs)
COMPREPLY=($(compgen -W "on off auto" -- "${cur}"))
return 0
;;
--state-dir)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--log-format)
COMPREPLY=($(compgen -W "text json" -- "${cur}"))
return 0
;;
--verbose)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
-v)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--quiet)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
-q)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
*)
COMPREPLY=()
;;
esac
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
;;
agent__subcmd__init__subcmd__run)
opts="-v -q -h -V --agent --auth --prefer --capture --store --secrets --user --user-from --home --work-dir --scope --deliver --first-run --trust --sync --require --wait --grace --stop-signal --rewrite --forward-to --drop-caps --no-new-privs --state-dir --log-format --verbose --quiet --help --version"
if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
fi
case "${prev}" in
--agent)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--auth)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--prefer)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--capture)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--store)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--secrets)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--user)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--user-from)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--home)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--work-dir)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--scope)
COMPREPLY=($(compgen -W "login settings all" -- "${cur}"))
return 0
;;
--deliver)
COMPREPLY=($(compgen -W "env fd" -- "${cur}"))
return 0
;;
--first-run)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--trust)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--sync)
COMPREPLY=($(compgen -W "live exit off" -- "${cur}"))
return 0
;;
--require)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--wait)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--grace)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--stop-signal)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--rewrite)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--forward-to)
COMPREPLY=($(compgen -W "group process" -- "${cur}"))
return 0
;;
--drop-caps)
COMPREPLY=($(compgen -W "on off auto" -- "${cur}"))
return 0
;;
--no-new-privs)
COMPREPLY=($(compgen -W "on off auto" -- "${cur}"))
return 0
;;
--state-dir)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--log-format)
COMPREPLY=($(compgen -W "text json" -- "${cur}"))
return 0
;;
--verbose)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
-v)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--quiet)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
-q)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
*)
COMPREPLY=()
;;
esac
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
;;
agent__subcmd__init__subcmd__setup)
opts="-v -q -h --agent --auto --token --capture --user --user-from --home --work-dir --scope --first-run --trust --grace --state-dir --log-format --verbose --quiet --help"
if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
fi
case "${prev}" in
--agent)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--auto)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--token)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--capture)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--user)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--user-from)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--home)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--work-dir)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--scope)
COMPREPLY=($(compgen -W "login settings all" -- "${cur}"))
return 0
;;
--first-run)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--trust)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--grace)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--state-dir)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--log-format)
COMPREPLY=($(compgen -W "text json" -- "${cur}"))
return 0
;;
--verbose)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
-v)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--quiet)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
-q)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
*)
COMPREPLY=()
;;
esac
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
;;
agent__subcmd__init__subcmd__status)
opts="-v -q -h --agent --auth --prefer --capture --store --secrets --user --user-from --home --work-dir --scope --deliver --first-run --trust --sync --require --wait --grace --stop-signal --rewrite --forward-to --drop-caps --no-new-privs --state-dir --log-format --verbose --quiet --warn-within --json --help"
if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
fi
case "${prev}" in
--agent)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--auth)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--prefer)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--capture)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--store)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--secrets)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--user)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--user-from)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--home)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--work-dir)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--scope)
COMPREPLY=($(compgen -W "login settings all" -- "${cur}"))
return 0
;;
--deliver)
COMPREPLY=($(compgen -W "env fd" -- "${cur}"))
return 0
;;
--first-run)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--trust)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--sync)
COMPREPLY=($(compgen -W "live exit off" -- "${cur}"))
return 0
;;
--require)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--wait)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--grace)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--stop-signal)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--rewrite)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--forward-to)
COMPREPLY=($(compgen -W "group process" -- "${cur}"))
return 0
;;
--drop-caps)
COMPREPLY=($(compgen -W "on off auto" -- "${cur}"))
return 0
;;
--no-new-privs)
COMPREPLY=($(compgen -W "on off auto" -- "${cur}"))
return 0
;;
--state-dir)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--log-format)
COMPREPLY=($(compgen -W "text json" -- "${cur}"))
return 0
;;
--verbose)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
-v)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--quiet)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
-q)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
--warn-within)
COMPREPLY=($(compgen -f "${cur}"))
return 0
;;
*)
COMPREPLY=()
;;
esac
COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
return 0
;;
esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
complete -F _agent__init -o nosort -o bashdefault -o default agent-init
else
complete -F _agent__init -o bashdefault -o default agent-init
fi
