"""The known traffic: what is sent in which part of a recording."""

import io
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from load import Shot
from sample_photographs import sample_photographs
from watching.pods import KEY

MODEL = "demo"

# what each request asks for beside its picture
_EXPLAINED: tuple[Mapping[str, str], ...] = (
    {"Method": "gradcam"},
    {"Method": "gradcam", "Target": "top3"},
    {"Method": "gradcam++", "Overlay": "jpeg"},
    {"Method": "layercam", "Target": "top2"},
    {"Method": "xgradcam"},
    {"Method": "eigencam"},
    {"Method": "gradcam", "Smooth": "4"},
    {"Method": "ablationcam"},
)
_PLAIN: tuple[Mapping[str, str], ...] = ({"Method": "gradcam"},)
_EVERY_CLASS: tuple[Mapping[str, str], ...] = (
    {"Method": "eigengradcam", "Target": "top10"},
    {"Method": "gradcam", "Target": "top10"},
)


@dataclass(frozen=True)
class Part:
    """A stretch of time.

    Attributes:
        name: What it is, for the picture.
        share: Of the whole recording.
        load: Requests per second, as a share of what one pod answered of explanations.
        pods: How many serve.
        clients: How many requests to a pod may be under way at once.
        shots: Gives the requests, for the URL of a door.
    """

    name: str
    share: float
    load: float
    pods: int
    clients: int
    shots: Callable[[str], Sequence[Shot]]


def warming(door: str) -> Sequence[Shot]:
    """Explanations alone, whose rate the loads are shares of."""
    return _mixed(door, _explanations(_photographs(), _PLAIN))


def quiet(door: str) -> Sequence[Shot]:
    """Two predictions for an explanation."""
    pictures = _photographs()
    return _mixed(door, [*_predictions(pictures), *_predictions(pictures)], _plainly(pictures))


def various(door: str) -> Sequence[Shot]:
    """Explanations by several methods, and predictions."""
    pictures = _photographs()
    return _mixed(door, _explanations(pictures, _EXPLAINED), _predictions(pictures))


def refused(door: str) -> Sequence[Shot]:
    """Every third cannot be answered: no picture, half a picture, and two wrong options."""
    pictures = _photographs()
    wrong = [
        ("explanations", b"this is no picture", {}),
        ("predictions", pictures[0][: len(pictures[0]) // 2], {}),
        ("explanations", pictures[1], {"Target": "zebra"}),
        ("explanations", pictures[2], {"Smooth": "100000"}),
    ]
    return _mixed(door, _plainly(pictures), _predictions(pictures), wrong)


def pale(door: str) -> Sequence[Shot]:
    """Empty and noisy pictures, and every class asked for: low probabilities, little evidence."""
    greys = [_jpeg(Image.new("RGB", (320, 240), (level,) * 3)) for level in (20, 128, 235)]
    noise = _jpeg(Image.frombytes("RGB", (320, 240), random.Random(0).randbytes(320 * 240 * 3)))
    return _mixed(door, _explanations([*greys, noise], _EVERY_CLASS), _predictions([noise]))


_FEW, _MANY = 24, 160  # many: more than work, a full batch and a full queue hold
PARTS = (
    Part("quiet: two predictions for an explanation", 0.14, 0.3, 1, _FEW, quiet),
    Part("busier: eight kinds of explanation", 0.18, 0.2, 1, _FEW, various),
    Part("every third request is wrong", 0.12, 0.3, 1, _FEW, refused),
    Part("a burst, while a second pod starts", 0.08, 1.4, 1, _MANY, warming),
    Part("as many, for two pods", 0.12, 1.4, 2, _MANY, warming),
    Part("empty and noisy pictures, every class", 0.22, 0.2, 2, _FEW, pale),
    Part("quiet again; the second pod ends", 0.14, 0.3, 1, _FEW, quiet),
)
"""In their order."""

_Request = tuple[str, bytes, Mapping[str, str]]


def _photographs() -> list[bytes]:
    return sample_photographs()


def _plainly(pictures: Iterable[bytes]) -> list[_Request]:
    return _explanations(pictures, _PLAIN)


def _explanations(pictures: Iterable[bytes], asked: Iterable[Mapping[str, str]]) -> list[_Request]:
    kinds = list(asked)
    return [("explanations", picture, kind) for picture in pictures for kind in kinds]


def _predictions(pictures: Iterable[bytes]) -> list[_Request]:
    return [("predictions", picture, {}) for picture in pictures]


def _mixed(door: str, *requests: Iterable[_Request]) -> Sequence[Shot]:
    shots = [
        Shot(
            f"{door}/{api}/{MODEL}",
            body,
            {
                "Authorization": f"Bearer {KEY}",
                "Content-Type": "image/jpeg",
                **{f"X-Explain-{name}": value for name, value in options.items()},
            },
        )
        for group in requests
        for api, body, options in group
    ]
    random.Random(0).shuffle(shots)
    return shots


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=95)
    return file.getvalue()
