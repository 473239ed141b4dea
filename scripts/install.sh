#!/bin/sh
# Installs the binary of a release on Linux. It is checked against the release's SHA256SUMS and replaces an older one in one
# step. Nothing is left behind if that fails.
#
#   install.sh [--version V] [--to DIR] [--base-url URL]
#
#   --version V       a release, such as 0.2.0 (default: the newest)
#   --to DIR          where agent-init is installed (default: /usr/local/bin)
#   --base-url URL    the directory that has the files of a release: a mirror
#
# Needs curl, wget or fetch, and sha256sum, shasum or sha256. POSIX sh: it runs in any image that has one.
set -eu

# The page of the project. scripts/release writes it into the copy that a release has.
repository=''

# fail WHAT HINT
fail() {
    echo "install.sh: $1" >&2
    echo "  hint: $2" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# download NAME: from $base, to a file of that name in $staging.
download() {
    if has curl; then
        set -- "$1" curl -fsSL -o "$staging/$1" "$base/$1"
    elif has wget; then
        set -- "$1" wget -q -O "$staging/$1" "$base/$1"
    elif has fetch; then
        set -- "$1" fetch -q -o "$staging/$1" "$base/$1"
    else
        fail "there is nothing to download with" "install curl, wget or fetch"
    fi
    name=$1
    shift
    why=$("$@" 2>&1) && return
    status=$?
    fail "cannot download $base/$name: ${why:-$1 exited with status $status}" \
        "check the address, and that the release exists; --base-url names another place"
}

# sum_of FILE
sum_of() {
    if has sha256sum; then
        sha256sum <"$1" | cut -d ' ' -f 1
    elif has shasum; then
        shasum -a 256 <"$1" | cut -d ' ' -f 1
    elif has sha256; then
        sha256 -q "$1"
    else
        fail "there is nothing to check the sum with" "install sha256sum, shasum or sha256"
    fi
}

read_words() {
    version='' to=/usr/local/bin base=''
    while [ $# -gt 0 ]; do
        case $1 in
        --version | --to | --base-url)
            [ -n "${2-}" ] || fail "$1 needs a value" "usage: install.sh [--version V] [--to DIR] [--base-url URL]"
            ;;
        *) fail "unknown word '$1'" "usage: install.sh [--version V] [--to DIR] [--base-url URL]" ;;
        esac
        case $1 in
        --version) version=${2#v} ;;
        --to) to=$2 ;;
        --base-url) base=${2%/} ;;
        esac
        shift 2
    done
    case $version in
    *[!0-9A-Za-z.-]*) fail "'$version' is not a version" "give one such as --version 0.2.0" ;;
    esac
    case $to in
    /*) ;;
    *) to=./$to ;;
    esac
    if [ -z "$base" ]; then
        [ -n "$repository" ] || fail "this copy does not know where the releases are" \
            "say it with --base-url URL, or use the install.sh of a release"
        base=$repository/releases/latest/download
        [ -z "$version" ] || base=$repository/releases/download/v$version
    fi
}

read_machine() {
    machine=$(uname -m)
    case $machine in
    x86_64 | amd64) architecture=x86_64 ;;
    aarch64 | arm64) architecture=aarch64 ;;
    *) architecture='' ;;
    esac
    system=$(uname -s)
    [ "$system" = Linux ] || fail "agent-init is PID 1 of Linux containers and does not run on $system" \
        "it runs in your containers. Add this line to their Dockerfile:
    ADD --chmod=755 $base/agent-init-${version:-VERSION}-${architecture:-x86_64}-linux /usr/local/bin/agent-init"
    [ -n "$architecture" ] || fail "there is no binary for $machine, only for x86_64 and aarch64" \
        "build it from the sources: scripts/build"
}

# find_binary: sets $binary, its name, and $expected, its sum.
find_binary() {
    binary=''
    while read -r sum name; do
        name=${name#\*}
        # A version has no characters that a pattern knows.
        case $name in
        *[!0-9A-Za-z._-]*) ;;
        agent-init-${version:-*}-$architecture-linux) binary=$name expected=$sum ;;
        esac
    done <"$staging/SHA256SUMS"
    [ -n "$binary" ] || fail "$base/SHA256SUMS names no agent-init-${version:-VERSION}-$architecture-linux" \
        "check --version and --base-url: the URL is the directory of one release"
}

main() {
    read_words "$@"
    read_machine
    [ -d "$to" ] || fail "$to is not a directory" "create it, or name another one: --to DIR"
    [ ! -d "$to/agent-init" ] || fail "$to/agent-init is a directory" "remove it, or name another place: --to DIR"

    # In the same file system as the target: only there a rename replaces it in one step.
    staging=$to/.agent-init.$$
    why=$(mkdir -m 700 "$staging" 2>&1) ||
        fail "cannot write to $to: ${why##*: }" "run this as a user who may write there, or name another place: --to DIR"
    trap 'rm -rf "$staging"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM

    download SHA256SUMS
    find_binary
    download "$binary"
    actual=$(sum_of "$staging/$binary")
    [ "$actual" = "$expected" ] || fail "$base/$binary is not the file of the release: its SHA-256 is $actual, not $expected" \
        "try again; if it stays so, do not use this source"
    chmod 755 "$staging/$binary"
    mv -f "$staging/$binary" "$to/agent-init"
    echo "installed $to/agent-init ($binary, checked against SHA256SUMS)"
    case :$PATH: in
    *":$to:"*) ;;
    *) echo "  hint: $to is not on your PATH" ;;
    esac
}

# At the end: half a script, from a download that broke, does nothing.
main "$@"
