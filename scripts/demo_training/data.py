"""CIFAR-10 in memory, and the preprocessing the demo is served with.

Pictures are uint8 tensors (N, 3, 32, 32); labels are int64 tensors (N,), indices into CLASS_NAMES.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision import datasets
from torchvision.transforms import functional

CLASS_NAMES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the network's input; written to ``model.json`` as it stands here."""

    resize: int = 48
    crop_size: int = 48
    squash: bool = True
    mean: tuple[float, float, float] = (0.4914, 0.4822, 0.4465)
    std: tuple[float, float, float] = (0.2470, 0.2435, 0.2616)

    def pixels(self, picture: Image.Image) -> Tensor:
        """An RGB picture -> uint8 (3, crop_size, crop_size)."""
        if self.squash:
            picture = functional.resize(picture, [self.crop_size, self.crop_size], antialias=True)
        else:
            picture = functional.resize(picture, [self.resize], antialias=True)
            picture = functional.center_crop(picture, [self.crop_size, self.crop_size])
        pixels: Tensor = functional.pil_to_tensor(picture)
        return pixels

    def normalise(self, pixels: Tensor) -> Tensor:
        """uint8 or float pixels 0..255, (N, 3, H, W) -> the network's input."""
        mean = torch.tensor(self.mean).view(3, 1, 1)
        std = torch.tensor(self.std).view(3, 1, 1)
        return (pixels.float() / 255 - mean) / std

    def document(self) -> dict[str, Any]:
        """Gives the entry in ``model.json``."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}


@dataclass(frozen=True)
class Split:
    """Pictures, uint8 (N, 3, 32, 32), and their class indices, int64 (N,)."""

    pictures: Tensor
    labels: Tensor

    def served(self, preprocessing: Preprocessing) -> Tensor:
        """Every picture as the server would prepare it: uint8 (N, 3, crop, crop)."""
        return torch.stack(
            [preprocessing.pixels(functional.to_pil_image(p)) for p in self.pictures]
        )


def open_photo(path: Path) -> Image.Image:
    """Reads a photograph, upright and in RGB."""
    with Image.open(path) as picture:
        return ImageOps.exif_transpose(picture).convert("RGB")


def load(source: Path) -> tuple[Split, Split]:
    """The train and test splits of a folder or a zip of ``train|test/<class>/*.jpg``."""
    return _split(source, "train"), _split(source, "test")


def download(folder: Path) -> tuple[Split, Split]:
    """The same two splits from torchvision's copy, fetched into ``folder`` where missing."""

    def split(train: bool) -> Split:
        found = datasets.CIFAR10(str(folder), train=train, download=True)
        pictures = torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()
        return Split(pictures, torch.tensor(found.targets))

    return split(True), split(False)


def _split(source: Path, name: str) -> Split:
    pictures, labels = [], []
    for label, class_name in enumerate(CLASS_NAMES):
        for data in _files(source, f"{name}/{class_name}/"):
            with Image.open(io.BytesIO(data)) as picture:
                pictures.append(np.asarray(picture.convert("RGB")))
            labels.append(label)
    if not pictures:
        raise SystemExit(f"{source}: no {name}/<class>/*.jpg in it")
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    return Split(stacked, torch.tensor(labels))


def _files(source: Path, prefix: str) -> Iterator[bytes]:
    if source.is_dir():
        yield from (path.read_bytes() for path in sorted((source / prefix).glob("*.jpg")))
        return
    with zipfile.ZipFile(source) as archive:
        names = [n for n in archive.namelist() if n.startswith(prefix) and n.endswith(".jpg")]
        yield from (archive.read(name) for name in sorted(names))
