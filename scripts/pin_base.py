"""Pins the Dockerfile's base image: writes the digest that its tag has now behind it.

Asks the image's registry through skopeo, docker, podman or buildah, whichever is there. Run it
again to move on to the tag's newest image, which is how the base gets its security fixes.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping

from repository import ROOT

_DOCKERFILE = ROOT / "Dockerfile"
_LINE = re.compile(r"^ARG BASE=(\S+)$", re.MULTILINE)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_EXAMPLES = """
examples:
  python scripts/pin_base.py                              the Dockerfile's base, as it is today
  python scripts/pin_base.py python:3.11-slim-bookworm    another one
  python scripts/pin_base.py --tool skopeo --print        says the digest, writes nothing
"""


class PinError(Exception):
    """The digest cannot be had; the message is for a person."""


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image", nargs="?", help="a name with a tag; default: the Dockerfile's")
    parser.add_argument("--tool", choices=TOOLS, help="default: the first that is installed")
    parser.add_argument("--print", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    text = _DOCKERFILE.read_text(encoding="utf-8")
    try:
        image = without_digest(arguments.image or base_of(text))
        tool = arguments.tool or next(filter(shutil.which, TOOLS), None)
        if tool is None:
            raise PinError(f"none of {', '.join(TOOLS)} is installed")
        pinned = f"{image}@{TOOLS[tool](image)}"
    except PinError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(pinned)
    if not arguments.print:
        _DOCKERFILE.write_text(with_base(text, pinned), encoding="utf-8")
    return 0


def base_of(dockerfile: str) -> str:
    """The base image that a Dockerfile names.

    Raises:
        PinError: It has no line ``ARG BASE=…``, or several.
    """
    found = _LINE.findall(dockerfile)
    if len(found) != 1:
        raise PinError(f"the Dockerfile has {len(found)} lines 'ARG BASE=…', not one")
    return str(found[0])


def with_base(dockerfile: str, image: str) -> str:
    """The Dockerfile with another base image."""
    return _LINE.sub(f"ARG BASE={image}", dockerfile)


def without_digest(image: str) -> str:
    """``name:tag``, which a digest may follow.

    Raises:
        PinError: There is no tag, so that there is nothing that moves on.
    """
    name = image.partition("@")[0]
    if ":" not in name.rpartition("/")[2]:
        raise PinError(
            f"{image} has no tag to look up; give one, such as python:3.11-slim-bookworm"
        )
    return name


def _by_skopeo(image: str) -> str:
    # the digest of an image is that of the bytes of its manifest: for several architectures, of
    # the list of them
    raw = _run("skopeo", "inspect", "--raw", f"docker://{image}")
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _by_docker(image: str) -> str:
    return _pulled("docker", image)


def _by_podman(image: str) -> str:
    return _pulled("podman", image)


def _by_buildah(image: str) -> str:
    _run("buildah", "pull", "--quiet", image)
    told = _run("buildah", "inspect", "--type", "image", "--format", "{{.FromImageDigest}}", image)
    return _digest_in(told.decode(), "buildah")


def _pulled(tool: str, image: str) -> str:
    _run(tool, "pull", "--quiet", image)
    told = _run(tool, "image", "inspect", "--format", "{{index .RepoDigests 0}}", image)
    return _digest_in(told.decode(), tool)


def _digest_in(told: str, tool: str) -> str:
    found = _DIGEST.search(told)
    if found is None:
        raise PinError(f"{tool} told no digest but {told.strip()!r}")
    return found[0]


def _run(*command: str) -> bytes:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise PinError(f"{' '.join(command)} failed: {done.stderr.decode().strip()}")
    return done.stdout


TOOLS: Mapping[str, Callable[[str], str]] = {
    "skopeo": _by_skopeo,  # downloads the manifest only; the others the whole image
    "docker": _by_docker,
    "podman": _by_podman,
    "buildah": _by_buildah,
}
"""How each tool finds the digest of ``name:tag``."""


if __name__ == "__main__":
    sys.exit(main())
