"""Networks small enough to work out by hand, and small ones with one trap each.

All take ``[N, 3, H, W]`` and give logits ``[N, classes]``, in evaluation mode.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everybody calls it that


def seeded(network: nn.Module, seed: int = 0) -> nn.Module:
    """Fills every parameter and running statistic with seeded noise, so that nothing is trivial."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            scale = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.3
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.1)
            elif name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return network.eval()


def frozen(network: nn.Module, seed: int = 0) -> nn.Module:
    """The same, with no parameter that requires a gradient."""
    return seeded(network, seed).requires_grad_(requires_grad=False)


def pictures(count: int, side: int = 12, seed: int = 0) -> Tensor:
    """Seeded noise, ``[count, 3, side, side]``."""
    return torch.randn((count, 3, side, side), generator=torch.Generator().manual_seed(seed))


class OneConv(nn.Module):
    """captum's ``BasicModel_ConvNet_One_Conv``, looking at the red channel: 4 × 4 pixels in.

    Convolution 0 is the sum of a 3 × 3 window minus 50, convolution 1 the same minus 75. All four
    logits are alike: the sum of channel 0 and of the first cell of channel 1, minus the other three
    cells of channel 1; then a ReLU.
    """

    def __init__(self, *, inplace: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 2, 3)
        self.relu1 = nn.ReLU(inplace=inplace)
        self.fc1 = nn.Linear(8, 4)
        self.relu2 = nn.ReLU(inplace=inplace)
        with torch.no_grad():
            self.conv1.weight.zero_()
            self.conv1.weight[:, 0] = 1
            self.conv1.bias = nn.Parameter(torch.tensor([-50.0, -75.0]))
            self.fc1.weight[:, :5] = 1
            self.fc1.weight[:, 5:] = -1
            self.fc1.bias.zero_()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.conv1(x))
        logits: Tensor = self.relu2(self.fc1(x.view(-1, 8)))
        return logits


class MeanLinear(nn.Module):
    """The features are the picture itself, the logits a linear function of their means."""

    def __init__(self, weight: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 3, 1, bias=False)
        self.fc = nn.Linear(3, len(weight), bias=False)
        with torch.no_grad():
            self.features.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
            self.fc.weight.copy_(torch.tensor(weight))
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.features(x).mean(dim=(2, 3)))
        return logits


class Classifier(nn.Module):
    """``body``, whose last feature map has 6 channels, then the mean over space and 5 logits."""

    def __init__(self, body: nn.Module, after: Callable[[Any], Tensor] | None = None) -> None:
        super().__init__()
        self.body = body
        self.fc = nn.Linear(6, 5)
        self._after = after

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        if self._after is not None:
            x = self._after(x)
        logits: Tensor = self.fc(x.flatten(2).mean(dim=2))
        return logits


def two_stages(*, inplace: bool = True) -> nn.Sequential:
    """Two convolutions with normalisation and ReLU: ``[3, H, W]`` to ``[6, H/2 - 1, W/2 - 1]``."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=inplace),
        nn.Conv2d(4, 6, 2),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=inplace),
    )


def small_network() -> nn.Module:
    """Layers at two resolutions, ReLUs in place, frozen."""
    return frozen(Classifier(two_stages()))


class Passing(nn.Module):
    """Hands its input through ``alias``, uses that, and only then overwrites the input in place."""

    def __init__(self, alias: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.alias = alias
        self.mix = nn.Conv2d(6, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv(x)
        mixed = self.mix(self.alias(first))
        total: Tensor = mixed + first.relu_()
        return total


class Named(NamedTuple):
    """A layer's output with a name."""

    steps: Tensor
    features: Tensor


class Packing(nn.Module):
    """A convolution and something that is no feature map, packed together."""

    def __init__(self, pack: Callable[[Tensor, Tensor], object]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self._pack = pack

    def forward(self, x: Tensor) -> object:
        return self._pack(torch.arange(3), self.conv(x))


class Twice(nn.Module):
    """One convolution that is called two times, with a ReLU that is too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 1)
        self.conv = nn.Conv2d(6, 6, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv(self.stem(x)))
        last: Tensor = self.relu(self.conv(x))
        return last


class Skipping(nn.Module):
    """A layer with a way around it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3)
        self.late = nn.Conv2d(6, 6, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        around: Tensor = x + F.relu(self.late(x))
        return around


class Branching(nn.Module):
    """Two layers side by side, one of them squashed in place afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.left = nn.Conv2d(4, 3, 1)
        self.right = nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return torch.cat([self.left(x).tanh_(), F.relu(self.right(x), inplace=True)], dim=1)


class Sided(nn.Module):
    """Has a layer that leads nowhere and one that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.side = nn.Conv2d(6, 2, 1)
        self.never = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.conv(x)
        self.side(features)
        return features


class Alone(nn.Module):
    """Uses ``used`` and calls ``called`` only for a picture that is alone in its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.called = nn.Conv2d(6, 6, 1)
        self.used = nn.Conv2d(6, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.conv(x)
        further: Tensor = self.used(features)
        return features + self.called(features) + further if len(x) == 1 else features


class Fragile(nn.Module):
    """``function`` of the mean red, per class: where it is not finite, neither is the answer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 1, 1, bias=False)
        with torch.no_grad():
            self.features.weight.copy_(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1))
        self._function = function
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        value = self._function(self.features(x).mean(dim=(2, 3)))
        return torch.cat([value, 2 * value], dim=1)


class Around(nn.Module):
    """A convolution, then ``layer`` and a way around it, both ``[6, H, W]``."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.layer = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        total: Tensor = x + self.layer(x)
        return total
