#!/bin/sh
# Stand-in for an agent CLI: evaluates its first argument; the rest are its positional parameters.
# Logins are made as the tests make them (session.rs).
set -u
case ${0##*/} in
codex) C=${CODEX_HOME:-${HOME:-}/.codex} F=$C/auth.json ;;
*) C=${CLAUDE_CONFIG_DIR:-${HOME:-}/.claude} F=$C/.credentials.json ;;
esac

say() { printf '%s\n' "$*"; }
# login NAME [EXPIRES_MS]: a session's JSON
login() {
	printf '{"claudeAiOauth":{"accessToken":"FAKE-access-%s","refreshToken":"FAKE-refresh-%s","expiresAt":%s,"scopes":["user:inference","user:profile"],"subscriptionType":"max"}}' \
		"$1" "$1" "${2:-4102444800000}"
}
# The three ways in which agents write: temp and rename, in place, in place in two pieces.
refresh() {
	(umask 077 && login "$@" >"$F.tmp.$$") && mv "$F.tmp.$$" "$F"
}
inplace() { login "$@" >"$F"; }
torn() { printf '{"claudeAiOauth":{"accessToken":"FAKE-torn' >"$F"; }
# What Claude Code leaves when its refresh was refused.
blank() {
	printf '{"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0,"scopes":["user:inference"]}}' >"$F.tmp.$$"
	mv "$F.tmp.$$" "$F"
}
# replace CONTENT: temp and rename of the credential file with any content
replace() {
	(umask 077 && printf '%s' "$1" >"$F.tmp.$$") && mv "$F.tmp.$$" "$F"
}
# hold FIFO [WORDS]: says the words, then waits until the test opens the gate; traps run meanwhile. A shell in `read` can
# miss a signal that comes just before it blocks; one in `wait` cannot. When the reader says the words it has left our
# process group; a forwarded signal that is faster ends it, and it is started again.
hold() {
	while :; do
		setsid sh -c '[ -z "$2" ] || echo "$2"; exec >/dev/null 2>&1; [ -p "$1" ] && read -r word <"$1" && [ "$word" = go ]' sh "$1" "${2:-}" &
		until wait $! || ! kill -0 $! 2>/dev/null; do :; done
		# It has ended: this is its status, and no interruption's.
		wait $!
		case $? in
		0) return ;;
		1) exit 97 ;;
		esac
	done
}
# seen: the environment, and FILE=<credential file> if there is one
seen() {
	env | sort
	[ ! -e "$F" ] || say "FILE=$(cat "$F")"
}
# tree: every path in the agent's directory with type, mode and owner
tree() { (cd "$C" && find . -printf '%P %y %m %U:%G\n' | sort); }

if [ $# -gt 0 ]; then
	script=$1
	shift
	eval "$script"
fi
