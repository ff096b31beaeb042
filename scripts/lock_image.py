"""Writes the lock files of the image: each package with its version and the hashes of its files.

The versions are those of requirements/serve.txt and constraints.txt. A lock holds for every CPython
that the repository supports, and names no index: a hash says which file is meant, wherever it lies.
Needs uv, or pip and a network to install it from.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from repository import ROOT

PYTHONS = ("3.11", "3.12", "3.13")
"""The CPythons that a lock is for, as ``pyproject.toml`` says."""

LEFT_OUT: Mapping[str, str] = {
    "triton": "torch.compile's, which needs a C compiler as well, and the image has none",
    "enum-compat": "empty on every Python since 3.4, and published as source only",
}
"""Packages that others ask for and the image does without, with the reason."""

_FOLDER = ROOT / "requirements"
_PLATFORM = "x86_64-manylinux_2_28"  # the oldest that torch's wheels run on
_UV = "uv==0.13.9"
_EXAMPLES = """
examples:
  python scripts/lock_image.py                                   image-cuda.lock, image-tools.lock
  python scripts/lock_image.py --variant cpu --index-url URL     image-cpu.lock; URL is the index
                                                                 of PyTorch's CPU builds
  python scripts/lock_image.py --check                           writes nothing; 1 if they differ
"""


class LockError(Exception):
    """The lock cannot be made; the message is for a person."""


def main() -> int:
    """Runs the command line."""
    arguments = _parser().parse_args()
    wanted = {"cuda": ["cuda", "tools"], "cpu": ["cpu"]}[arguments.variant]
    if (arguments.variant == "cpu") != bool(arguments.index_url):
        print("error: --variant cpu and --index-url go together", file=sys.stderr)
        return 2
    stale = 0
    try:
        with tempfile.TemporaryDirectory(prefix="locking-") as scratch:
            uv = _find_uv(Path(scratch))
            for name in wanted:
                path = _FOLDER / f"image-{name}.lock"
                text = lock(uv, name, arguments.index_url, Path(scratch))
                same = path.is_file() and path.read_text(encoding="utf-8") == text
                stale += not same
                if not (same or arguments.check):
                    path.write_text(text, encoding="utf-8")
                print(f"{path.relative_to(ROOT)}: {_verdict(same, arguments.check)}")
    except LockError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return int(arguments.check and stale > 0)


def lock(uv: Sequence[str], name: str, index_url: str | None, scratch: Path) -> str:
    """The text of one lock file.

    Args:
        uv: The command that runs uv.
        name: ``cuda``, ``cpu`` or ``tools``.
        index_url: A further package index, which goes first where it has the newer build.
        scratch: An empty folder.

    Raises:
        LockError: uv failed, or the Pythons need different versions.
    """
    source = "image-tools.txt" if name == "tools" else "image.txt"
    together: dict[str, str] = {}
    for python in PYTHONS:  # a package that one of them needs does not harm the others
        for package, entry in _entries(_resolve(uv, source, python, index_url, scratch)).items():
            if together.setdefault(package, entry) != entry:
                raise LockError(
                    f"{package} must be another one for Python {python}; lock them apart"
                )
    text = "".join(together[package] for package in sorted(together))
    if name == "cpu" and "+cpu" not in pins(text)["torch"]:
        raise LockError(f"the index gave torch {pins(text)['torch']}, which is no CPU build")
    return f"{_header(name, source)}{text}"


def pins(lock_text: str) -> dict[str, str]:
    """The versions in a lock, by package name in lower case and with dashes."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", lock_text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def _entries(text: str) -> dict[str, str]:
    """The lines of each package, by its name."""
    entries = re.split(r"^(?=[^\s#])", text, flags=re.MULTILINE)
    return {entry.split("==")[0]: entry for entry in entries if "==" in entry}


def _header(name: str, source: str) -> str:
    command = "python scripts/lock_image.py"
    if name == "cpu":
        command += " --variant cpu --index-url URL"
    left_out = "".join(f"# Left out: {package}, {why}.\n" for package, why in LEFT_OUT.items())
    return f"# Written by `{command}` from {source}. Install it with --no-deps.\n{left_out}"


def _resolve(
    uv: Sequence[str], source: str, python: str, index_url: str | None, scratch: Path
) -> str:
    overrides = scratch / "overrides.txt"
    # a requirement under a condition that never holds is none
    overrides.write_text("".join(f"{name}; python_version < '3'\n" for name in LEFT_OUT))
    command = [*uv, "pip", "compile", "--no-config", "--quiet", str(_FOLDER / source)]
    for versions in ("serve.txt", "constraints.txt"):
        command += ["--constraint", str(_FOLDER / versions)]
    command += ["--override", str(overrides), "--generate-hashes", "--only-binary", ":all:"]
    command += ["--python-version", python, "--python-platform", _PLATFORM, "--no-python-downloads"]
    command += ["--no-header", "--no-annotate"]
    if index_url:
        # the hashes, not the order of indexes, say which file is right
        command += ["--index", index_url, "--index-strategy", "unsafe-best-match"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LockError(f"uv found no set of packages for Python {python}:\n{done.stderr.strip()}")
    return done.stdout


def _find_uv(scratch: Path) -> list[str]:
    found = shutil.which("uv")
    if found:
        return [found]
    venv.create(scratch / "uv", with_pip=True)
    python = scratch / "uv" / "bin" / "python"
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", _UV],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LockError(f"uv is not there, and pip cannot install it: {done.stderr.strip()}")
    return [str(scratch / "uv" / "bin" / "uv")]


def _verdict(same: bool, check: bool) -> str:
    if same:
        return "up to date"
    return "differs" if check else "written"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--variant", choices=("cuda", "cpu"), default="cuda", help="default: cuda, with the tools"
    )
    parser.add_argument(
        "--index-url", metavar="URL", help="a package index to take CPU builds from"
    )
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    return parser


if __name__ == "__main__":
    sys.exit(main())
