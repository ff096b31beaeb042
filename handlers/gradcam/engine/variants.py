"""Copies of a picture whose maps are averaged: noisy ones, and mirrored ones."""

from collections.abc import Iterator

import torch
from torch import Tensor


def noisy(picture: Tensor, copies: int, noise: float, seed: int, rows: int) -> Iterator[Tensor]:
    """Copies with Gaussian noise, seeded, so that they do not depend on what else is in a batch.

    Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017: the noise's standard
    deviation is a share of the picture's range, and the maps of the copies are averaged.

    Args:
        picture: ``[3, H, W]``, as the network gets it.
        copies: How many.
        noise: The standard deviation over (greatest − least value).
        seed: Of the noise. How many rows there are at once changes nothing.
        rows: Copies at once.

    Yields:
        ``[at most rows, 3, H, W]``, until there were ``copies``.
    """
    generator = torch.Generator().manual_seed(seed)
    deviation = noise * (picture.max() - picture.min())
    for start in range(0, copies, rows):
        count = min(rows, copies - start)
        # one copy at a time, for torch draws many numbers in another order than few
        drawn = [torch.randn(picture.shape, generator=generator) for _ in range(count)]
        yield picture + deviation * torch.stack(drawn).to(picture.device, picture.dtype)


def mirrored(pictures: Tensor) -> Tensor:
    """Left and right exchanged, ``[…, W]``."""
    return pictures.flip(-1)
