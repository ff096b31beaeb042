"""Copies of a picture whose maps are averaged: noisy ones, and mirrored ones."""

import torch
from torch import Tensor


def noisy(picture: Tensor, copies: int, noise: float, seed: int) -> Tensor:
    """Copies with Gaussian noise, seeded, so that they do not depend on what else is in a batch.

    Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017: the noise's standard
    deviation is a share of the picture's range, and the maps of the copies are averaged.

    Args:
        picture: ``[3, H, W]``, as the network gets it.
        copies: How many.
        noise: The standard deviation over (greatest − least value).
        seed: Of the noise.

    Returns:
        ``[copies, 3, H, W]``.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn((copies, *picture.shape), generator=generator)
    deviation = noise * (picture.max() - picture.min())
    return picture + deviation * drawn.to(picture.device, picture.dtype)


def mirrored(pictures: Tensor) -> Tensor:
    """Left and right exchanged, ``[…, W]``."""
    return pictures.flip(-1)
