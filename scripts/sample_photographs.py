"""Photographs to send where nobody gave any: scikit-image's, as a camera's picture on a page."""

import io

from PIL import Image, ImageOps

NAMES = ("chelsea", "astronaut", "coffee", "rocket")
_SIZE = (500, 375)


def sample_photographs() -> list[bytes]:
    """JPEGs of 500×375 pixels at quality 90."""
    import skimage.data  # noqa: PLC0415 - only a benchmark without it does without these

    return [as_jpeg(Image.fromarray(getattr(skimage.data, name)())) for name in NAMES]


def as_jpeg(picture: Image.Image) -> bytes:
    """A picture upright, cropped and resized to that size, as such a JPEG."""
    upright = ImageOps.exif_transpose(picture).convert("RGB")
    file = io.BytesIO()
    ImageOps.fit(upright, _SIZE, Image.Resampling.LANCZOS).save(file, "JPEG", quality=90)
    return file.getvalue()
