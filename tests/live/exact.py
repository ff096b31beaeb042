"""What an archive's model must answer, worked out the long way from the archive's own files."""

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml
from PIL import Image
from torch import Tensor, nn
from torchvision import models

from gradcam.networks.demo_network import DemoNet
from oracles import full_autograd_map
from presets import preset


@dataclass(frozen=True)
class Exact:
    """A model as torchvision itself builds it and preprocesses for it."""

    network: nn.Module
    names: Mapping[str, Any]
    prepare: Callable[[Image.Image], Tensor]

    def logits(self, picture: Image.Image) -> Tensor:
        """``[C]``, float64."""
        with torch.no_grad():
            logits: Tensor = self._double(self.prepare(picture)[None].double())[0]
        return logits

    def heatmap(self, picture: Image.Image, layer: str, index: int) -> Tensor:
        """The map after the ReLU but before any division, ``[h, w]``, float64."""
        return self.raw_map(picture, layer, index).relu()

    def raw_map(self, picture: Image.Image, layer: str, index: int) -> Tensor:
        """The map before the ReLU, ``[h, w]``, float64."""
        return full_autograd_map(self.network, layer, self.prepare(picture), index)

    @cached_property
    def _double(self) -> nn.Module:
        return self.network.double()


def read_exact(archive: Path) -> Exact:
    """Reads weights, class names and preprocessing out of a ``.mar``."""
    with zipfile.ZipFile(archive) as file:
        state = safetensors.torch.load(file.read("weights.safetensors"))
        section = yaml.safe_load(file.read("model-config.yaml"))["handler"]["gradcam"]
        names = json.loads(file.read("index_to_name.json"))
    count = section["num_classes"]
    if section["architecture"] == "demo_net":
        network: nn.Module = DemoNet(count)
    else:
        network = models.get_model(section["architecture"], weights=None, num_classes=count)
    network.load_state_dict(state)
    told = section["preprocessing"]
    size = told["crop_size"]
    crop = [size, size] if isinstance(size, int) else size
    resize = crop if told["squash"] else told["resize"]
    mode = told.get("interpolation", "bilinear")
    prepare = preset(resize, crop, mode, told["mean"], told["std"])
    return Exact(network.eval(), names, prepare)


def served_map(explanation: Mapping[str, Any]) -> Tensor:
    """The map that an answer holds, with its division undone: ``[h, w]``, float64."""
    heatmap = explanation["heatmap"]
    values = torch.tensor(heatmap["values"], dtype=torch.float64)
    assert list(values.shape) == [heatmap["height"], heatmap["width"]]
    return values * float(heatmap["max"])
