"""Labelled pictures: found in a folder or zip, drawn by a seed, shown as the network sees them."""

import json
import random
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from gradcam.geometry import Box, View, plan_view
from gradcam.labels import ClassList
from gradcam.pictures.picture import decode_picture
from gradcam.pictures.preprocess import normalise, show
from gradcam.settings import Preprocessing

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
_MOST_BYTES, _MOST_PIXELS = 50_000_000, 100_000_000


class DataError(Exception):
    """The pictures cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Labelled:
    """One picture file.

    Attributes:
        name: ``<class>/<file>``.
        index: The class.
        data: Its bytes.
    """

    name: str
    index: int
    data: bytes


@dataclass(frozen=True)
class Batch:
    """Pictures as the network sees them.

    Attributes:
        names: ``<class>/<file>`` of each.
        inputs: ``[N, 3, H, W]``, normalised.
        classes: ``[N]``, int64.
        views: How each became its input.
    """

    names: tuple[str, ...]
    inputs: Tensor
    classes: Tensor
    views: tuple[View, ...]

    def take(self, chosen: Sequence[int]) -> "Batch":
        """Some of them."""
        return Batch(
            tuple(self.names[one] for one in chosen),
            self.inputs[list(chosen)],
            self.classes[list(chosen)],
            tuple(self.views[one] for one in chosen),
        )


def draw(source: Path, within: str, classes: ClassList, count: int, seed: int) -> list[Labelled]:
    """Draws pictures, of every class as many as of any other (give or take one).

    Args:
        source: A folder or a zip with ``<class>/*.jpg``.
        within: A folder inside it, such as ``test``; empty for none.
        classes: The model's; a folder's name is a class's label or id, in any letter case.
        count: How many pictures; fewer where there are not as many.
        seed: The same seed draws the same pictures.

    Raises:
        DataError: There are no such pictures.
    """
    found = _list(source, within)
    by_class: dict[int, list[str]] = {}
    for folder, names in sorted(found.items()):
        by_class.setdefault(_index(folder, classes), []).extend(sorted(names))
    if not by_class:
        raise DataError(f"{source} holds no pictures as {within or '.'}/<class>/<name>.jpg")
    lot = random.Random(seed)
    queues = [(index, lot.sample(names, len(names))) for index, names in sorted(by_class.items())]
    rounds = max(len(names) for _, names in queues)
    chosen = [
        (index, names[number])
        for number in range(rounds)
        for index, names in queues
        if number < len(names)
    ][:count]
    contents = _read(source, [name for _, name in chosen])
    return [
        Labelled("/".join(PurePosixPath(name).parts[-2:]), index, data)
        for (index, name), data in zip(chosen, contents, strict=True)
    ]


def prepare(
    pictures: Sequence[Labelled], preprocessing: Preprocessing, device: torch.device
) -> Batch:
    """Decodes pictures and shows them as the model's preprocessing does.

    Raises:
        GradcamError: One cannot be decoded.
    """
    shown, views = [], []
    for one in pictures:
        picture = decode_picture(one.data, _MOST_BYTES, _MOST_PIXELS)
        views.append(plan_view(picture.frame, preprocessing))
        shown.append(show(picture, views[-1], preprocessing.interpolation))
    inputs = normalise(shown, preprocessing, device)
    classes = torch.tensor([one.index for one in pictures], device=device)
    return Batch(tuple(one.name for one in pictures), inputs, classes, tuple(views))


def read_boxes(path: Path) -> dict[str, tuple[Box, ...]]:
    """Reads ``{"<class>/<file>": [[left, top, width, height], …]}``, in pixels upright.

    Raises:
        DataError: It holds something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(document, Mapping):
        raise DataError(f"{path}: {_BOXES}")
    return {str(name): tuple(_box(path, box) for box in boxes) for name, boxes in document.items()}


_BOXES = 'boxes are given as {"cat/1.jpg": [[left, top, width, height]]}, in whole pixels'


def _box(path: Path, values: object) -> Box:
    if (
        isinstance(values, list)
        and len(values) == 4
        and all(isinstance(value, int) for value in values)
        and min(values[2:]) > 0
    ):
        return Box(*values)
    raise DataError(f"{path}: {values!r} is no box; {_BOXES}")


def _index(folder: str, classes: ClassList) -> int:
    found = classes.by_label.get(folder.casefold(), ()) or classes.by_id.get(folder, ())
    if len(found) != 1:
        raise DataError(
            f"the folder {folder!r} is not called as one of the model's classes is "
            f"({', '.join(classes.unique_labels[:10])}, …)"
        )
    return found[0]


def _list(source: Path, within: str) -> dict[str, list[str]]:
    """Names of picture files by their class's folder."""
    if source.is_dir():
        root = source / within
        names = [file.relative_to(source).as_posix() for file in root.glob("*/*")]
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as file:
            names = file.namelist()
    else:
        raise DataError(f"{source} is neither a folder nor a zip")
    inside = PurePosixPath(within)
    found: dict[str, list[str]] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lower() in _SUFFIXES and path.parent.parent == inside:
            found.setdefault(path.parent.name, []).append(name)
    return found


def _read(source: Path, names: Sequence[str]) -> list[bytes]:
    if source.is_dir():
        return [(source / name).read_bytes() for name in names]
    with zipfile.ZipFile(source) as file:
        return [file.read(name) for name in names]
