"""Whether an archive is still what its inputs would give. Standard library only."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import fields
from importlib import metadata
from pathlib import Path

from packaging_options import DEMO_ARCHITECTURE, DEMO_FOLDER, PackagingOptions
from repository import ROOT

_CODE = ("handlers/**/*.py", "scripts/*.py", "pyproject.toml")
_PACKAGES = ("torch", "torchvision", "timm", "safetensors", "torch-model-archiver")
_FILES = ("weights", "class_names", "model_file", "exported")


def is_current(options: PackagingOptions) -> bool:
    """Whether the archive exists and was made, here, from just these inputs."""
    try:
        return _stamp(options).read_text(encoding="utf-8") == _describe(options)
    except OSError:
        return False


def remember(options: PackagingOptions) -> None:
    """Writes down what the archive that stands there now was made from."""
    _stamp(options).write_text(_describe(options), encoding="utf-8")


def _stamp(options: PackagingOptions) -> Path:
    return options.archive.with_name(f".{options.name}.inputs")


def _describe(options: PackagingOptions) -> str:
    archive = options.archive.stat()
    told = {
        "archive": [archive.st_size, archive.st_mtime_ns],
        "options": {
            field.name: str(getattr(options, field.name))
            for field in fields(options)
            if field.name != "export_path"
        },
        "files": {str(path): _digest(path) for path in _inputs(options)},
        "packages": {name: _version(name) for name in _PACKAGES},
    }
    return json.dumps(told, indent=1)


def _inputs(options: PackagingOptions) -> Iterator[Path]:
    for pattern in _CODE:
        yield from sorted(ROOT.glob(pattern))
    if options.arch == DEMO_ARCHITECTURE:
        yield from sorted(DEMO_FOLDER.iterdir())
    for name in _FILES:
        given = getattr(options, name)
        if given is not None and Path(given).is_file():
            yield Path(given).resolve()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"
