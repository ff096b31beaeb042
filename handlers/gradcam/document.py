"""The parts of an answer, as plain data that ``json`` can write."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradcam.explanation import RawMap
from gradcam.geometry import Region
from gradcam.labels import ClassList
from gradcam.layers import LayerTable
from gradcam.methods import METHODS
from gradcam.options import OPTIONS
from gradcam.render import Grid
from gradcam.settings import Settings
from gradcam.targets import greatest
from gradcam.version import __version__


@dataclass(frozen=True)
class ModelCard:
    """What answers say of the model.

    Attributes:
        name: As TorchServe knows it.
        version: As the archive says.
        architecture: As the settings say.
        weights_sha256: Of the archive's weights file, in hexadecimal.
        handler_version: Ours.
    """

    name: str
    version: str
    architecture: str
    weights_sha256: str
    handler_version: str = __version__


def number(value: float) -> float:
    """A float32 number with the seven significant digits that it has, and no noise behind them."""
    return float(f"{value:.7g}")


def class_entry(
    index: int, logits: Tensor, probabilities: Tensor, classes: ClassList
) -> dict[str, Any]:
    """What is said of one class: index, id, label, logit and probability."""
    name = classes[index]
    return {
        "index": index,
        "id": name.id,
        "label": name.label,
        "logit": number(float(logits[index])),
        "probability": number(float(probabilities[index])),
    }


def probabilities_of(logits: Tensor) -> Tensor:
    """Softmax in float64: ``[C]`` to ``[C]``, 0…1."""
    return torch.softmax(logits.double(), dim=0)


def label_probabilities(logits: Tensor, top_k: int, classes: ClassList) -> dict[str, float]:
    """``{label: probability}``, best first, as TorchServe's own image classifier answers."""
    probabilities = probabilities_of(logits)
    labels = classes.unique_labels
    return {labels[index]: number(float(probabilities[index])) for index in greatest(logits, top_k)}


def heatmap_entry(raw: RawMap, region: Region) -> dict[str, Any]:
    """The map's size and strength, and what of the picture it covers; not its values."""
    height, width = raw.values.shape
    return {
        "height": height,
        "width": width,
        "max": number(raw.maximum),
        "region": region_entry(region),
    }


def heatmap_values(raw: RawMap) -> list[list[float]]:
    """The map as numbers at the layer's own resolution, 0…1."""
    return [[number(value) for value in row] for row in grid_of(raw).tolist()]


def grid_of(raw: RawMap) -> Grid:
    """The map after the ReLU over its maximum, ``[h, w]``, 0…1."""
    return raw.heatmap().numpy().astype(np.float32)


def region_entry(region: Region) -> list[float]:
    """``[left, top, width, height]`` in pixels of the upright picture."""
    edges = (region.left, region.top, region.width, region.height)
    return [round(edge, 3) for edge in edges]


def encoded_entry(content_type: str, data: bytes) -> dict[str, str]:
    """A picture within JSON."""
    return {"content_type": content_type, "data": base64.b64encode(data).decode("ascii")}


def to_json(document: object) -> bytes:
    """Compact UTF-8; ``NaN`` and infinities, which JSON lacks, are an error.

    Raises:
        ValueError: A number is not finite.
    """
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # a lone surrogate, which JSON input may smuggle into a message, has no UTF-8
    return text.encode("utf-8", "replace")


def description(
    model: ModelCard, settings: Settings, classes: ClassList, layers: LayerTable, layer: str | None
) -> dict[str, Any]:
    """What ``GET /models/{model}?customized=true`` tells."""
    return {
        "model": asdict(model),
        "classes": [asdict(name) for name in classes.names],
        "layers": {
            "default": layer,
            "candidates": [asdict(layers.choose(name)) for name in layers.candidates],
        },
        "methods": {"default": settings.method, "available": list(METHODS)},
        "preprocessing": asdict(settings.preprocessing),
        "limits": asdict(settings.limits),
        "options": _options_table(),
    }


def _options_table() -> Sequence[Mapping[str, str | None]]:
    return [
        {
            "name": name,
            "values": option.values,
            "default": option.default,
            "meaning": option.meaning,
        }
        for name, option in OPTIONS.items()
    ]
