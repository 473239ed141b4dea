# Read by scripts/demo: the story of the real Claude Code CLI against the fake vendor. Helpers are in scripts/demo.
# shellcheck shell=sh disable=SC2154,SC2034,SC2086

messages=/v1/messages
stage "The real Claude Code CLI, from npm"
agents=$("$root/scripts/agents" claude)
provide "$(readlink -f "$agents/bin/claude")"
fact version "$(HOME=$temp/version "$temp/bin/claude" --version </dev/null)"

vendor() { # VERB...
    verb=$1
    shift
    python3 -B "$root/tests/vendor/vendor.py" "$verb" --dir "$temp/vendor" "$@"
}
# bearer: what the newest prompt was sent with
bearer() { vendor control log path=$messages | tail -n 1 | sed -n 's/.*"bearer": "\([^"]*\)".*/\1/p'; }
answers() { grep -q "Hello from the fake vendor" "$temp/answer"; }

stage "A fake vendor whose refresh tokens work once"
mkfifo "$temp/ready"
$network python3 -B "$root/tests/vendor/vendor.py" serve --dir "$temp/vendor" ${network:+--loopback-up} >"$temp/ready" &
vendor_pid=$!
read -r ready <"$temp/ready" || { echo "the vendor does not start" && exit 1; }
environment=$(printf %s "$ready" | python3 -B -c 'import json, sys
for name, value in json.load(sys.stdin)["environment"].items(): print(f"{name}={value}")')
if [ -n "$network" ]; then
    fact network "a loopback of its own, from which nothing but the vendor can be reached"
    enter="$join -t $vendor_pid $namespaces"
else
    fact network "loopback; the proxy variables lead every request to the vendor"
fi
fact "its log" "method, path, credential, status of every request"
vendor mint claude --expires-in 60 >"$temp/login"
first=$(token accessToken "$temp/login")

stage "What is given"
fact CLAUDE_CREDENTIALS_B64 "a login that ends in a minute"
fact "access token" "$first"
fact "refresh token" "$(token refreshToken "$temp/login")"
fact capture "an empty directory"
fact command "agent-init $user--capture DIR -- claude -p hello"
fact "agent-init runs" "$place"

stage "What agent-init found"
vendor control hold path=$messages >/dev/null
proxy=$environment
environment="$environment CLAUDE_CREDENTIALS_B64=$(base64 <"$temp/login" | tr -d '\n')"
launch claude -p hello
# Should it end early, nothing waits for it any more.
{
    cat <&3 >"$temp/answer"
    vendor control release >/dev/null
} &
reader=$!
# Until the prompt has reached the vendor, which holds its answer back: Claude Code cannot end meanwhile.
vendor control wait path=$messages >/dev/null || :
show <"$temp/err"
check "it names the session" grep -q "claude auth: subscription login (sync)" "$temp/err"
check "no token is in its messages" absent FAKE "$temp/err"

stage "What Claude Code sent: it refreshed, then asked"
second=$(bearer)
vendor log | show
spent() { vendor control log path=/v1/oauth/token | grep -c .; }
check "one refresh" same "$(spent)" 1
check "the prompt went out with the new token" other "$second" "$first"

stage "The working copy and the capture, while Claude Code still runs"
work=$temp/home/.claude
show_owners "$work"
within "the refreshed login is published" captured "$second"
show_capture
check "the working copy belongs to the agent's user" same "$(stat -c %u:%a "$work/.credentials.json" 2>&1)" "$owner_outside:600"
check "Claude Code still runs" kill -0 "$agent"

stage "The vendor answers"
vendor control release >/dev/null
wait "$reader"
show <"$temp/answer"
check "the answer is printed" answers
ended 0

stage "A second container, from the capture alone"
rm -rf "${temp:?}/home" "$temp/state"
mkdir "$temp/home"
[ -z "$user" ] || chown "$owner:$owner" "$temp/home"
environment=$proxy
launch claude -p "hello again"
cat <&3 >"$temp/answer"
show <"$temp/err"
show <"$temp/answer"
check "the answer is printed" answers
ended 0
check "the prompt went out with the captured token" same "$(bearer)" "$second"
check "no other refresh" same "$(spent)" 1
