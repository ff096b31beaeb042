"""Several maps of one picture made into one."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - everybody calls it that


def fuse(maps: Sequence[Tensor], how: str) -> Tensor:
    """Maps of several layers as one.

    Layers differ in scale and in grid. So of each map ``ReLU(L) / max ReLU(L)`` is taken, brought
    to the finest grid among them (bilinear, corners not aligned), and the mean or the maximum of
    those is the result. A map without anything positive stays zero, and counts.

    Args:
        maps: At least one raw map, each ``[h, w]`` with a shape of its own.
        how: ``"mean"`` or ``"max"``.

    Returns:
        ``[h, w]``, 0…1, ``h`` and ``w`` being the greatest among the maps.

    Raises:
        ValueError: There is no map, or ``how`` is something else.
    """
    if not maps or how not in {"mean", "max"}:
        raise ValueError(f"{len(maps)} maps to be fused by {how!r}; there are 'mean' and 'max'")
    height, width = (max(values.shape[side] for values in maps) for side in (0, 1))
    scaled = torch.stack([_resize(_scale(values), (height, width)) for values in maps])
    return scaled.mean(dim=0) if how == "mean" else scaled.amax(dim=0)


def _scale(values: Tensor) -> Tensor:
    positive = values.clamp(min=0)
    greatest = positive.max()
    return positive / torch.where(greatest == 0, 1, greatest)


def _resize(values: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(values[None, None], size, mode="bilinear", align_corners=False)[0, 0]
