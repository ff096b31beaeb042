"""The parts of an answer, as plain data that ``json`` can write."""

import base64
import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from gradcam.answer.evidence import Evidence, positive_share
from gradcam.engine.explanation import RawMap
from gradcam.engine.probability import ACTIVATIONS
from gradcam.engine.targets import greatest
from gradcam.geometry import Region
from gradcam.labels import ClassList
from gradcam.pictures.render import Grid
from gradcam.request.options import Options
from gradcam.version import __version__

_LAST_CALL = -1


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


@dataclass(frozen=True)
class Scores:
    """What a network says of every class.

    Attributes:
        logits: ``[C]``.
        probabilities: ``[C]``, float64, 0…1; ``None`` where the model has none.
    """

    logits: Tensor
    probabilities: Tensor | None

    @classmethod
    def of(cls, logits: Tensor, activation: str = "softmax") -> "Scores":
        """With the probabilities that the model's activation makes of the logits."""
        return cls(logits, None if activation == "none" else ACTIVATIONS[activation](logits))

    @property
    def top_probability(self) -> float | None:
        """Of the best class; ``None`` where the model has none."""
        return None if self.probabilities is None else float(self.probabilities.max())


def class_entry(index: int, scores: Scores, classes: ClassList) -> dict[str, Any]:
    """What is said of one class: index, id, label, logit and probability."""
    name = classes[index]
    probabilities = scores.probabilities
    return {
        "index": index,
        "id": name.id,
        "label": name.label,
        "logit": number(float(scores.logits[index])),
        "probability": None if probabilities is None else number(float(probabilities[index])),
    }


def label_probabilities(scores: Scores, top_k: int, classes: ClassList) -> dict[str, float]:
    """``{label: probability}``, best first, as TorchServe's own image classifier answers.

    Where the model has no probabilities, the logits stand in their place.
    """
    values = scores.logits if scores.probabilities is None else scores.probabilities
    labels = classes.unique_labels
    best = greatest(scores.logits, top_k)
    return {labels[index]: number(float(values[index])) for index in best}


def goal_entry(raw: RawMap, scores: Scores, classes: ClassList) -> dict[str, Any]:
    """The class that a map explains, and the one that it is set against, if there is one."""
    entry = class_entry(raw.index, scores, classes)
    if raw.versus is not None:
        entry["versus"] = class_entry(raw.versus, scores, classes)
        difference = float(scores.logits[raw.index]) - float(scores.logits[raw.versus])
        entry["difference"] = number(difference)
    return entry


def asked_entry(raw: RawMap, options: Options) -> dict[str, Any]:
    """How a map was made; what is not out of the ordinary is left out."""
    entry: dict[str, Any] = {
        "method": raw.method,
        "layer": raw.layers[0] if len(raw.layers) == 1 else list(raw.layers),
    }
    if len(raw.layers) > 1:
        entry["fuse"] = options.fuse
    if options.smooth:
        entry["smooth"] = {"copies": options.smooth, "noise": options.noise, "seed": options.seed}
    if options.flip:
        entry["flip"] = True
    if options.call != _LAST_CALL:
        entry["call"] = options.call
    if raw.bypassed:
        entry["bypassed"] = True
    if raw.faithfulness is not None:
        measured = asdict(raw.faithfulness)
        entry["faithfulness"] = {
            name: number(value) if isinstance(value, float) else value
            for name, value in measured.items()
        }
    return entry


def parts_entry(raw: RawMap) -> list[dict[str, Any]]:
    """Of a map of several layers, what each layer's own map says."""
    return [
        {
            "layer": layer,
            "max": number(max(0.0, float(values.max()))),
            "positive_share": number(positive_share(values)),
        }
        for layer, values in zip(raw.layers, raw.parts, strict=True)
    ]


def shared_entry(maximum: float) -> dict[str, Any]:
    """That the maps of an answer are on one scale, and what is 1 on it."""
    return {"scale": "shared", "shared_max": number(maximum)}


def evidence_entry(evidence: Evidence) -> dict[str, Any]:
    """What a map says in numbers."""
    return {
        "max": number(evidence.maximum),
        "positive_share": number(evidence.positive_share),
        "peak": None if evidence.peak is None else [round(edge, 3) for edge in evidence.peak],
        "spread": number(evidence.spread),
        "low_evidence": evidence.low_evidence,
        "box": None if evidence.box is None else region_entry(evidence.box),
        "threshold": evidence.threshold,
    }


def heatmap_entry(raw: RawMap, region: Region) -> dict[str, Any]:
    """The map's size and strength, and what of the picture it covers; not its values."""
    height, width = raw.values.shape
    return {
        "height": height,
        "width": width,
        "max": number(raw.maximum),
        "region": region_entry(region),
    }


def grid_entry(grid: Grid) -> list[list[float]]:
    """The map as numbers at the layer's own resolution, 0…1."""
    return [[number(value) for value in row] for row in grid.tolist()]


def grid_of(raw: RawMap, maximum: float | None = None) -> Grid:
    """The map after the ReLU over its maximum, or the one given: ``[h, w]``, 0…1."""
    return raw.heatmap(maximum).numpy().astype(np.float32)


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
