"""Environments of their own for packages whose pins clash with ours, or that few tests need.

Each stands in ``.venv-<name>`` at the top of the checkout, has what ``requirements/<name>.txt``
names, and is made once.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

from repository import ROOT


def is_installed(name: str) -> bool:
    stamp = _stamp(name)
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == _wanted(name)


def python_with(name: str) -> Path:
    """The interpreter of the environment, made now where it is missing or out of date."""
    folder = _folder(name)
    python = folder / "bin" / "python"
    if not is_installed(name):
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        # the file names everything, so there is nothing to resolve
        _run(*pip, "--no-deps", "--no-compile", "--quiet", "--requirement", str(_file(name)))
        _stamp(name).write_text(_wanted(name), encoding="utf-8")
    return python


def _folder(name: str) -> Path:
    return ROOT / f".venv-{name}"


def _stamp(name: str) -> Path:
    return _folder(name) / ".installed"


def _file(name: str) -> Path:
    return ROOT / "requirements" / f"{name}.txt"


def _wanted(name: str) -> str:
    return hashlib.sha256(_file(name).read_bytes() + sys.version.encode()).hexdigest()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
