# Read by scripts/demo: the story of a stand-in agent. Helpers are in scripts/demo.
# shellcheck shell=sh disable=SC2154,SC2034

STATUS=7
gate=$temp/gate
mkfifo -m 666 "$gate"
# Opened for both ends, so that the agent finds a writer whenever it comes.
exec 4<>"$gate"

login='{"claudeAiOauth":{"accessToken":"FAKE-access-first","refreshToken":"FAKE-refresh-first","expiresAt":4102444800000,"scopes":["user:inference"],"subscriptionType":"max"}}'

stage "What is given"
fact CLAUDE_CREDENTIALS_B64 "a login: access token FAKE-access-first, refresh token FAKE-refresh-first"
fact capture "an empty directory"
fact command "agent-init $user--capture DIR -- claude"
fact "agent-init runs" "$place"

provide "$root/scripts/demo.d/bin/claude"
environment="DEMO_GATE=$gate CLAUDE_CREDENTIALS_B64=$(printf %s "$login" | base64 | tr -d '\n')"
launch claude

# report END: copies the agent's lines up to END
report() {
    while IFS= read -r line <&3; do
        [ "$line" != "$1" ] || return 0
        printf '%s\n' "$line"
    done
    echo "the agent ended early"
}

report "end of report" >"$temp/report"
stage "What agent-init found"
show <"$temp/err"
check "it names the session" grep -q "claude auth: subscription login (sync)" "$temp/err"
check "no token is in its messages" absent FAKE "$temp/err"

stage "What was installed, as the agent sees it"
show <"$temp/report"
check "the agent has the access token" grep -q "^access token FAKE-access-first$" "$temp/report"
check "the directory is private to it" grep -q "^drwx------ .* $owner $owner .*\\.$" "$temp/report"
check "the login is private to it" grep -q "^-rw------- .* $owner $owner .*\\.credentials\\.json$" "$temp/report"
check "nothing of the login is in its environment" grep -q "^no variable with a login is left$" "$temp/report"

stage "The agent refreshes its login"
report "end of refresh" | show

stage "The capture, while the agent still runs"
within "the refreshed login is published" captured FAKE-access-second
show_capture
check "the agent still runs" kill -0 "$agent"

stage "The agent ends with status $STATUS"
echo "$STATUS" >&4
ended "$STATUS"
