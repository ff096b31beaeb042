"""What the management API tells of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gradcam.answer.document import ModelCard
from gradcam.labels import ClassList
from gradcam.methods import METHODS
from gradcam.request.options import OPTIONS
from gradcam.settings import Settings
from gradcam.survey.layers import Layer, LayerTable


def description(
    model: ModelCard,
    settings: Settings,
    classes: ClassList,
    layers: LayerTable,
    chosen: Sequence[str],
) -> dict[str, Any]:
    """What ``GET /models/{model}?customized=true`` tells."""
    return {
        "model": asdict(model),
        "classes": [asdict(name) for name in classes.names],
        "layers": {
            "default": chosen[0] if len(chosen) == 1 else list(chosen) or None,
            "candidates": [_layer(layers.choose(name)) for name in layers.candidates],
        },
        "methods": {
            "default": settings.method,
            "available": list(METHODS),
            "table": [
                {
                    "name": name,
                    "summary": method.summary,
                    "paper": method.paper,
                    "needs": method.needs.value,
                }
                for name, method in METHODS.items()
            ],
        },
        "activation": settings.activation,
        "preprocessing": asdict(settings.preprocessing),
        "execution": asdict(settings.execution),
        "limits": asdict(settings.limits),
        "options": _options_table(),
    }


def _layer(layer: Layer) -> Mapping[str, Any]:
    return {
        "name": layer.name,
        "channels": layer.channels,
        "height": layer.height,
        "width": layer.width,
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
