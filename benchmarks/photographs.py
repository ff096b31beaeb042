"""The photographs that the benchmarks send."""

import importlib.util
import os
from pathlib import Path

from finding import ROOT
from PIL import Image

from sample_photographs import NAMES, as_jpeg, sample_photographs


def read_photographs() -> tuple[list[bytes], str]:
    """JPEGs of 500×375 pixels at quality 90, and where they come from.

    Those in ``photos/`` of the folder that ``GRADCAM_TEST_DATA`` names, else scikit-image's; where
    that is not installed, the one in our documents.
    """
    folder = Path(os.environ.get("GRADCAM_TEST_DATA", "")) / "photos"
    if "GRADCAM_TEST_DATA" in os.environ and folder.is_dir():
        pictures = [as_jpeg(Image.open(path)) for path in sorted(folder.iterdir())]
        return pictures, f"{len(pictures)} photographs of a folder"
    if importlib.util.find_spec("skimage") is None:
        rocket = ROOT / "docs/images/rocket.jpg"
        return [as_jpeg(Image.open(rocket))], "one photograph of our documents"
    return sample_photographs(), f"scikit-image's {', '.join(NAMES)}"
