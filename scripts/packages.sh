# shellcheck shell=sh
# The Debian packages that a script needs. Nothing is installed without consent: `--yes` among the script's words, CI=true
# in the environment, or a "y" on the terminal. Sourced, before they read their words, by scripts that set $script, the name
# their messages begin with.

: "${script:?}"
missing=''
reason="for scripts/$script"
last_reason=''
reasons=''

# Consent reaches the scripts that this one runs: INSTALL_PACKAGES=yes or no in their environment.
for word; do
    shift
    if [ "$word" = --yes ]; then
        export INSTALL_PACKAGES=yes
    else
        set -- "$@" "$word"
    fi
done
if [ "${CI-}" = true ]; then
    export INSTALL_PACKAGES=yes
fi

# for_use TEXT: what the packages named from here on are for.
for_use() { reason=$1; }

# need COMMAND [PACKAGE...]: without COMMAND these packages are missing; by default the one of its name.
need() {
    if ! PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1; then
        [ $# = 1 ] || shift
        lack "$@"
    fi
}

# lack PACKAGE...: they are missing. One line a reason in $reasons.
lack() {
    missing="$missing $*"
    if [ "$reason" = "$last_reason" ]; then
        reasons="$reasons $*"
    else
        reasons="$reasons
  $reason: $*"
    fi
    last_reason=$reason
}

# may_install: asks where nobody has answered yet. Returns 1 for a no, and ends the script if there is nobody to ask.
may_install() {
    case ${INSTALL_PACKAGES-} in
    yes) return 0 ;;
    no)
        echo "$script: missing Debian packages:$missing (not installed: you said no)" >&2
        return 1
        ;;
    esac
    echo "$script: missing Debian packages:$reasons" >&2
    if [ ! -t 0 ] || [ ! -t 2 ]; then
        echo "$script: nothing was installed, because there is no terminal to ask on" >&2
        echo "  hint: run it again with --yes, or: apt-get install$missing" >&2
        exit 1
    fi
    printf 'Install them with apt-get? [y/N] ' >&2
    read -r answer || { answer='' && echo >&2; }
    case $answer in
    [Yy] | [Yy][Ee][Ss])
        export INSTALL_PACKAGES=yes
        return 0
        ;;
    esac
    export INSTALL_PACKAGES=no
    echo "$script: nothing was installed" >&2
    return 1
}

# install_missing: all at once. Returns 1 after a message if we may not; a failing apt-get ends the script.
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
    may_install || return 1
    echo "$script: installing$missing" >&2
    # An update that fails leaves the lists that are there.
    apt-get -qq update </dev/null >&2 || :
    # Another script of ours may be installing as well.
    # shellcheck disable=SC2086 # one word a package
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends $missing \
        </dev/null >/dev/null || { echo "$script: could not install$missing" >&2 && exit 1; }
    missing=''
    reasons=''
    last_reason=''
}
