"""From a picture to the network's input, within one grey level of torchvision's presets."""

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - everybody calls it that

from gradcam.geometry import Box, View
from gradcam.pictures.picture import Picture, Pixels
from gradcam.settings import Preprocessing

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_MOST_RESIZED_PIXELS = 16_000_000


def show(picture: Picture, view: View, interpolation: str) -> Tensor:
    """Resizes and crops a picture to what the network sees.

    Bilinear resizing is torch's: faster than Pillow's (``benchmarks/choices.py``), and within
    one grey level of it; its bicubic goes two astray.

    Args:
        picture: One that was decoded at a reduced scale is shown whole.
        view: What to show of it, and how.
        interpolation: The preprocessing's.

    Returns:
        ``[3, H, W]`` uint8 on the CPU; a view of ``[H, W, 3]``.
    """
    part = view.part
    # cropping before resizing: what lies outside the part must not bleed into it
    taken = (
        picture.pixels
        if part == picture.frame
        else picture.pixels[part.top : part.top + part.height, part.left : part.left + part.width]
    )
    if view.resized[0] * view.resized[1] > _MOST_RESIZED_PIXELS:
        # a very long and thin picture, that would be gigantic before the crop; this differs from
        # resizing first by rounding only
        seen = _show_directly(Image.fromarray(taken), view, _RESAMPLING[interpolation])
        return torch.from_numpy(np.array(seen)).permute(2, 0, 1)
    return _window(_resize(taken, view.resized, interpolation), view.window)


def _resize(pixels: Pixels, size: tuple[int, int], interpolation: str) -> Tensor:
    """Resizes ``[h, w, 3]`` to ``(width, height)``: ``[3, H, W]``."""
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return torch.from_numpy(pixels).permute(2, 0, 1)
    if interpolation == "bilinear":
        planes = torch.from_numpy(pixels).permute(2, 0, 1)
        return F.interpolate(planes[None], size[::-1], mode="bilinear", antialias=True)[0]
    resized = Image.fromarray(pixels).resize(size, _RESAMPLING[interpolation])
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1)


def _window(planes: Tensor, window: Box) -> Tensor:
    """The window of ``[3, h, w]``, black where it sticks out."""
    height, width = planes.shape[1:]
    left, top = max(0, window.left), max(0, window.top)
    right, bottom = window.left + window.width, window.top + window.height
    seen = planes[:, top : min(bottom, height), left : min(right, width)]
    padding = (
        left - window.left,
        right - min(right, width),
        top - window.top,
        bottom - min(bottom, height),
    )
    return F.pad(seen, padding) if any(padding) else seen


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


def normalise(
    pictures: Sequence[Tensor],
    preprocessing: Preprocessing,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Moves pictures to the device as bytes, and scales them there to what the network expects.

    Args:
        pictures: ``[3, H, W]`` uint8 each, of one size.
        preprocessing: Its ``mean`` and ``std`` apply to values in 0…1.
        device: Where the network is.
        dtype: What the network computes in.

    Returns:
        ``[N, 3, H, W]`` on ``device``, in ``torch.channels_last`` order.
    """
    # the colours of a pixel lie beside each other as decoders give them, so that nothing is moved
    batch = torch.stack([picture.permute(1, 2, 0) for picture in pictures]).permute(0, 3, 1, 2)
    if device.type == "cuda":
        batch = batch.pin_memory()
    mean, std = _constants(preprocessing.mean, preprocessing.std, device)
    # one multiplication and addition would do, but not to the bit what torchvision does
    values = batch.to(device, non_blocking=True).float().div_(255).sub_(mean).div_(std)
    return values.to(dtype)


@functools.lru_cache(maxsize=16)  # on a GPU every copy of so little waits for the device
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, ``[3, 1, 1]`` each."""
    both = torch.tensor((mean, std), device=device)[..., None, None]
    return both[0], both[1]
