"""The demo model's network: a small residual net for ten everyday things.

An input of H x W pixels gives feature maps of ceil(H/4) x ceil(W/4) at ``layer3``, the layer to
explain: 12 x 12 at the demo's serving size of 48 x 48. That grid is finer than usual for a network
this small, because the last stage keeps the resolution instead of halving it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

STEM, WIDTHS = 32, (48, 112, 160)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; ``stride`` s shrinks the maps."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if stride != 1:
            # ceil_mode: odd sizes then round up, as the strided convolution does.
            self.shortcut.append(nn.AvgPool2d(stride, ceil_mode=True))
        if channels_in != channels_out:
            self.shortcut.append(nn.Conv2d(channels_in, channels_out, 1, bias=False))
            self.shortcut.append(nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C', ceil(H/s), ceil(W/s))."""
        residual = torch.relu(self.norm1(self.conv1(x)))
        residual = self.norm2(self.conv2(residual))
        # Not in place anywhere: a Grad-CAM hook holds on to what passed here.
        return torch.relu(residual + self.shortcut(x))


class DemoNet(nn.Module):
    """Classifies pictures of any size.

    Input: float (N, 3, H, W), normalised as ``model.json`` says. Output: logits (N, num_classes).
    Stages, for an input of H x W:

    ========  =====================  ==================
    stem      (N, 32, H/2, W/2)      5x5 convolution
    layer1    (N, 48, H/2, W/2)      one residual block
    layer2    (N, 112, H/4, W/4)     one residual block
    layer3    (N, 160, H/4, W/4)     one residual block
    fc        (N, num_classes)       after the mean over space
    ========  =====================  ==================
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.stem = nn.Sequential(
            nn.Conv2d(3, STEM, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(STEM),
            nn.ReLU(),
        )
        self.layer1 = nn.Sequential(ResidualBlock(STEM, first, stride=1))
        self.layer2 = nn.Sequential(ResidualBlock(first, second, stride=2))
        self.layer3 = nn.Sequential(ResidualBlock(second, third, stride=1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(third, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, 3, H, W) to logits (N, num_classes)."""
        x = self.layer3(self.layer2(self.layer1(self.stem(x))))
        logits: Tensor = self.fc(torch.flatten(self.pool(x), 1))
        return logits
