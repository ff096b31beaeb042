"""Models that come as files: the user's own model file, and ``torch.export`` archives."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models

from gradcam.errors import EngineFault
from gradcam.networks.exported import Input, check_exported
from gradcam.networks.own_file import build_own, load_own
from gradcam.networks.pt2_archive import Repacked, repack
from gradcam.survey.readout import Readout
from model_sources import Card
from packaging_options import PackagingError
from state_files import State, read_state_file


def read_own(
    path: Path, weights: str | None, seed: int | None, options: Mapping[str, object]
) -> tuple[nn.Module, State]:
    """Builds the network of a model file around its weights, or around seeded random ones.

    Raises:
        PackagingError: There is no such file, or no weights are given.
        SettingsError: The file or the weights do not fit.
    """
    if not path.is_file():
        raise PackagingError(f"the model file {path} does not exist")
    if weights is None:
        raise PackagingError(
            "a model file needs --weights FILE, with a state dict; or --weights none for the ones "
            "that its constructor draws"
        )
    if weights != "none":
        state: State = read_state_file(Path(weights))
        return load_own(path, state, options), state
    torch.manual_seed(seed or 0)
    network = build_own(path, options).eval()
    return network, network.state_dict()


def read_exported(path: Path) -> tuple[Repacked, Input]:
    """Reads an archive of ``torch.export.save`` without running anything in it.

    Raises:
        PackagingError: There is no such file.
        SettingsError: It cannot be served, or not safely; the message says how to export it.
    """
    if not path.is_file():
        raise PackagingError(f"the exported model {path} does not exist")
    repacked = repack(path)
    return repacked, check_exported(path.name, repacked.program)


def count_run(network: nn.Module, size: tuple[int, int], output: str | int | None) -> int | None:
    """How many logits a network gives for a picture; ``None`` where none are found.

    Args:
        network: In evaluation mode.
        size: ``(height, width)`` of the picture.
        output: The name or place of the logits in what it gives; ``None`` finds them.
    """
    try:
        with torch.inference_mode():
            given = network(torch.zeros(1, 3, *size))
    except Exception as error:  # it is the user's code: anything can come out of it
        raise PackagingError(
            f"the network fails on a picture of {size[0]}×{size[1]} "
            f"({type(error).__name__}: {(str(error).splitlines() or [''])[0]}); --crop-size says "
            "what it takes"
        ) from error
    try:
        return Readout(output).find(given).shape[1]
    except EngineFault:
        return None


def count_exported(program: Mapping[str, Any]) -> int | None:
    """How many logits an exported network gives; ``None`` where it gives no plain logits."""
    graph = program["graph_module"]
    names = [
        specification["user_output"]["arg"].get("as_tensor", {}).get("name")
        for specification in graph["signature"]["output_specs"]
        if "user_output" in specification
    ]
    if len(names) != 1 or names[0] not in graph["graph"]["tensor_values"]:
        return None
    sizes = graph["graph"]["tensor_values"][names[0]]["sizes"]
    last: int | None = sizes[-1].get("as_int") if len(sizes) > 1 else 1
    return last


def plain_card(count: int | None, size: tuple[int, int] | None) -> Card:
    """What is assumed of a model that says nothing of itself: torchvision's usual preprocessing."""
    weights = models.ResNet50_Weights.IMAGENET1K_V1
    preset = weights.transforms()
    shown = list(size or (preset.crop_size[0], preset.crop_size[0]))
    return Card(
        tuple(weights.meta["categories"]) if count == 1000 else (),
        {
            # in the proportion of 256 to 224
            "resize": round(min(shown) * preset.resize_size[0] / preset.crop_size[0]),
            "crop_size": shown,
            "squash": False,
            "interpolation": preset.interpolation.value,
            "mean": list(preset.mean),
            "std": list(preset.std),
        },
        count or len(weights.meta["categories"]),
    )
