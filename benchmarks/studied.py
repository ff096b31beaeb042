"""The networks of which choices in serving are measured, and how each sees photographs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from finding import ROOT
from subjects import settled_network
from torch import Tensor, nn

from gradcam import Explainer, freeze
from gradcam.geometry import plan_view
from gradcam.networks.demo_network import DemoNet
from gradcam.pictures.picture import Picture
from gradcam.pictures.preprocess import normalise, show
from gradcam.settings import Preprocessing

DEMO = "demo"
"""The demo model, with the weights that it was trained to; the others' are drawn from a seed."""

_SEEN_BY_DEMO = Preprocessing(
    resize=48, crop_size=(48, 48), mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616)
)


@dataclass(frozen=True)
class Studied:
    """One of them.

    Attributes:
        name: ``DEMO``, or torchvision's.
    """

    name: str

    @property
    def preprocessing(self) -> Preprocessing:
        """From a picture to its input."""
        return _SEEN_BY_DEMO if self.name == DEMO else Preprocessing()

    def network(self) -> nn.Module:
        """A new one, frozen, on the CPU; the same every time."""
        if self.name != DEMO:
            return settled_network(self.name)
        from safetensors.torch import load_file  # noqa: PLC0415 - the others need none

        network = DemoNet()
        network.load_state_dict(load_file(ROOT / "models/demo/weights.safetensors"))
        return freeze(network.eval())

    def explainer(self, **options: Any) -> Explainer:
        """Of a network of its own, which a precision or a layout changes for good."""
        return Explainer(self.network(), self.preprocessing.crop_size, **options)

    def batch(self, pictures: Sequence[Picture]) -> Tensor:
        """What the network is given, as a worker gives it: ``[N, 3, H, W]``."""
        how = self.preprocessing
        shown = [show(one, plan_view(one.frame, how), how.interpolation) for one in pictures]
        return normalise(shown, how, torch.device("cpu"))
