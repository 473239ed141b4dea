# shellcheck shell=sh
# login NAME: a session of Claude Code with made-up tokens.
login() {
    printf '{"claudeAiOauth":{"accessToken":"FAKE-access-%s","refreshToken":"FAKE-refresh-%s","expiresAt":4102444800000,"scopes":["user:inference"],"subscriptionType":"max"}}\n' \
        "$1" "$1"
}
