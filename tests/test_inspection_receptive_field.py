"""Receptive fields, held against the arithmetic of kernels and strides."""

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from gradcam import Explainer, Layer
from gradcam.networks.demo_network import DemoNet
from inspection.receptive_field import receptive_fields


def fields(network: nn.Module, size: tuple[int, int], *names: str) -> dict[str, tuple[int, int]]:
    """Height and width, of these layers or of all candidates."""
    table = Explainer(network.eval(), size).layers
    layers = [table.choose(name) for name in names or table.candidates]
    found = receptive_fields(network, layers, size)
    return {name: (field.height, field.width) for name, field in found.items()}


def seeded(make: type[nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def test_the_demo_network_by_kernels_and_strides() -> None:
    """Every 3×3 convolution adds twice the pixels between two of its cells: 2, 2, 4, 4 …"""
    expected = {"stem": 5, "layer1": 5 + 2 * 4, "layer2": 13 + 4 + 8, "layer3": 25 + 2 * 8}
    found = fields(seeded(DemoNet), (44, 44), *expected)
    assert found == {name: (side, side) for name, side in expected.items()}


def test_a_resnets_stem_and_first_stage() -> None:
    """7×7 by 2; a 3×3 maximum by 2; then four 3×3 convolutions at a stride of 4 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = models.resnet18(num_classes=3)
    expected = {"conv1": 7, "maxpool": 7 + 4, "layer1": 11 + 4 * 8}
    found = fields(network, (64, 64), *expected)
    assert found == {name: (side, side) for name, side in expected.items()}


class Oblong(nn.Module):
    """A kernel of 3×7, a ReLU that is off nearly everywhere, and a normalised cell."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 8, (3, 7), padding=(1, 3))
        self.off = nn.ReLU()
        self.normed = nn.Sequential(nn.Conv2d(8, 8, 1), nn.GroupNorm(1, 8))
        self.fc = nn.Linear(8, 2)
        with torch.no_grad():
            self.wide.bias = nn.Parameter(torch.full((8,), -1.0))

    def forward(self, x: Tensor) -> Tensor:
        x = self.normed[0](self.off(self.wide(x)))
        logits: Tensor = self.fc(self.normed[1](x).mean(dim=(2, 3)))
        return logits


def test_height_and_width_are_told_apart_though_relus_are_off() -> None:
    found = fields(seeded(Oblong), (20, 30))
    assert found["wide"] == found["off"] == found["normed.0"] == (3, 7)


def test_what_sees_everything_has_the_inputs_size() -> None:
    found = fields(seeded(Oblong), (20, 30))
    assert found["normed.1"] == (20, 30)  # its mean runs over all cells


class Cross(nn.Module):
    """One cell's derivative is known: 6 in its middle, 1 in each of four neighbours at 3 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 7, padding=3, bias=False)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[0, 0, 3, 3] = 96
            for row, column in ((0, 3), (6, 3), (3, 0), (3, 6)):
                self.conv.weight[0, 0, row, column] = 1

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.conv(x))


def test_most_of_a_field_is_where_nine_tenths_of_the_derivative_are() -> None:
    layer = Explainer(seeded(Oblong).eval(), (20, 20)).layers.choose("wide")
    named = Layer(**{**vars(layer), "name": "conv", "channels": 1})
    field = receptive_fields(Cross(), [named], (20, 20))["conv"]
    assert (field.height, field.width) == (7, 7)
    assert (field.most_height, field.most_width) == (1, 1)  # 96 of 100 lie in the middle


def test_the_network_stays_as_it_is() -> None:
    network = seeded(DemoNet).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fields(network, (32, 32))
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(value.dtype != torch.float64 for value in after.values())
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("size", [(24, 24), (24, 40)])
def test_a_layer_without_the_picture_sees_nothing(size: tuple[int, int]) -> None:
    class Blind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(self.conv(torch.ones_like(x)).mean(dim=(2, 3)))

    layer = Explainer(seeded(Oblong).eval(), size).layers.choose("wide")
    named = Layer(**{**vars(layer), "name": "conv", "channels": 2})
    field = receptive_fields(Blind().eval(), [named], size)["conv"]
    assert (field.height, field.width, field.most_height, field.most_width) == (0, 0, 0, 0)
