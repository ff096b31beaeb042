"""What a request may ask for: one table of options, the same for every way of sending them."""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gradcam.errors import InvalidOption
from gradcam.geometry import Box
from gradcam.labels import ClassList
from gradcam.layers import LayerTable
from gradcam.methods import METHODS
from gradcam.render import COLORMAPS, PICTURE_TYPES
from gradcam.targets import Target, parse_targets


@dataclass(frozen=True)
class Vocabulary:
    """What a model's options can name.

    Attributes:
        classes: The model's.
        layers: The model's.
        default_layer: The target layer where none is asked for.
        default_method: The method where none is asked for.
        max_targets: Maps per picture.
    """

    classes: ClassList
    layers: LayerTable
    default_layer: str | None
    default_method: str
    max_targets: int


@dataclass(frozen=True)
class Options:
    """What one request asks for; the meanings stand in :data:`OPTIONS`."""

    target: tuple[Target, ...]
    method: str
    layer: str | None
    top_k: int
    detail: str
    heatmap: str
    overlay: str
    max_side: int
    colormap: str
    alpha: float
    crop: Box | None


Reader = Callable[[str, object, Vocabulary], Any]
"""``(option's name, what was sent, vocabulary) -> value``; raises :class:`InvalidOption`."""


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        values: What it takes, for the documents and the messages.
        default: Its value when it is not sent, as it would be sent; ``None`` for the model's own.
        meaning: One line.
        read: Turns what was sent into the value.
    """

    values: str
    default: str | None
    meaning: str
    read: Reader


def _choice(choices: Sequence[str]) -> Reader:
    def read(name: str, value: object, _: Vocabulary) -> str:
        text = value.strip().lower() if isinstance(value, str) else value
        if text not in choices:
            raise _wrong(name, value, f"one of {', '.join(choices)}", choices)
        return str(text)

    return read


def _whole(lowest: int) -> Reader:
    def read(name: str, value: object, _: Vocabulary) -> int:
        number = _number(value)
        if number is None or not number.is_integer() or number < lowest:
            raise _wrong(name, value, f"a whole number from {lowest} up")
        return int(min(number, 2**31))

    return read


def _read_alpha(name: str, value: object, _: Vocabulary) -> float:
    number = _number(value)
    if number is None or not 0 <= number <= 1:
        raise _wrong(name, value, "a number from 0 to 1")
    return number


def read_crop(value: object) -> Box:
    """Reads ``left,top,width,height``, a text or a list.

    Raises:
        InvalidOption: It is something else.
    """
    parts = value.split(",", 4) if isinstance(value, str) else value
    numbers = [_number(part) for part in parts[:5]] if isinstance(parts, list) else []
    whole = [int(n) for n in numbers if n is not None and n.is_integer() and 0 <= n < 2**31]
    if len(numbers) != 4 or len(whole) != 4 or min(whole[2:]) < 1:
        wanted = "left,top,width,height in whole pixels of the upright picture"
        raise _wrong("crop", value, wanted)
    return Box(*whole)


def _read_layer(_name: str, value: object, vocabulary: Vocabulary) -> str:
    if not isinstance(value, str):
        raise _wrong("layer", value, "the dotted name of a module")
    return vocabulary.layers.choose(value.strip()).name


def _read_target(_name: str, value: object, vocabulary: Vocabulary) -> tuple[Target, ...]:
    return parse_targets(value, vocabulary.classes, vocabulary.max_targets)


OPTIONS: Mapping[str, Option] = MappingProxyType(
    {
        "target": Option(
            "class index, class id, label, `topN`, or a list of them",
            "top1",
            "the classes to explain",
            _read_target,
        ),
        "method": Option(", ".join(METHODS), None, "the CAM method", _choice(tuple(METHODS))),
        "layer": Option("dotted module name", None, "the target layer", _read_layer),
        "top_k": Option("a whole number from 1 up", "5", "how many predictions to list", _whole(1)),
        "detail": Option(
            "labels, full", "labels", "what predictions look like", _choice(("labels", "full"))
        ),
        "heatmap": Option(
            "grid, png, none",
            "grid",
            "the map as numbers, as a grey picture, or not at all",
            _choice(("grid", "png", "none")),
        ),
        "overlay": Option(
            f"none, {', '.join(PICTURE_TYPES)}",
            "none",
            "the map over the picture",
            _choice(("none", *PICTURE_TYPES)),
        ),
        "max_side": Option(
            "a whole number; 0 for the picture's own",
            "1600",
            "the longest side in pixels of pictures in the answer",
            _whole(0),
        ),
        "colormap": Option(
            ", ".join(COLORMAPS), "jet", "the overlay's colours", _choice(tuple(COLORMAPS))
        ),
        "alpha": Option("0 to 1", "0.4", "the share of the map in the overlay", _read_alpha),
        "crop": Option(
            "left,top,width,height",
            None,
            "predict and explain this part of the upright picture only, in pixels",
            lambda _name, value, _vocabulary: read_crop(value),
        ),
    }
)
"""Every option by name. The parser, the model's description and the tests read this table."""


def parse_options(sent: Mapping[str, object], vocabulary: Vocabulary) -> Options:
    """Reads and checks every option of a request.

    Args:
        sent: By name; texts, or what JSON gives. Bytes are read as UTF-8, and JSON's null is as
            if the option had not been sent.
        vocabulary: The model's.

    Raises:
        InvalidOption: For the first option that is unknown or has a wrong value; the message says
            what is allowed, or the closest names.
    """
    for name in sent:
        if name not in OPTIONS:
            raise InvalidOption(_unknown(name))
    model_own = {"method": vocabulary.default_method, "layer": vocabulary.default_layer}
    values: dict[str, Any] = {}
    for name, option in OPTIONS.items():
        given = _text_of(name, sent[name]) if sent.get(name) is not None else option.default
        values[name] = (
            model_own.get(name) if given is None else option.read(name, given, vocabulary)
        )
    return Options(**values)


def _text_of(name: str, value: object) -> object:
    if isinstance(value, bytes | bytearray):
        try:
            return bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidOption(f"option {name!r} is not UTF-8 text") from None
    return value


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _unknown(name: str) -> str:
    if name == "explain":
        return "over HTTP the path decides: send the request to /explanations instead"
    close = difflib.get_close_matches(name[:80], OPTIONS, n=1, cutoff=0.0)
    return (
        f"option {name[:80]!r} does not exist; did you mean {close[0]!r}? "
        f"The options are {', '.join(OPTIONS)}"
    )


def _wrong(name: str, value: object, wanted: str, choices: Sequence[str] = ()) -> InvalidOption:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}…"
    close = difflib.get_close_matches(str(value)[:80].lower(), choices, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return InvalidOption(f"{name} {shown} is not {wanted}{hint}")
