"""What the choices about reading and writing pictures gain."""

from collections.abc import Iterator, Sequence
from functools import partial

import cv2
import numpy as np
import torch
from choices_networks import Line
from effects import BATCH
from interleaved import ratios
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - everybody calls it that

from gradcam.crew import Crew, count_cores
from gradcam.geometry import plan_view
from gradcam.pictures.picture import decode_picture
from gradcam.pictures.preprocess import show
from gradcam.settings import Preprocessing

_MOST = 10**9


def of_pictures(files: Sequence[bytes], rounds: int) -> Iterator[Line]:
    """The choices that are about pictures."""
    eight, preprocessing = (list(files) * BATCH)[:BATCH], Preprocessing()
    decoded = [decode_picture(data, _MOST, _MOST) for data in eight]
    images = [Image.fromarray(picture.pixels) for picture in decoded]
    views = [plan_view(picture.frame, preprocessing) for picture in decoded]

    def by_torch() -> None:
        for picture, view in zip(decoded, views, strict=True):
            planes = torch.from_numpy(picture.pixels).permute(2, 0, 1)[None]
            F.interpolate(planes, view.resized[::-1], mode="bilinear", antialias=True)

    def by_pillow() -> None:
        for image, view in zip(images, views, strict=True):
            image.resize(view.resized, Image.Resampling.BILINEAR)

    found, _ = ratios(by_torch, by_pillow, rounds)
    yield Line("resizing by torch over Pillow", "8 photographs", found)

    def opencv() -> None:
        for data in eight:
            cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)

    def pillow() -> None:
        for data in eight:
            decode_picture(data, _MOST, _MOST)

    found, _ = ratios(opencv, pillow, rounds)
    yield Line("decoding by OpenCV over ours", "8 photographs", found)
    alone, crew = Crew(1), Crew(count_cores())

    def read(data: bytes) -> Tensor:
        picture = decode_picture(data, _MOST, _MOST)
        return show(picture, plan_view(picture.frame, preprocessing), "bilinear")

    found, _ = ratios(lambda: crew.map(read, eight), lambda: alone.map(read, eight), rounds)
    yield Line(f"reading in {count_cores()} threads over one", "8 photographs", found)
    sample = cv2.cvtColor(decoded[0].pixels, cv2.COLOR_RGB2BGR)

    def png(level: int) -> bytes:
        return cv2.imencode(".png", sample, [cv2.IMWRITE_PNG_COMPRESSION, level])[1].tobytes()

    for level in (1, 6, 9):
        found, _ = ratios(partial(png, level), partial(png, 3), rounds)
        size = len(png(level)) / len(png(3))
        yield Line(f"PNG level {level} over 3", "a photograph", found, f"{size:.2f} of its bytes")
