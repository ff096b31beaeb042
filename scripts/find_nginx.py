"""Finds nginx: on the PATH, or unpacked from Debian's package into run/tools, without root.

Prints where it is. The image installs nginx as a package; this is for tests and benchmarks.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from repository import ROOT

TOOLS = ROOT / "run" / "tools"
_EXAMPLES = """
example:
  python scripts/find_nginx.py
"""


class NoNginxError(Exception):
    """There is none, and none can be had; the message says what to do."""


def find_nginx(tools: Path = TOOLS) -> Path:
    """The program.

    Args:
        tools: The folder that it is unpacked into, and found in from then on.

    Raises:
        NoNginxError: It is nowhere, and apt-get or dpkg-deb cannot get it.
    """
    # Debian has it in sbin, which is not on everybody's PATH
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if found:
        return Path(found)
    unpacked = tools / "nginx" / "usr" / "sbin" / "nginx"
    if not unpacked.is_file():
        _unpack(tools)
    _run([str(unpacked), "-v"], tools)  # what it is linked with must be here too
    return unpacked


def _unpack(tools: Path) -> None:
    tools.mkdir(parents=True, exist_ok=True)
    try:
        _run(["apt-get", "download", "nginx"], tools)
    except NoNginxError:
        # an image without package lists: fetched into a folder of ours, as the system's is root's
        lists = tools / "apt"
        (lists / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        own = [
            *("-o", f"Dir::State::lists={lists / 'lists'}"),
            *("-o", f"Dir::Cache={lists}"),
        ]
        _run(["apt-get", *own, "update"], tools)
        _run(["apt-get", *own, "download", "nginx"], tools)
        shutil.rmtree(lists)
    for package in tools.glob("nginx_*.deb"):
        _run(["dpkg-deb", "-x", str(package), str(tools / "unpacking")], tools)
        package.unlink()
        (tools / "unpacking").replace(tools / "nginx")  # whole, or not there


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or str(error)
        raise NoNginxError(
            f"nginx is not installed, and `{' '.join(command)}` could not get it "
            f"({str(told).strip().splitlines()[-1]}); install it: apt-get install nginx"
        ) from error


def main() -> int:
    """Runs the command line."""
    argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    try:
        print(find_nginx())
    except NoNginxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
