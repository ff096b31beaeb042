"""What the management API tells of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gradcam.document import ModelCard
from gradcam.labels import ClassList
from gradcam.layers import LayerTable
from gradcam.methods import METHODS
from gradcam.options import OPTIONS
from gradcam.settings import Settings


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
