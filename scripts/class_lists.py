"""The class names of an archive: labels from a file or the model's card, ids where known."""

import importlib
import json
from collections.abc import Sequence
from pathlib import Path

from torchvision import models

from gradcam.errors import SettingsError
from gradcam.labels import parse_class_names
from packaging_options import PackagingError

Names = dict[str, str | list[str]]
"""``index_to_name.json``: a label, or ``[id, label]``, by class index."""


def read_class_file(path: Path) -> dict[str, object]:
    """Reads a JSON file in any form that TorchServe takes, or a text file of one label per line.

    Raises:
        PackagingError: The file cannot be read, or is neither.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PackagingError(f"the class names {path} cannot be read: {error}") from error
    if path.suffix != ".json" and not text.lstrip().startswith(("{", "[")):
        return {"object_type_names": [line.strip() for line in text.splitlines() if line.strip()]}
    try:
        document = json.loads(text)
    except ValueError as error:
        raise PackagingError(f"the class names {path} are not JSON: {error}") from error
    if isinstance(document, list):
        return {"object_type_names": document}
    if not isinstance(document, dict):
        raise PackagingError(f"the class names {path} are not a JSON object")
    return document


def count_names(document: dict[str, object]) -> int:
    """How many classes a class file names."""
    listed = document.get("object_type_names")
    return len(listed) if isinstance(listed, list) else len(document)


def names_from_file(document: dict[str, object], num_classes: int) -> Names:
    """Checks a class file against the model.

    Raises:
        PackagingError: It names classes that the model does not have, or lists fewer.
    """
    listed = document.get("object_type_names")
    if isinstance(listed, list) and len(listed) != num_classes:
        raise PackagingError(
            f"the class names list {len(listed)} classes, but the model has {num_classes}"
        )
    try:
        classes = parse_class_names(document, num_classes)
    except SettingsError as error:
        raise PackagingError(str(error)) from error
    if all(name.id is None for name in classes.names):
        return with_ids([name.label for name in classes.names])
    return {
        str(name.index): name.label if name.id is None else [name.id, name.label]
        for name in classes.names
    }


def with_ids(labels: Sequence[str]) -> Names:
    """The names of these labels, with ImageNet's synsets where the labels are ImageNet's."""
    imagenet = models.ResNet50_Weights.DEFAULT.meta["categories"]
    synsets = imagenet_synsets() if list(labels) == list(imagenet) else None
    if synsets is None:
        return {str(index): label for index, label in enumerate(labels)}
    return {
        str(index): [synset, label]
        for index, (synset, label) in enumerate(zip(synsets, labels, strict=True))
    }


def imagenet_synsets() -> Sequence[str] | None:
    """ImageNet's 1000 synsets in torchvision's order; ``None`` without timm."""
    try:
        timm_data = importlib.import_module("timm.data")  # a packaging dependency only
    except ImportError:
        return None
    synsets: Sequence[str] = timm_data.ImageNetInfo("imagenet-1k").label_names()
    return synsets
