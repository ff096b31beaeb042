"""Finds programs that tests and benchmarks run: on the PATH, or unpacked from Debian's packages.

What is not installed is downloaded by apt-get and unpacked into run/tools, without root. Prints
where it is. Nothing that is served needs any of them but nginx, which the image installs.
"""

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from repository import ROOT

TOOLS = ROOT / "run" / "tools"
_EXAMPLES = """
examples:
  python scripts/debian_tools.py nginx
  python scripts/debian_tools.py promtool
"""


class NoProgramError(Exception):
    """It is not here and cannot be had; the message says what to do."""


@dataclass(frozen=True)
class _Program:
    package: str
    folder: str  # of the package that it lies in
    version: str  # the option that makes it say which one it is


PROGRAMS = {
    "nginx": _Program("nginx", "usr/sbin", "-v"),
    "prometheus": _Program("prometheus", "usr/bin", "--version"),
    "promtool": _Program("prometheus", "usr/bin", "--version"),
    "rclone": _Program("rclone", "usr/bin", "--version"),
}
"""What can be found, by name."""


def find_program(name: str, tools: Path = TOOLS) -> Path:
    """The program.

    Args:
        name: Of ``PROGRAMS``.
        tools: The folder that it is unpacked into, and found in from then on.

    Raises:
        NoProgramError: It is nowhere, and apt-get or dpkg-deb cannot get it.
    """
    program = PROGRAMS[name]
    # Debian has some in sbin, which is not on everybody's PATH
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if found:
        return Path(found)
    unpacked = tools / program.package / program.folder / name
    if not unpacked.is_file():
        _unpack(program.package, tools)
    _run([str(unpacked), program.version], tools, program.package)  # with all that it is linked to
    return unpacked


def _unpack(package: str, tools: Path) -> None:
    tools.mkdir(parents=True, exist_ok=True)
    try:
        _run(["apt-get", "download", package], tools, package)
    except NoProgramError:
        # an image without package lists: fetched into a folder of ours, as the system's is root's
        lists = tools / "apt"
        (lists / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        own = [
            *("-o", f"Dir::State::lists={lists / 'lists'}"),
            *("-o", f"Dir::Cache={lists}"),
        ]
        _run(["apt-get", *own, "update"], tools, package)
        _run(["apt-get", *own, "download", package], tools, package)
        shutil.rmtree(lists)
    unpacking = tools / f"{package}.unpacking"
    for file in tools.glob(f"{package}_*.deb"):
        _run(["dpkg-deb", "-x", str(file), str(unpacking)], tools, package)
        file.unlink()
        unpacking.replace(tools / package)  # whole, or not there


def _run(command: list[str], folder: Path, package: str) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        told = str(getattr(error, "stderr", None) or error).strip() or type(error).__name__
        raise NoProgramError(
            f"{package} is not installed, and `{' '.join(command)}` could not get it "
            f"({told.splitlines()[-1]}); install it: apt-get install {package}"
        ) from error


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program", choices=PROGRAMS)
    try:
        print(find_program(parser.parse_args().program))
    except NoProgramError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
