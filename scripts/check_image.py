"""Runs an image as a cautious operator would, and checks what it shows. Standard library only.

It runs as its own user with a read-only root, no capabilities and no new privileges; it must become
ready, refuse without a key, answer with one, be confined, hold nothing that it does not need, and
stop within its grace with what is under way answered. Then it must become ready as another user,
without a file of keys, and answer with the key that it made.
"""

import argparse
import fcntl
import os
import secrets
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from image.bare_container import BareContainer
from image.checks import (
    Row,
    at_the_door,
    bare,
    confined,
    look_inside,
    stopping,
    wait_ready,
    with_its_own_key,
)
from image.containers import Container, DockerContainer, EngineError, Wanted, ask, image_config
from repository import ROOT

_PHOTO = ROOT / "docs" / "images" / "rocket.jpg"
_INSIDE = "GRADCAM_CHECK_HAS_NETWORK"
_EXAMPLES = """
examples:
  ./scripts/check_image.sh torchserve-gradcam:1.0.0
  ./scripts/check_image.sh --engine podman --sizes torchserve-gradcam:1.0.0-cpu
  sudo ./scripts/check_image.sh --engine buildah localhost/torchserve-gradcam:1.0.0

With docker and podman the image runs there. With buildah alone it runs in namespaces of its own,
which needs root; the table says what that leaves out. GRADCAM_ENGINE_OPTIONS holds what stands
before the engine's command (buildah's --root, say).
"""


def main() -> int:
    """Runs the command line: 0 if every check held."""
    arguments = _parser().parse_args()
    engine = arguments.engine or _choose()
    if engine is None:
        print(
            "error: none of docker (with a running engine), podman, buildah is there",
            file=sys.stderr,
        )
        return 2
    if engine == "buildah" and not os.environ.get(_INSIDE):
        if os.geteuid():
            print("error: with buildah alone this needs root, for its namespaces", file=sys.stderr)
            return 2
        # the checks and the container share a network that nobody else is on
        command = ["unshare", "--net", sys.executable, *sys.argv]
        os.execvpe("unshare", command, {**os.environ, _INSIDE: "yes"})
    if engine == "buildah":
        _raise_loopback()
    try:
        return _check(engine, arguments)
    except (EngineError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _check(engine: str, arguments: argparse.Namespace) -> int:
    image: str = arguments.image
    within: float = arguments.ready_within
    rows: list[Row] = []
    look: dict[str, object] = {}
    key = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="image-check-") as folder:
        keys = Path(folder)
        keys.chmod(0o755)
        (keys / "keys").write_text(f"check:{key}\n", encoding="utf-8")
        (keys / "keys").chmod(0o644)
        config = image_config(engine, image)
        asked = time.monotonic()
        container = _start(engine, Wanted(image, keys))
        try:
            ready = wait_ready(container, within, asked)
            for row in _all(ready, container, key, config, look):
                rows.append(row)
                print(f"{'ok  ' if row.held else 'FAIL'}  {row.name}: {row.seen}", flush=True)
        finally:
            container.remove()
        (keys / "keys").unlink()
        asked = time.monotonic()
        other = _start(engine, Wanted(image, keys, "23456:0", {"GRADCAM_DRAIN_SECONDS": "0"}))
        try:
            row = wait_ready(other, within, asked)
            rows.append(Row("ready as any other user of group 0", row.held, row.seen))
            if row.held:
                rows.append(with_its_own_key(other, _PHOTO.read_bytes()))
            if other.running():
                other.terminate()
                other.wait(30)
        finally:
            other.remove()
    print(f"\n{_table([*rows, *_measured(engine, image, look)])}")
    if container.limits:
        print(f"\nWhat was not there: {container.limits}.")
    if arguments.sizes:
        print(f"\n{_parts(look)}")
    failed = [row.name for row in rows if not row.held]
    print(f"\n{len(rows) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def _all(
    ready: Row,
    container: Container,
    key: str,
    config: dict[str, object],
    look: dict[str, object],
) -> Iterator[Row]:
    photo = _PHOTO.read_bytes()
    yield ready
    if not ready.held:
        return
    yield from at_the_door(container, key, photo)
    look.update(look_inside(container))
    yield from confined(look)
    labels = config.get("Labels")
    yield from bare(look, labels if isinstance(labels, dict) else {}, container)
    yield Row(
        "the image has a health check",
        bool(config.get("Healthcheck")),
        str(config.get("Healthcheck")),
    )
    yield from stopping(container, key, photo)


def _start(engine: str, wanted: Wanted) -> Container:
    return BareContainer(wanted) if engine == "buildah" else DockerContainer(engine, wanted)


def _choose() -> str | None:
    if shutil.which("docker"):
        done = subprocess.run(["docker", "info"], capture_output=True, check=False)
        if done.returncode == 0:  # a client alone runs nothing
            return "docker"
    return next(filter(shutil.which, ("podman", "buildah")), None)


def _raise_loopback() -> None:
    """Sets the loopback device of this network namespace up."""
    set_flags, up, running = 0x8914, 0x1, 0x40  # SIOCSIFFLAGS, IFF_UP, IFF_RUNNING
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", up | running))


def _measured(engine: str, image: str, look: dict[str, object]) -> list[Row]:
    """What is told without being judged."""
    memory = look.get("memory", 0)
    assert isinstance(memory, int)
    return [
        Row("memory of all processes after that", True, f"{memory / 1e6:,.0f} MB"),
        Row("size of the image", True, _size(engine, image, look)),
    ]


def _size(engine: str, image: str, look: dict[str, object]) -> str:
    held = sum(_sizes(look).values()) / 1e6
    if engine == "buildah":
        return f"{held:,.0f} MB of files"
    told = int(ask(engine, "image", "inspect", "--format", "{{.Size}}", image)) / 1e6
    return f"{held:,.0f} MB of files; {told:,.0f} MB says {engine}"


def _sizes(look: dict[str, object]) -> dict[str, int]:
    parts = look.get("sizes", {})
    rest = look.get("rest", 0)
    assert isinstance(parts, dict)
    assert isinstance(rest, int)
    return {**parts, "all others": rest}


def _parts(look: dict[str, object]) -> str:
    sizes = sorted(_sizes(look).items(), key=lambda pair: -pair[1])
    return "\n".join(f"{size / 1e6:8,.0f} MB  {part}" for part, size in sizes)


def _table(rows: list[Row]) -> str:
    lines = ["| check | | seen |", "|---|---|---|"]
    lines += [f"| {row.name} | {'ok' if row.held else 'FAIL'} | {row.seen} |" for row in rows]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./scripts/check_image.sh",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("image", help="a reference that the engine knows")
    parser.add_argument("--engine", choices=("docker", "podman", "buildah"))
    parser.add_argument("--sizes", action="store_true", help="say what makes up the size, too")
    parser.add_argument(
        "--ready-within", type=float, default=180.0, metavar="SECONDS", help="default: 180"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
