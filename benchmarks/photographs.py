"""The photographs that the benchmarks send."""

import io
import os
from pathlib import Path

import skimage.data
from PIL import Image, ImageOps

_SIZE = (500, 375)


def read_photographs() -> tuple[list[bytes], str]:
    """JPEGs of 500×375 pixels at quality 90, and where they come from.

    Those in ``photos/`` of the folder that ``GRADCAM_TEST_DATA`` names, else scikit-image's.
    """
    folder = Path(os.environ.get("GRADCAM_TEST_DATA", "")) / "photos"
    if "GRADCAM_TEST_DATA" in os.environ and folder.is_dir():
        pictures: list[Image.Image] = [Image.open(path) for path in sorted(folder.iterdir())]
        source = f"{len(pictures)} photographs of a folder"
    else:
        names = ("chelsea", "astronaut", "coffee", "rocket")
        pictures = [Image.fromarray(getattr(skimage.data, name)()) for name in names]
        source = f"scikit-image's {', '.join(names)}"
    return [_jpeg(picture) for picture in pictures], source


def _jpeg(picture: Image.Image) -> bytes:
    upright = ImageOps.exif_transpose(picture).convert("RGB")
    file = io.BytesIO()
    ImageOps.fit(upright, _SIZE, Image.Resampling.LANCZOS).save(file, "JPEG", quality=90)
    return file.getvalue()
