"""The networks that contenders explain, with seeded random weights, and the pictures."""

import importlib.util
from dataclasses import dataclass
from typing import Any

import finding  # noqa: F401 - it finds the engine
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everybody calls it that

from gradcam import Explainer, Layer, freeze
from gradcam.networks import build_network

SIDE = 224
"""Of the square pictures, in pixels."""


@dataclass(frozen=True)
class Subject:
    """A network that all contenders explain at the same layer.

    Attributes:
        name: Torchvision's.
        network: In evaluation mode and frozen.
        explainer: Our own, of this network.
        layer: Its default target layer.
        numbers: How many numbers the layer's output has for one picture.
    """

    name: str
    network: nn.Module
    explainer: Explainer
    layer: Layer
    numbers: int

    @property
    def module(self) -> nn.Module:
        """The target layer."""
        return self.network.get_submodule(self.layer.name)


def build_subject(name: str, device: torch.device) -> Subject:
    """A network of torchvision's with random weights, the same on every device."""
    network = settled_network(name).to(device)
    explainer = Explainer(network, (SIDE, SIDE))
    layer = explainer.layers.choose(None)
    numbers = _count(network, layer.name, noise(1).to(device))
    return Subject(name, network, explainer, layer, numbers)


def settled_network(name: str) -> nn.Module:
    """A network of torchvision's with seeded random weights, frozen, on the CPU.

    Weights that begin as zeros (a vision transformer's head) are drawn, for zeros leave no map.
    The statistics of batch normalisation are those of noise, for zeros and ones let activations
    dwindle to 1e-14 in an EfficientNet.
    """
    torch.manual_seed(0)
    network = build_network(name, 1000).eval()
    with torch.no_grad():
        for key, weight in network.named_parameters():
            if key.endswith("weight") and not weight.any():
                weight.normal_(0, max(1, weight[0].numel()) ** -0.5)
    _settle(network, noise(4))
    return freeze(network)


def noise(count: int) -> Tensor:
    """Seeded noise, ``[count, 3, SIDE, SIDE]``, on the CPU."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn((count, 3, SIDE, SIDE), generator=generator)


def pictures_to_compare() -> tuple[Tensor, str]:
    """What maps are compared on: noise, and a photograph where scikit-image is installed.

    Returns:
        ``[2, 3, SIDE, SIDE]`` on the CPU, normalised, and what they show.
    """
    if importlib.util.find_spec("skimage") is None:
        return noise(2), "two pictures of noise"
    import skimage.data  # noqa: PLC0415 - it may be missing

    cat = torch.from_numpy(skimage.data.chelsea()).permute(2, 0, 1)[None].float() / 255
    small = F.interpolate(cat, (SIDE, SIDE), mode="bilinear", antialias=True)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    return torch.cat([(small - mean) / deviation, noise(1)]), "a photograph of a cat, and noise"


def _settle(network: nn.Module, pictures: Tensor) -> None:
    """Takes the statistics of batch normalisation from one pass."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
            module.momentum = 1.0  # nothing is left of those before
    with torch.no_grad():
        network(pictures)
    network.eval()


def _count(network: nn.Module, layer: str, picture: Tensor) -> int:
    numbers: list[int] = []

    def count(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        numbers.append(output.numel())

    handle = network.get_submodule(layer).register_forward_hook(count)
    with torch.inference_mode():
        network(picture)
    handle.remove()
    return numbers[-1]
