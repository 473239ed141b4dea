# shellcheck shell=sh
# For scripts/setup and scripts/status, which set $script: docker, the image, captures. Variables as in compose.yaml:
# CAPTURE, CAPTURE_DIR, AGENTS, BINARY, TAG; and DOCKER, a command that takes docker's words.

: "${script:?}"
root=$(cd "$(dirname "$0")/.." && pwd)
docker=${DOCKER:-docker}
image=agent-init-setup:${TAG:-latest}
volumes=agent-logins-

die() {
    echo "$script: $1" >&2
    [ $# -lt 2 ] || echo "  hint: $2" >&2
    exit 1
}

need_docker() {
    command -v "$docker" >/dev/null ||
        die "docker is missing" "install it (https://docs.docker.com/engine/install), or name another with DOCKER=podman"
    reason=$("$docker" version 2>&1 >/dev/null) ||
        die "docker does not answer: $reason" "start its service; the right to use it comes with root or the group docker"
}

# need_image [AGENT]: builds the setup image if it is not there, or has no such agent.
need_image() {
    agents=${AGENTS:-claude codex}
    case " $agents " in
    *" ${1-} "* | "  ") ;;
    *) [ -z "${1-}" ] || agents="$agents $1" ;;
    esac
    built=$("$docker" image inspect --format '{{index .Config.Labels "agent-init.agents"}}' "$image" 2>/dev/null) || built=none
    case " $built " in
    " none ") ;;
    *" ${1:-$built} "*) return ;;
    esac
    echo "$script: building $image with $agents" >&2
    set -- --build-arg "AGENTS=$agents"
    for name in BINARY BUILDER BASE PACKAGES; do
        eval "value=\${$name-}"
        [ -z "$value" ] || set -- "$@" --build-arg "$name=$value"
    done
    DOCKER_BUILDKIT=1 "$docker" build --file "$root/Dockerfile.setup" --tag "$image" "$@" "$root" >&2 ||
        die "the image was not built" "without a registry of images: scripts/build, then BINARY=prebuilt BASE=... $0"
}

# The capture as docker mounts it: a directory, or the volume of compose.yaml.
capture() {
    if [ -n "${CAPTURE_DIR-}" ]; then
        (umask 077 && mkdir -p "$CAPTURE_DIR") || die "$CAPTURE_DIR cannot be made"
        (cd "$CAPTURE_DIR" && pwd)
    else
        echo "$volumes${CAPTURE:-main}"
    fi
}

# in_container CAPTURE [OPTION...] -- WORD...: agent-init's words in the setup image, as compose.yaml would run them.
in_container() {
    mount=$1
    shift
    set -- --rm --volume "$mount:/capture" --read-only --security-opt no-new-privileges --cap-drop ALL \
        --cap-add SETUID --cap-add SETGID --cap-add SETPCAP --cap-add CHOWN --cap-add DAC_OVERRIDE --cap-add KILL \
        --tmpfs /run:mode=755 --tmpfs /tmp:mode=1777,exec --tmpfs /home/agent:uid=1000,gid=1000,mode=700,exec \
        --entrypoint agent-init "$@"
    "$docker" run "$@"
}
