"""Networks, pictures and layers that the CAM methods are compared on."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.torch
import skimage.data
import torch
from torch import Tensor, nn
from torchvision import transforms

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "handlers"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from gradcam import freeze
from gradcam.methods import METHODS
from gradcam.networks import build_network
from gradcam.networks.demo_network import DemoNet
from library_maps import exact_tensors
from paper_formulas import Array

ROOT = Path(__file__).resolve().parent.parent


class Case:
    """A network, a picture and a layer, with the exact activations and gradients of one class."""

    def __init__(self, network: nn.Module, picture: Tensor, layer: str, index: int) -> None:
        self.network, self.picture, self.layer, self.index = network, picture, layer, index
        self.activations, self.gradients = exact_tensors(network, layer, picture, index)

    def ours(self, method: str) -> Array:
        """Our map in float32, as it is served."""
        maps = (self.activations[None].float(), self.gradients[None].float())
        compute = METHODS[method].compute
        assert compute
        return np.asarray(compute(*maps)[0], dtype=np.float64)

    def paper(self, formula: Callable[[Array, Array], Array]) -> Array:
        """The paper's map."""
        return formula(self.activations.numpy(), self.gradients.numpy())

    def library(self, take: Callable[..., Array], *name: str) -> Array:
        """The map of a library."""
        return take(*name, self.network, self.layer, self.picture, self.index)


def demo(index: int, layer: str = "layer3") -> Case:
    """The demo model on the photograph of a cat."""
    network = DemoNet()
    network.load_state_dict(safetensors.torch.load_file(ROOT / "models/demo/weights.safetensors"))
    prepare = transforms.Compose(
        [
            transforms.ToTensor(),
            transforms.Resize((48, 48)),
            transforms.Normalize([0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]),
        ]
    )
    return Case(freeze(network.eval()), prepare(skimage.data.chelsea()), layer, index)


def random_network(name: str, layer: str) -> Case:
    """One of torchvision's, with seeded random weights, on seeded noise."""
    torch.manual_seed(0)
    network = freeze(build_network(name, 1000).eval())
    return Case(network, torch.randn(3, 224, 224), layer, 7)
