"""Where the weights and the preprocessing of a model with a name come from: files, torchvision."""

import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torchvision import models

from gradcam.networks import build_network, build_skeleton
from packaging_options import DEMO_ARCHITECTURE, DEMO_FOLDER, PackagingError
from state_files import State, is_state_file, read_state_file

# Architectures whose published weights expect their input rescaled by the network itself.
_TRANSFORM_INPUT = ("googlenet", "inception_v3")


@dataclass(frozen=True)
class Weights:
    """A state dict, and what it asks of the architecture.

    Attributes:
        state: The state dict.
        architecture_options: Keyword arguments that the architecture needs with it.
    """

    state: State
    architecture_options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Card:
    """What is known of a model without its weights.

    Attributes:
        labels: Of its classes, in order.
        preprocessing: As in ``handler: gradcam: preprocessing:``.
        num_classes: How many classes its published weights have.
    """

    labels: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    num_classes: int


def read_card(architecture: str, weights: str | None) -> Card:
    """The labels and the preprocessing that a model brings; nothing is downloaded.

    Args:
        architecture: One of ``gradcam.networks.architectures()``.
        weights: As on the command line; anything but a torchvision name means the default ones.
    """
    if architecture == DEMO_ARCHITECTURE:
        described = DEMO_FOLDER / "model.json"
        if not described.is_file():
            raise PackagingError(f"{described} is missing; scripts/train_demo.py writes it")
        card = json.loads(described.read_text(encoding="utf-8"))
        return Card(tuple(card["class_names"]), card["preprocessing"], len(card["class_names"]))
    known = models.get_model_weights(architecture).__members__
    entry = known.get(_short(weights), known["DEFAULT"])
    preset = entry.transforms()
    height, *width = preset.crop_size
    return Card(
        tuple(entry.meta["categories"]),
        {
            "resize": preset.resize_size[0],
            "crop_size": [height, *(width or [height])],
            "squash": False,
            "interpolation": preset.interpolation.value,
            "mean": list(preset.mean),
            "std": list(preset.std),
        },
        len(entry.meta["categories"]),
    )


def read_weights(architecture: str, weights: str | None) -> Weights:
    """Reads weights by name or file; random ones are :func:`random_weights`.

    Raises:
        PackagingError: There are no such weights, or the file is not a state dict.
    """
    if architecture == DEMO_ARCHITECTURE and weights is None:
        weights = str(DEMO_FOLDER / "weights.safetensors")
    if weights is not None and is_state_file(weights):
        state = read_state_file(Path(weights))
        return Weights({_modern_name(architecture, name): state[name] for name in state})
    return _published(architecture, weights or "DEFAULT")


def random_weights(
    architecture: str,
    num_classes: int,
    seed: int,
    options: Mapping[str, object],
    source: str = "torchvision",
) -> Weights:
    """The weights that a seed gives."""
    torch.manual_seed(seed)
    return Weights(build_network(architecture, num_classes, options, source).state_dict())


def count_classes(
    architecture: str,
    state: State,
    options: Mapping[str, object],
    source: str = "torchvision",
) -> int | None:
    """How many classes weights have: the size of what differs between two built networks."""
    built = [build_skeleton(architecture, count, options, source).state_dict() for count in (7, 11)]
    for name, tensor in built[0].items():
        for axis, sizes in enumerate(zip(tensor.shape, built[1][name].shape, strict=True)):
            if sizes == (7, 11) and name in state and state[name].dim() > axis:
                return int(state[name].shape[axis])
    return None


def _short(weights: str | None) -> str:
    """``IMAGENET1K_V1`` of ``ResNet50_Weights.IMAGENET1K_V1``."""
    return (weights or "DEFAULT").rsplit(".", 1)[-1]


def _modern_name(architecture: str, name: str) -> str:
    """Published DenseNet files still say ``norm.1`` for what is now ``norm1``."""
    if not architecture.startswith("densenet"):
        return name
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", name)


def _published(architecture: str, weights: str) -> Weights:
    if architecture == DEMO_ARCHITECTURE:
        raise PackagingError(
            f"there are no weights {weights!r} for {architecture}; leave --weights out, or give a "
            "local file or none"
        )
    known = models.get_model_weights(architecture).__members__
    if _short(weights) not in known:
        raise PackagingError(
            f"{weights!r} is neither a file nor weights of {architecture} ({', '.join(known)}); "
            "give one of those, a local file, or none"
        )
    socket.setdefaulttimeout(30)  # torch.hub sets none, and would wait for ever
    try:
        state = known[_short(weights)].get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise PackagingError(
            f"the weights {weights} of {architecture} could not be downloaded ({error}); use "
            "'--weights none --seed 0' for random ones, or '--weights FILE' for a local file"
        ) from error
    return Weights(
        {_modern_name(architecture, name): state[name] for name in state},
        {"transform_input": True} if architecture in _TRANSFORM_INPUT else {},
    )
