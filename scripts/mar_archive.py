"""A ``.mar`` by torch-model-archiver whose bytes depend on nothing but its contents."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging_options import PackagingError
from repository import ROOT

_HANDLER = ROOT / "handlers" / "gradcam_handler.py"
_ENGINE = ROOT / "handlers" / "gradcam"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_CREATED_ON = "01/01/1980 00:00:00"  # in the archiver's own form


@dataclass(frozen=True)
class Contents:
    """What goes into an archive beside the code.

    Attributes:
        name: The model's name.
        version: The model's version.
        files: By file name, such as ``model-config.yaml``: the text, or a file to move here.
        weights: Which of them has the weights.
        model_file: Which of them is the user's own model file, if there is one.
    """

    name: str
    version: str
    files: Mapping[str, str | Path]
    weights: str = "weights.safetensors"
    model_file: str | None = None


def write_archive(contents: Contents, path: Path) -> str:
    """Builds the archive beside ``path`` and moves it there when it is whole.

    Returns:
        Its SHA-256.

    Raises:
        PackagingError: torch-model-archiver refused.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # beside the archive: the same disk, whose room is what counts, and a move that is atomic
    with tempfile.TemporaryDirectory(prefix=".packaging-", dir=path.parent) as folder:
        staged = _stage(contents, Path(folder))
        finished = Path(folder) / "finished.mar"
        _zip(staged, finished)
        with finished.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        finished.chmod(0o644)
        finished.replace(path)
    return digest


def _stage(contents: Contents, folder: Path) -> Path:
    """Lets torch-model-archiver lay out the archive as a folder, and gives that."""
    inputs, extra, scratch, out = (folder / name for name in ("in", "extra", "tmp", "out"))
    for new in (inputs, extra, scratch, out):
        new.mkdir()
    for name, content in contents.files.items():
        if isinstance(content, Path):
            shutil.move(content, inputs / name)
        else:
            (inputs / name).write_text(content, encoding="utf-8")
    # the archiver copies what is in this folder, folders included
    shutil.copytree(_ENGINE, extra / "gradcam", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.move(inputs / "index_to_name.json", extra)
    command = {
        "--model-name": contents.name,
        "--version": contents.version,
        "--serialized-file": inputs / contents.weights,
        "--handler": _HANDLER,
        "--extra-files": extra,
        "--config-file": inputs / "model-config.yaml",
        "--requirements-file": inputs / "requirements.txt",
        "--export-path": out,
        "--archive-format": "no-archive",
    }
    if contents.model_file:
        command["--model-file"] = inputs / contents.model_file
    flat = [str(part) for pair in command.items() for part in pair]
    done = subprocess.run(
        [sys.executable, "-m", "model_archiver.model_packaging", *flat],
        env={**os.environ, "TMPDIR": str(scratch)},  # it clears TMPDIR/<model name>
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise PackagingError(f"torch-model-archiver failed: {last}")
    staged = out / contents.name
    manifest = staged / "MAR-INF" / "MANIFEST.json"
    told = json.loads(manifest.read_text(encoding="utf-8"))
    told["createdOn"] = _CREATED_ON
    manifest.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return staged


def _zip(folder: Path, path: Path) -> None:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _EPOCH)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.create_system = 3  # Unix
            entry.file_size = file.stat().st_size  # written ahead of the data, as Java wants it
            with file.open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)
