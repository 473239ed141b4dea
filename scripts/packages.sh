# shellcheck shell=sh
# The Debian packages that a script needs. Sourced by scripts that set $script, the name their messages begin with.

: "${script:?}"
missing=''

# need COMMAND [PACKAGE...]: where there is no COMMAND, these are missing; a package of its own name if none is given.
need() {
    if ! PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1; then
        [ $# = 1 ] || shift
        lack "$@"
    fi
}

# lack PACKAGE...: they are missing.
lack() { missing="$missing $*"; }

# install_missing: all at once. 1, and one line on standard error, if we may not; what apt-get can not do ends the script.
install_missing() {
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "$script: missing Debian packages:$missing (install them, or run this as root)" >&2
        return 1
    fi
    if ! command -v apt-get >/dev/null; then
        echo "$script: missing Debian packages:$missing; there is no apt-get to install them with" >&2
        return 1
    fi
    echo "$script: installing$missing" >&2
    # An update that fails leaves the lists that are there.
    apt-get -qq update </dev/null >&2 || :
    # Another script of ours may be installing as well.
    # shellcheck disable=SC2086 # one word a package
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends $missing \
        </dev/null >/dev/null || { echo "$script: could not install$missing" >&2 && exit 1; }
    missing=''
}
