"""What timm knows of a model: preprocessing, labels, and pretrained weights to download."""

import importlib
import math
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchvision import models

from model_sources import Card, Weights
from packaging_options import PackagingError
from state_files import is_state_file, read_state_file

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")


def tagged_name(architecture: str, weights: str | None) -> str:
    """The architecture with the pretrained tag that ``--weights`` names, if it names one."""
    if weights in (None, "none") or is_state_file(str(weights)):
        return architecture
    return f"{architecture.partition('.')[0]}.{weights}"


def read_timm_card(architecture: str) -> tuple[Card, list[str]]:
    """Labels and preprocessing of a model as timm's own evaluation takes them.

    Args:
        architecture: With its pretrained tag, or timm's default one.

    Returns:
        The card, and sentences on what it cannot say exactly.

    Raises:
        PackagingError: The model does not take pictures of three channels.
    """
    data, registry = (importlib.import_module(name) for name in ("timm.data", "timm.models"))
    described = registry.get_pretrained_cfg(architecture)
    told: Mapping[str, Any] = described.to_dict() if described else {}
    chosen = data.resolve_data_config({}, pretrained_cfg=told)
    channels, height, width = chosen["input_size"]
    if channels != 3:
        raise PackagingError(f"{architecture} takes pictures of {channels} channels, not 3")
    notes = []
    squash = chosen["crop_mode"] == "squash"
    if chosen["crop_mode"] == "border" or (squash and chosen["crop_pct"] != 1):
        notes.append(
            f"timm evaluates {architecture} with the crop mode {chosen['crop_mode']!r} at "
            f"{chosen['crop_pct']}, which is done here as a plain "
            f"{'resize to the input size' if squash else 'centre crop'}"
        )
    interpolation = chosen["interpolation"]
    preprocessing = {
        "resize": math.floor(min(height, width) / chosen["crop_pct"]),
        "crop_size": [height, width],
        "squash": squash,
        "interpolation": interpolation if interpolation in _INTERPOLATIONS else "bicubic",
        "mean": [float(value) for value in chosen["mean"]],
        "std": [float(value) for value in chosen["std"]],
    }
    count = told.get("num_classes", 1000)
    labels = models.ResNet50_Weights.DEFAULT.meta["categories"] if count == 1000 else ()
    return Card(tuple(labels), preprocessing, count), notes


def read_timm_weights(
    architecture: str, weights: str | None, options: Mapping[str, object]
) -> Weights:
    """Reads a local file, or downloads what timm publishes for a model.

    Raises:
        PackagingError: There are no such weights, or the file is not a state dict.
    """
    if weights is not None and is_state_file(weights):
        return Weights(read_state_file(Path(weights)))
    socket.setdefaulttimeout(30)
    try:
        network = importlib.import_module("timm").create_model(
            architecture, pretrained=True, **options
        )
    except Exception as error:  # each of the ways to download has errors of its own
        raise PackagingError(
            f"the weights of {architecture} could not be downloaded "
            f"({(str(error).splitlines() or [type(error).__name__])[0]}); use '--weights none "
            "--seed 0' for random ones, or '--weights FILE' for a local file"
        ) from error
    return Weights(network.state_dict())
