# shellcheck shell=sh
# Debian packages of any architecture, unpacked into a cache and not installed: the machine's packages and apt's lists stay as
# they are. Sourced after packages.sh.

: "${script:?}"
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/agent-init
suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# private_apt COMMAND...: with lists of our own. How to get to the mirror (a proxy, say) is the machine's affair.
private_apt() {
    mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial"
    for part in "$suite" "$suite-backports"; do
        echo "deb [signed-by=$keyring] http://deb.debian.org/debian $part main"
    done >"$cache/apt/sources.list"
    {
        apt-config dump | grep '^Acquire::[^ ]*[Pp]roxy' || :
        cat <<EOF
Dir::Etc { main "/dev/null"; parts "/dev/null"; preferencesparts "/dev/null"; sourceparts "/dev/null"; };
Dir::Etc::sourcelist "$cache/apt/sources.list";
Dir::State "$cache/apt";
Dir::State::status "/dev/null";
Dir::Cache "$cache/apt";
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
EOF
    } >"$cache/apt/apt.conf"
    APT_CONFIG=$cache/apt/apt.conf "$@"
}

# update_lists: once in a script.
lists_are_new=''
update_lists() {
    [ -z "$lists_are_new" ] || return 0
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        echo "$script: this takes packages of Debian, and there is no apt-get or dpkg-deb to get them with" >&2
        exit 1
    fi
    if [ ! -e "$keyring" ]; then
        for_use "to check what comes from Debian's mirror"
        lack debian-archive-keyring
        install_missing || exit
    fi
    private_apt apt-get -qq update </dev/null >&2 || { echo "$script: cannot read the lists of deb.debian.org" >&2 && exit 1; }
    lists_are_new=yes
}

# unpack ARCHITECTURE PACKAGE VERSION: sets $unpacked to where the files of PACKAGE are. VERSION is how it begins.
unpack() {
    for unpacked in "$cache/$2_$3"*"_$1"; do
        [ ! -d "$unpacked" ] || return 0
    done
    update_lists
    version=$(private_apt apt-cache madison "$2:$1" | cut -d'|' -f2 | tr -d ' ' |
        while read -r version; do case $version in "$3"*) echo "$version" && break ;; esac; done)
    [ -n "$version" ] || { echo "$script: Debian $suite has no $2 $3" >&2 && exit 1; }
    echo "$script: getting $2 $version ($1)" >&2
    new=$(mktemp -d "$cache/new.XXXXXX")
    (cd "$new" && private_apt apt-get -qq download "$2:$1=$version" </dev/null >&2 && dpkg-deb -x ./*.deb files) ||
        { rm -rf "$new" && echo "$script: cannot get $2 $version" >&2 && exit 1; }
    unpacked=$cache/$2_${version}_$1
    # Another script of ours may have been faster.
    mv -T "$new/files" "$unpacked" 2>/dev/null || [ -d "$unpacked" ]
    rm -rf "$new"
}

# unpack_newest ARCHITECTURE BEGINNING END: the newest package whose name begins and ends so.
unpack_newest() {
    for unpacked in "$cache/$2"*"$3_"*"_$1"; do
        [ ! -d "$unpacked" ] || return 0
    done
    update_lists
    package=$(private_apt apt-cache -o "APT::Architecture=$1" pkgnames "$2" | grep -- "$3\$" | sort -V | tail -n 1)
    [ -n "$package" ] || { echo "$script: Debian $suite has no $2*$3" >&2 && exit 1; }
    unpack "$1" "$package" ""
}
