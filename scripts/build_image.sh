#!/usr/bin/env bash
# Builds the serving image.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd -P)
# shellcheck source=scripts/image/engine.sh
source "$root/scripts/image/engine.sh"

usage() {
    cat <<'HELP'
usage: ./scripts/build_image.sh [OPTION ...] [-- ARGUMENT OF THE ENGINE'S BUILD ...]

Builds the Dockerfile with docker, podman or buildah, whichever is there (docker only where its engine
answers), and copies the bill of materials out of the image.

  --cpu             the variant without CUDA; needs requirements/image-cpu.lock, which is written first
                    where it is missing, and --index-url
  --index-url URL   with --cpu: the package index that has PyTorch's CPU builds
  --tag NAME        default: torchserve-gradcam:<version>, with -cpu behind it for that variant
  --base IMAGE      another Debian with CPython 3.11 to 3.13; default: the Dockerfile's
  --engine NAME     docker, podman or buildah
  --sbom FILE       where the bill of materials goes; default: build/<tag>.cdx.json
  -h, --help

Behind -- go further arguments for the engine, such as --no-cache, a volume with a certificate, or a
proxy. GRADCAM_ENGINE_OPTIONS holds what stands before the engine's command (buildah's --root, say).

examples:
  ./scripts/build_image.sh
  ./scripts/build_image.sh --cpu --index-url URL --tag gradcam:cpu
  ./scripts/build_image.sh --base python:3.13-slim-trixie -- --no-cache
HELP
}

variant=cuda tag='' base='' engine='' index_url='' sbom=''
while (($#)); do
    case $1 in
    --cpu) variant=cpu ;;
    --tag | --base | --engine | --index-url | --sbom)
        (($# >= 2)) || die "$1 needs a value"
        name=${1#--}
        printf -v "${name/-/_}" '%s' "$2"
        shift
        ;;
    -h | --help)
        usage
        exit
        ;;
    --)
        shift
        break
        ;;
    *) die "there is no option $1; --help lists them" ;;
    esac
    shift
done

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/handlers/gradcam/version.py")
[[ -n $version ]] || die "handlers/gradcam/version.py has no __version__"
tag=${tag:-torchserve-gradcam:$version$([[ $variant == cuda ]] || echo "-$variant")}
sbom=${sbom:-$root/build/$(tr -c 'A-Za-z0-9.\n-' '_' <<<"$tag").cdx.json}
engine=$(choose_engine "$engine")

if [[ $variant == cpu ]]; then
    [[ -n $index_url ]] || die "--cpu needs --index-url, the package index with PyTorch's CPU builds"
    if [[ ! -f $root/requirements/image-cpu.lock ]]; then
        say "requirements/image-cpu.lock is not there; writing it (commit it, so that the next build is the same) ..."
        "${PYTHON:-python3}" "$root/scripts/lock_image.py" --variant cpu --index-url "$index_url" >&2
    fi
elif [[ -n $index_url ]]; then
    die "--index-url goes with --cpu; for a mirror of the whole index, give the build a pip.conf"
fi
if [[ ${base:-$(sed -n 's/^ARG BASE=//p' "$root/Dockerfile")} != *@sha256:* ]]; then
    say "note: the base is not pinned by a digest; python scripts/pin_base.py pins the Dockerfile's"
fi

arguments=(--file "$root/Dockerfile" --tag "$tag" --build-arg "VARIANT=$variant" --build-arg "VERSION=$version")
# a checkout with changes is no revision that anybody else can look at
revision=$(git -C "$root" describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || echo unknown)
arguments+=(--build-arg "REVISION=$revision")
source_url=$(git -C "$root" config --get remote.origin.url 2>/dev/null || true)
# an address, without a user's name or token in it; a path on this machine tells nobody anything
if [[ $source_url == http*://* ]]; then
    arguments+=(--build-arg "SOURCE=$(sed -E 's|://[^/@]*@|://|' <<<"$source_url")")
fi
[[ -z $index_url ]] || arguments+=(--build-arg "INDEX_URL=$index_url")
[[ -z $base ]] || arguments+=(--build-arg "BASE=$base")

say "building $tag with $engine ..."
begun=$SECONDS
build_with "$engine" "${arguments[@]}" "$@" "$root"
mkdir -p "$(dirname "$sbom")"
copy_out "$engine" "$tag" /usr/share/sbom/gradcam.cdx.json "$sbom"
say "built $tag in $((SECONDS - begun)) s; its bill of materials is $sbom"
say "try it: ./scripts/check_image.sh --engine $engine $tag"
