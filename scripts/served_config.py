"""The ``model-config.yaml`` of an archive: read, and replaced with the rest left as it is."""

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tuning import PRECISIONS

CONFIG = "model-config.yaml"
"""Its name in every archive."""


def read_config(archive: Path) -> Any:
    """The ``model-config.yaml`` of an archive.

    Raises:
        KeyError: It is none of ours.
    """
    with zipfile.ZipFile(archive) as opened:
        config = yaml.safe_load(opened.read(CONFIG))
    if "gradcam" not in config.get("handler", {}):
        raise KeyError("handler: gradcam")
    return config


def own_precision(config: Mapping[str, Any]) -> str:
    """The precision that an archive's configuration names, or the one that it leaves."""
    execution = config["handler"]["gradcam"].get("execution", {})
    return str(execution.get("precision", PRECISIONS[0]))


def rewrite(archive: Path, config: Any, path: Path) -> None:
    """Writes an archive with another ``model-config.yaml``."""
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(unfinished, "w") as target:
        for entry in source.infolist():
            if entry.filename == CONFIG:
                target.writestr(entry, text)
                continue
            with source.open(entry) as old, target.open(entry, "w") as new:
                shutil.copyfileobj(old, new, 1 << 20)
    unfinished.replace(path)
