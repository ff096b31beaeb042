"""From a picture to the network's input, bit for bit as torchvision's classification presets."""

from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gradcam.geometry import Box, View
from gradcam.settings import Preprocessing

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_MOST_RESIZED_PIXELS = 16_000_000


def show(image: Image.Image, view: View, interpolation: str) -> Tensor:
    """Resizes and crops a picture to what the network sees.

    Args:
        image: RGB.
        view: What to show of it, and how.
        interpolation: The preprocessing's.

    Returns:
        ``[3, H, W]`` uint8 on the CPU.
    """
    part, window = view.part, view.window
    resampling = _RESAMPLING[interpolation]
    edges = (part.left, part.top, part.left + part.width, part.top + part.height)
    # cropping before resizing: what lies outside the part must not bleed into it
    taken = image if edges == (0, 0, *image.size) else image.crop(edges)
    if view.resized[0] * view.resized[1] <= _MOST_RESIZED_PIXELS:
        resized = taken.resize(view.resized, resampling)
        seen = resized.crop(
            (window.left, window.top, window.left + window.width, window.top + window.height)
        )
    else:
        # a very long and thin picture, that would be gigantic before the crop; this differs from
        # resizing first by rounding only
        seen = _show_directly(taken, view, resampling)
    return torch.from_numpy(np.array(seen)).permute(2, 0, 1)


def _show_directly(taken: Image.Image, view: View, resampling: Image.Resampling) -> Image.Image:
    """Resizes only what the window shows of the part that was taken."""
    view = replace(view, part=Box(0, 0, taken.width, taken.height))
    seen = Image.new("RGB", (view.window.width, view.window.height))
    left, top = max(0, -view.window.left), max(0, -view.window.top)
    right = min(view.window.width, view.resized[0] - view.window.left)
    bottom = min(view.window.height, view.resized[1] - view.window.top)
    corners = (*view.to_picture(left, top), *view.to_picture(right, bottom))
    shown = taken.resize((right - left, bottom - top), resampling, box=corners)
    seen.paste(shown, (left, top))
    return seen


def normalise(batch: Tensor, preprocessing: Preprocessing, device: torch.device) -> Tensor:
    """Moves pictures to the device and scales them to what the network was trained on.

    Args:
        batch: ``[N, 3, H, W]`` uint8.
        preprocessing: Its ``mean`` and ``std`` apply to values in 0…1.
        device: Where the network is.

    Returns:
        ``[N, 3, H, W]`` float32 on ``device``.
    """
    mean = torch.tensor(preprocessing.mean, device=device).view(3, 1, 1)
    std = torch.tensor(preprocessing.std, device=device).view(3, 1, 1)
    return batch.to(device).float().div_(255).sub_(mean).div_(std)
