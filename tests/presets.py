"""torchvision's own way from a picture to a network's input."""

from collections.abc import Sequence

import torch
from torchvision.transforms import InterpolationMode, v2


def preset(
    resize: int | Sequence[int],
    crop: int | Sequence[int],
    mode: str,
    mean: Sequence[float],
    std: Sequence[float],
) -> v2.Compose:
    """What torchvision's classification presets do, by its tensor backend where that is bilinear.

    Its two backends are a grey level apart in a few pixels of a thousand, which networks of random
    weights make much of.
    """
    return v2.Compose(
        [
            *([v2.PILToTensor()] if mode == "bilinear" else []),
            v2.Resize(resize, InterpolationMode(mode)),
            v2.CenterCrop(crop),
            *([] if mode == "bilinear" else [v2.PILToTensor()]),
            v2.ToDtype(torch.float, scale=True),
            v2.Normalize(mean, std),
        ]
    )
