"""The networks that a sweep goes through, with seeded random weights."""

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


def build(subject: Subject, statistics: str = "drawn") -> nn.Module:
    """The network in evaluation mode and frozen, float32.

    Weights are as its authors initialise them, from a fixed seed, except that weights that begin as
    zeros, those of many a head and of the last normalisation of many a block, are drawn: zeros
    would leave no map to compare. Running statistics, which begin as zeros and ones and would hide
    mistakes, are replaced.

    Args:
        subject: Which network.
        statistics: ``drawn`` draws them around zero and one, but lets no variance be smaller than
            about the mean square of what comes in, for else activations of some deep networks grow
            until float32 does not even give the logits any more. ``noise`` takes those of two
            pictures of noise, which deep layers hardly tell apart any more; dividing by so small a
            variance makes much of rounding.
    """
    torch.manual_seed(SEED)
    name = subject.name
    network: nn.Module
    if name.startswith("timm/"):
        network = timm.create_model(name[5:])
    elif name in {"googlenet", "inception_v3"}:  # their own initialisation takes half a minute
        network = models.get_model(name, weights=None, init_weights=False, aux_logits=False)
    else:
        network = models.get_model(name, weights=None)
    network.eval().requires_grad_(requires_grad=False)
    for key, weight in network.named_parameters():
        if key.endswith("weight") and not weight.any():
            _draw(weight)
    _replace_statistics(network, noise(subject, count=2), statistics)
    return network


def noise(subject: Subject, count: int = 1) -> Tensor:
    """Pictures of seeded noise, ``[count, 3, side, side]``."""
    generator = torch.Generator().manual_seed(SEED)
    return torch.randn((count, 3, subject.side, subject.side), generator=generator)


def _draw(weight: Tensor) -> None:
    if weight.dim() == 1:
        weight.uniform_(0.5, 1.5)
    else:
        weight.normal_(0, max(1, weight[0].numel()) ** -0.5)


def _replace_statistics(network: nn.Module, pictures: Tensor, statistics: str) -> None:
    """Sets each normalisation's statistics on the way, so that later ones see what they will."""

    def draw(module: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        mean, variance = module.running_mean, module.running_var
        assert mean is not None
        assert variance is not None
        (x,) = inputs
        if statistics == "noise":
            mean.copy_(x.mean(dim=(0, 2, 3)))
            variance.copy_(x.var(dim=(0, 2, 3)))
        else:
            mean.normal_(0, 0.1)
            variance.uniform_(0.5, 1.5).mul_(x.square().mean(dim=(0, 2, 3)).clamp(min=1))

    handles = [
        module.register_forward_pre_hook(draw)
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None
    ]
    if handles:
        with torch.no_grad():
            network(pictures)
    for handle in handles:
        handle.remove()
