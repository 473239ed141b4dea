# bash ask.bash FILE LINE: what the completions in FILE offer at the end of LINE, one a line.
_command_offset() { COMPREPLY=("completions of ${COMP_WORDS[*]:$1}"); }
. "$1"
# As bash splits it: = is a word.
read -ra COMP_WORDS <<<"${2//=/ = }"
case $2 in *' ') COMP_WORDS+=('') ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_agent_init agent-init "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
