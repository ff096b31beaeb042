"""Random variants of a whole batch at once, in tensor operations.

CIFAR thumbnails show one thing, centred, filling the frame. Photographs sent to the demo do not,
and shrunk photographs are sharper than enlarged thumbnails. So a batch is moved, scaled both ways,
placed on other backgrounds, and blurred or sharpened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

SOURCE = 32  # pixels along a CIFAR picture's side


@dataclass(frozen=True)
class Zoom:
    """Output pixels per source pixel: ``usual`` for most pictures, ``wide`` for the rest."""

    usual: tuple[float, float]
    wide: tuple[float, float]


# By output size: the smaller two are cheap and serve most of the training, 48 is as served, where
# a whole CIFAR picture fills the frame at 1.5. Random crops make things look larger than they are
# served, so the smaller two stay below that (Touvron et al., 2019, arXiv:1906.06423).
ZOOMS = {
    24: Zoom((0.75, 1.1), (0.5, 1.3)),
    32: Zoom((0.95, 1.5), (0.65, 1.7)),
    48: Zoom((1.3, 1.8), (0.7, 2.3)),
}


def augment(pictures: Tensor, size: int, wide_share: float, strength: float = 1.0) -> Tensor:
    """Varies uint8 (N, 3, 32, 32); gives float 0..255 (N, 3, size, size).

    With ``strength`` below 1 pictures are varied less. At 0 they are only mirrored, and the wide
    share of them scaled and shifted.
    """
    batch = _move(pictures.float(), size, wide_share, strength)
    batch = _sharpness(batch, strength)
    return _colour(batch, strength).clamp_(0, 255)


def _uniform(n: int, low: float | Tensor, high: float | Tensor) -> Tensor:
    return low + (high - low) * torch.rand(n)


def _chance(n: int, share: float) -> Tensor:
    return torch.rand(n) < share


def _move(batch: Tensor, size: int, wide_share: float, strength: float) -> Tensor:
    """Scale, stretch, turn, shift and mirror, in one resampling."""
    n, zoom = len(batch), ZOOMS[size]
    wide = _chance(n, wide_share)
    low, high = math.log(zoom.usual[0]), math.log(zoom.usual[1])
    whole = math.log(size / SOURCE)  # at this one the whole picture fills the frame
    usual_log = whole + strength * (_uniform(n, low, high) - whole)
    wide_log = _uniform(n, math.log(zoom.wide[0]), math.log(zoom.wide[1]))
    scale = torch.where(wide, wide_log, usual_log).exp()
    stretch = strength * _uniform(n, -0.1, 0.1) * torch.where(wide, 2.0, 1.0)
    # Half the window's side, in source half-sides: 1 shows the whole picture.
    half_x = size / SOURCE / scale * stretch.exp()
    half_y = size / SOURCE / scale * (-stretch).exp()
    turn = strength * torch.randn(n) * 0.07
    # Anywhere the picture fills the window, or the window holds the picture; and a little beyond.
    slack = 0.08 * strength
    reach_x, reach_y = (half_x - 1).abs() + slack, (half_y - 1).abs() + slack
    mirror = torch.where(_chance(n, 0.5), -1.0, 1.0)
    theta = torch.stack(
        [
            torch.stack([mirror * half_x * turn.cos(), -half_y * turn.sin()], 1),
            torch.stack([mirror * half_x * turn.sin(), half_y * turn.cos()], 1),
        ],
        1,
    )
    shift = torch.stack([_uniform(n, -reach_x, reach_x), _uniform(n, -reach_y, reach_y)], 1)
    grid = functional.affine_grid(
        torch.cat([theta, shift[:, :, None]], 2), [n, 3, size, size], align_corners=False
    )
    moved = functional.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)
    # Half of the pictures show a neighbour's blurred colours around them instead of reflections.
    around = functional.interpolate(
        functional.avg_pool2d(batch.roll(1, 0), 8), size, mode="bilinear"
    )
    outside = (grid.abs().amax(3) > 1) & _chance(n, 0.5).view(n, 1, 1)
    return torch.where(outside[:, None], around, moved)


def _sharpness(batch: Tensor, strength: float) -> Tensor:
    """Blur (below 0) or sharpen (above 0) half of the pictures."""
    n = len(batch)
    amount = _uniform(n, -0.9, 1.2) * _chance(n, 0.5 * strength)
    blurred = functional.avg_pool2d(
        functional.pad(batch, (1, 1, 1, 1), mode="reflect"), 3, stride=1
    )
    return batch + amount.view(n, 1, 1, 1) * (batch - blurred)


def _colour(batch: Tensor, strength: float) -> Tensor:
    """Brightness, contrast and saturation, mildly; one picture in twenty loses its colour."""
    n = len(batch)

    def factor(spread: float) -> Tensor:
        return 1 + strength * _uniform(n, -spread, spread).view(n, 1, 1, 1)

    grey = batch.mean(1, keepdim=True)
    saturation = torch.where(_chance(n, 0.05 * strength).view(n, 1, 1, 1), 0.0, factor(0.3))
    batch = grey + saturation * (batch - grey)
    centre = grey.mean((2, 3), keepdim=True)
    return centre * factor(0.2) + factor(0.25) * (batch - centre)
