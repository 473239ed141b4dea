# zsh ask.zsh DIRECTORY LINE: what the completions in DIRECTORY offer at the end of LINE, one a line. Completion takes a
# shell at a terminal, which is asked what it gives to compadd; calls that only sort matches into arrays offer nothing.
zmodload zsh/zpty
zpty asked zsh -f -i
zpty -w asked "PS1= PS2= fpath=($1 \$fpath) line=${(qq)2}; exec 3>&1"
zpty -w asked 'autoload -U compinit; compinit -u -D
compadd() {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
  local -a offered; builtin compadd -A offered "$@"
  (( $#offered )) && print -rl -- "" "<"$^offered">" >&3
  builtin compadd "$@"
}
ask() { BUFFER=$line CURSOR=$#line; zle list-choices; print -r "<END>" >&3; exit }
zle -N ask; bindkey "^T" ask
print -r "<READY>"'
zpty -r asked said $'*\n<READY>*'
zpty -w -n asked $'\C-t'
zpty -r asked said $'*<END>*'
print -r -- $said | sed -n 's/^<\(.*\)>.\{0,1\}$/\1/p' | grep -v '^END$'
