"""Where an archive's weights and preprocessing come from."""

import contextlib
import json
import pickle
import re
import socket
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor
from torchvision import models

from gradcam.networks import build_network, build_skeleton
from packaging_options import DEMO_ARCHITECTURE, DEMO_FOLDER, PackagingError

State = Mapping[str, Tensor]

# Architectures whose published weights expect their input rescaled by the network itself.
_TRANSFORM_INPUT = ("googlenet", "inception_v3")
_SUFFIXES = (".pth", ".pt", ".safetensors")


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
    """

    labels: tuple[str, ...]
    preprocessing: Mapping[str, Any]


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
        return Card(tuple(card["class_names"]), card["preprocessing"])
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
    )


def read_weights(architecture: str, weights: str | None) -> Weights:
    """Reads weights by name or file; random ones are :func:`random_weights`.

    Raises:
        PackagingError: There are no such weights, or the file is not a state dict.
    """
    if architecture == DEMO_ARCHITECTURE and weights is None:
        weights = str(DEMO_FOLDER / "weights.safetensors")
    if weights is not None and (weights.endswith(_SUFFIXES) or Path(weights).is_file()):
        state = read_state_file(Path(weights))
        return Weights({_modern_name(architecture, name): state[name] for name in state})
    return _published(architecture, weights or "DEFAULT")


def random_weights(
    architecture: str, num_classes: int, seed: int, options: Mapping[str, object]
) -> Weights:
    """The weights that a seed gives."""
    torch.manual_seed(seed)
    return Weights(build_network(architecture, num_classes, options).state_dict())


def count_classes(architecture: str, state: State, options: Mapping[str, object]) -> int | None:
    """How many classes weights have: the size of what differs between two built networks."""
    built = [build_skeleton(architecture, count, options).state_dict() for count in (7, 11)]
    for name, tensor in built[0].items():
        for axis, sizes in enumerate(zip(tensor.shape, built[1][name].shape, strict=True)):
            if sizes == (7, 11) and name in state and state[name].dim() > axis:
                return int(state[name].shape[axis])
    return None


def read_state_file(path: Path) -> dict[str, Tensor]:
    """Reads a state dict: safetensors, or what ``torch.save`` wrote, without running its code.

    Raises:
        PackagingError: The file holds something else; the message says what to save instead.
    """
    if not path.is_file():
        raise PackagingError(f"the weights file {path} does not exist")
    if path.suffix == ".safetensors":
        try:
            return dict(safetensors.torch.load_file(path))
        except (SafetensorError, OSError) as error:
            raise PackagingError(f"{path} cannot be read as safetensors: {error}") from error
    if _is_torchscript(path):
        raise PackagingError(
            f"{path} is a TorchScript file, which takes no hooks and so gives no Grad-CAM; "
            f"{_INSTEAD}"
        )
    with _explained(path):
        return _state_dict(path, torch.load(path, map_location="cpu", weights_only=True))


_SUPPLY = (
    "give a state dict, as torch.save(model.state_dict(), 'weights.pth') writes it, or a "
    ".safetensors file"
)
_INSTEAD = "save the eager model's weights instead: torch.save(model.state_dict(), 'weights.pth')"


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except pickle.UnpicklingError as error:
        told = str(error)
        if "Unsupported operand" in told or not ("GLOBAL" in told or "Unsupported" in told):
            raise PackagingError(f"{path} is not a file of PyTorch weights; {_SUPPLY}") from error
        raise PackagingError(
            f"{path} holds pickled objects such as a whole module, which could run code when "
            f"loaded; {_INSTEAD}"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError) as error:
        # what is not a pickle fails in many ways, none of which says more than this
        raise PackagingError(
            f"{path} is not a file of PyTorch weights, or is damaged; {_SUPPLY}"
        ) from error


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        names = [name.split("/", 1)[-1] for name in file.namelist()]
    return "constants.pkl" in names or any(name.startswith("code/") for name in names)


def _state_dict(path: Path, loaded: object) -> dict[str, Tensor]:
    for key in ("state_dict", "model", "model_state_dict"):  # training checkpoints
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not loaded:
        raise PackagingError(f"{path} holds a {type(loaded).__name__}, no state dict; {_INSTEAD}")
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise PackagingError(
                f"{path} holds {name!r} beside its tensors and so is no state dict; {_INSTEAD}"
            )
    wrapped = all(name.startswith("module.") for name in loaded)  # by DataParallel
    return {name.removeprefix("module.") if wrapped else name: loaded[name] for name in loaded}


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
