"""Which layers stand for all candidates."""

import pytest
import torch
from torch import nn
from torchvision import models

from gradcam import Explainer, LayerTable
from gradcam.networks.demo_network import DemoNet
from layer_selection import pick_layers


def table(network: nn.Module, side: int) -> LayerTable:
    return Explainer(network.eval(), (side, side)).layers


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (9, ("stem", "layer1", "layer2", "layer3")),
        (2, ("layer2", "layer3")),
        (1, ("layer3",)),
    ],
)
def test_the_last_of_each_shape_and_those_nearest_to_the_logits(
    most: int, expected: tuple[str, ...]
) -> None:
    assert pick_layers(table(DemoNet(), 48), most) == expected


def test_a_resnets_stages() -> None:
    picked = pick_layers(table(models.resnet18(num_classes=3), 64), 9)
    assert picked == ("relu", "layer1", "layer2", "layer3", "layer4")


class OneShape(nn.Module):
    """Twelve layers of one shape."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(12)))
        self.fc = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.blocks(x).mean(dim=(2, 3)))
        return logits


def test_layers_of_one_shape_are_taken_at_even_distances() -> None:
    found = table(OneShape(), 8)
    assert found.default == "blocks"
    picked = pick_layers(found, 4)
    assert picked == ("blocks.2", "blocks.5", "blocks.8", "blocks")


def test_the_default_is_there_even_if_a_pooled_layer_of_its_shape_comes_after_it() -> None:
    found = table(models.vgg11(num_classes=3), 224)
    assert found.default is not None
    assert found.default in pick_layers(found, 3)
