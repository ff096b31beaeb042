"""The networks that a sweep goes through, with seeded random weights."""

from collections.abc import Iterator
from dataclasses import dataclass

import timm
import torch
from torch import Tensor, nn
from torchvision import models

SEED = 0

TIMM = (
    "resnet50d",
    "regnety_032",
    "tf_efficientnetv2_s",
    "convnextv2_tiny",
    "vit_medium_patch16_reg4_gap_256",
    "deit_small_distilled_patch16_224",
    "swinv2_tiny_window8_256",
    "eva02_tiny_patch14_224",
    "maxvit_tiny_rw_224",
    "mixer_b16_224",
)
"""One model of each of ten families."""

_SIDES = {"inception_v3": 299, "swin_v2": 256}


@dataclass(frozen=True)
class Subject:
    """A network to go through.

    Attributes:
        name: Torchvision's, or timm's with ``timm/`` before it.
        side: Of the square picture it gets, in pixels.
    """

    name: str
    side: int


def torchvision_subjects() -> list[Subject]:
    """All of torchvision's classifiers."""
    return [find_subject(name) for name in models.list_models(module=models)]


def timm_subjects() -> list[Subject]:
    """One model of each of ten of timm's families."""
    return [find_subject(f"timm/{name}") for name in TIMM]


def find_subject(name: str) -> Subject:
    """A network by its name, and the side that it takes; 224 where it takes any."""
    if name.startswith("timm/"):
        return Subject(name, timm.get_pretrained_cfg(name[5:]).input_size[-1])
    sides = [side for start, side in _SIDES.items() if name.startswith(start)]
    return Subject(name, sides[0] if sides else 224)


def build(subject: Subject) -> nn.Module:
    """The network in evaluation mode and frozen, float32.

    Weights are as its authors initialise them, from a fixed seed, with two exceptions. Running
    statistics are drawn, for zeros and ones would hide mistakes. Weights that begin as zeros, those
    of many a head and of the last normalisation of many a block, are drawn too, for zeros would
    leave no map to compare.
    """
    torch.manual_seed(SEED)
    name, options = subject.name, {}
    if name.startswith("timm/"):
        network: nn.Module = timm.create_model(name[5:])
    else:
        if name in {"googlenet", "inception_v3"}:  # their initialisation takes half a minute
            options = {"init_weights": False, "aux_logits": False}
        network = models.get_model(name, weights=None, **options)
    network.eval().requires_grad_(requires_grad=False)
    for key, tensor in _all_tensors(network):
        if key.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif key.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif key.endswith("weight") and not tensor.any():
            _draw(tensor)
    return network


def noise(subject: Subject) -> Tensor:
    """A picture of seeded noise, ``[1, 3, side, side]``."""
    generator = torch.Generator().manual_seed(SEED)
    return torch.randn((1, 3, subject.side, subject.side), generator=generator)


def _draw(weight: Tensor) -> None:
    if weight.dim() == 1:
        weight.uniform_(0.5, 1.5)
    else:
        weight.normal_(0, max(1, weight[0].numel()) ** -0.5)


def _all_tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from network.named_parameters()
    yield from network.named_buffers()
