"""An environment of its own for the kserve package, whose pins clash with ours (protobuf, psutil).

It stands in ``.venv-kserve`` at the top of the checkout, and is made once.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

from repository import ROOT

_FOLDER = ROOT / ".venv-kserve"
_REQUIREMENTS = ROOT / "requirements" / "kserve.txt"
_STAMP = _FOLDER / ".installed"


def is_installed() -> bool:
    return _STAMP.is_file() and _STAMP.read_text(encoding="utf-8") == _wanted()


def kserve_python() -> Path:
    """The interpreter of the environment, made now where it is missing or out of date."""
    python = _FOLDER / "bin" / "python"
    if not is_installed():
        _run(sys.executable, "-m", "venv", "--clear", str(_FOLDER))
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        # the file names everything, so there is nothing to resolve
        _run(*pip, "--no-deps", "--no-compile", "--quiet", "--requirement", str(_REQUIREMENTS))
        _STAMP.write_text(_wanted(), encoding="utf-8")
    return python


def _wanted() -> str:
    return hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
