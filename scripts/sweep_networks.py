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


def build(subject: Subject) -> nn.Module:
    """The network in evaluation mode and frozen, float32.

    Weights are as its authors initialise them, from a fixed seed, with two exceptions. Weights that
    begin as zeros, those of many a head and of the last normalisation of many a block, are drawn,
    for zeros would leave no map to compare. Running statistics, which begin as zeros and ones and
    would hide mistakes, are drawn too. In a network whose activations grow without bound under
    drawn statistics, so that float32 does not even give its logits, they are those of noise.
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
    kept = {name: buffer.clone() for name, buffer in network.named_buffers()}
    for key, buffer in network.named_buffers():
        if key.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif key.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    if not _fits_float32(network, noise(subject)):
        for key, buffer in network.named_buffers():
            buffer.copy_(kept[key])
        _take_statistics(network, noise(subject, count=2))
    return network


def _fits_float32(network: nn.Module, picture: Tensor) -> bool:
    """Whether the logits in float32 are those in float64 to a thousandth of the greatest."""
    with torch.no_grad():
        single = network(picture)
        double = network.double()(picture.double())
        network.float()
    return bool((single - double).abs().max() <= 1e-3 * double.abs().max())


def noise(subject: Subject, count: int = 1) -> Tensor:
    """Pictures of seeded noise, ``[count, 3, side, side]``."""
    generator = torch.Generator().manual_seed(SEED)
    return torch.randn((count, 3, subject.side, subject.side), generator=generator)


def _draw(weight: Tensor) -> None:
    if weight.dim() == 1:
        weight.uniform_(0.5, 1.5)
    else:
        weight.normal_(0, max(1, weight[0].numel()) ** -0.5)


def _take_statistics(network: nn.Module, pictures: Tensor) -> None:
    normalisations = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [module.momentum for module in normalisations]
    for module in normalisations:
        module.train().momentum = 1  # only these pictures count
    if normalisations:
        with torch.no_grad():
            network(pictures)
    for module, momentum in zip(normalisations, momenta, strict=True):
        module.eval().momentum = momentum
