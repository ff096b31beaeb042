"""What the answers must say, worked out without the engine: torchvision, autograd, definitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from PIL import Image

from archive_dir import NUM_CLASSES, PREPROCESSING
from gradcam.networks.demo_network import DemoNet
from presets import preset


@dataclass(frozen=True)
class Reference:
    """One picture's truth: ``[C]`` logits, and for a class its map ``[h, w]``, in float64."""

    network: DemoNet
    inputs: torch.Tensor

    def logits(self) -> torch.Tensor:
        with torch.no_grad():
            return torch.as_tensor(self.network(self.inputs)[0])

    def probabilities(self) -> list[float]:
        return [float(value) for value in self.logits().softmax(0)]

    def map(self, index: int, versus: int | None = None) -> torch.Tensor:
        """Grad-CAM by its two equations, after the ReLU and not divided by anything.

        With a second class, of the difference of the two logits.
        """
        kept: list[torch.Tensor] = []
        hook = self.network.layer3.register_forward_hook(lambda *call: kept.append(call[2]))
        logits = self.network(self.inputs.clone().requires_grad_())
        hook.remove()
        explained = logits[0, index] if versus is None else logits[0, index] - logits[0, versus]
        (gradient,) = torch.autograd.grad(explained, kept)
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        return (weights * kept[0]).sum(dim=1)[0].relu().detach()


def refer(folder: Path, image: Image.Image) -> Reference:
    """Loads the archive's weights and shows the picture as torchvision's presets do."""
    network = DemoNet(NUM_CLASSES)
    network.load_state_dict(safetensors.torch.load_file(folder / "weights.safetensors"))
    view: Mapping[str, Any] = PREPROCESSING
    show = preset(view["resize"], view["crop_size"], "bilinear", view["mean"], view["std"])
    inputs: torch.Tensor = show(image)[None].double()
    return Reference(network.double().eval(), inputs)


def spread(values: object, region: list[float], width: int, height: int) -> npt.NDArray[np.float64]:
    """A map bilinearly interpolated at each pixel's centre, and zero outside its region."""
    left, top, across, down = region
    x = (torch.arange(width).double() + 0.5 - left) / across * 2 - 1
    y = (torch.arange(height).double() + 0.5 - top) / down * 2 - 1
    places = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    grid = torch.tensor(values, dtype=torch.float64)[None, None]
    found = torch.nn.functional.grid_sample(
        grid, places[None], mode="bilinear", padding_mode="border", align_corners=False
    )
    outside = (places.abs() > 1).any(dim=-1)
    return found[0, 0].masked_fill(outside, 0).numpy()
