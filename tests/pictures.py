"""Encoded pictures, made by Pillow."""

import functools
import io
from typing import Any

import numpy as np
import numpy.typing as npt
import skimage.data
from PIL import Image

from gradcam.pictures.picture import decode_picture

Pixels = npt.NDArray[np.uint8]


@functools.cache
def cat() -> Image.Image:
    """A real photograph, 451 pixels wide and 300 high."""
    return Image.fromarray(skimage.data.chelsea())


@functools.cache
def small_cat() -> Image.Image:
    """The same, 90 wide and 60 high: quick to send and to draw on."""
    return cat().resize((90, 60), Image.Resampling.LANCZOS)


def encode(image: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


@functools.cache
def cat_png() -> bytes:
    return encode(small_cat())


@functools.cache
def cat_jpeg() -> bytes:
    return encode(small_cat(), "JPEG", quality=90)


def pixels_of(data: bytes) -> Pixels:
    """Decoded with Pillow as RGB: ``[H, W, 3]``."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def far(image: Image.Image, other: Image.Image) -> float:
    """The mean difference of two RGB pictures of one size, in levels."""
    assert image.size == other.size
    ours, theirs = (np.asarray(one.convert("RGB"), np.float64) for one in (image, other))
    return float(np.abs(ours - theirs).mean())


def decode(data: bytes) -> Image.Image:
    """As the handler does; the picture must come out in RGB."""
    picture = decode_picture(data, max_bytes=10_000_000, max_pixels=1_000_000)
    assert picture.pixels.shape == (picture.height, picture.width, 3)
    return Image.fromarray(picture.pixels)
