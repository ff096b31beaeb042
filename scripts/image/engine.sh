# shellcheck shell=bash
# What build_image.sh asks of docker, podman and buildah; it is sourced.

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

# Prints the engine to use: the one given, or the first that works here.
choose_engine() {
    local candidate
    for candidate in ${1:-docker podman buildah}; do
        case $candidate in
        docker) docker info >/dev/null 2>&1 && echo docker && return ;; # a client alone builds nothing
        podman | buildah) command -v "$candidate" >/dev/null && echo "$candidate" && return ;;
        *) die "$candidate is none of docker, podman, buildah" ;;
        esac
    done
    die "none of ${1:-docker (with a running engine), podman, buildah} is there"
}

# Runs the engine, with the options that the environment puts before its command.
engine() {
    local name=$1 options=()
    shift
    read -ra options <<<"${GRADCAM_ENGINE_OPTIONS:-}"
    "$name" "${options[@]}" "$@"
}

# Builds with the arguments given. A HEALTHCHECK is kept in docker's format of images only.
build_with() {
    local name=$1
    shift
    case $name in
    docker) engine docker build "$@" ;;
    podman) engine podman build --format docker "$@" ;;
    buildah) engine buildah build --format docker --layers "$@" ;;
    esac
}

# Copies a file out of an image, without running it.
copy_out() {
    local name=$1 image=$2 from=$3 to=$4 container folder
    case $name in
    docker | podman)
        container=$(engine "$name" create "$image")
        engine "$name" cp "$container:$from" "$to"
        engine "$name" rm "$container" >/dev/null
        ;;
    buildah)
        container=$(engine buildah from --pull-never "$image")
        folder=$(engine buildah mount "$container") # needs root, or buildah unshare around all of it
        cp "$folder$from" "$to"
        engine buildah umount "$container" >/dev/null
        engine buildah rm "$container" >/dev/null
        ;;
    esac
}
