"""What a request may ask for: one table of options, the same for every way of sending them."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gradcam.engine.explanation import FUSIONS
from gradcam.engine.targets import Target
from gradcam.errors import InvalidOption
from gradcam.geometry import Box
from gradcam.labels import ClassList
from gradcam.methods import METHODS
from gradcam.pictures.render import COLORMAPS, PICTURE_TYPES
from gradcam.request.option_values import Reader, box, choice, flag, names, share, whole
from gradcam.request.target_names import parse_targets
from gradcam.survey.layers import LayerTable


@dataclass(frozen=True)
class Vocabulary:
    """What a model's options can name.

    Attributes:
        classes: The model's.
        layers: The model's.
        default_layers: The target layers where none is asked for; empty where there is none.
        default_method: The method where none is asked for.
        max_targets: Maps per picture.
    """

    classes: ClassList
    layers: LayerTable
    default_layers: tuple[str, ...]
    default_method: str
    max_targets: int


@dataclass(frozen=True)
class Options:
    """What one request asks for; the meanings stand in :data:`OPTIONS`."""

    target: tuple[Target, ...]
    method: str
    layer: tuple[str, ...]  # none where the model has no default
    fuse: str
    smooth: int
    noise: float
    seed: int
    flip: bool
    call: int
    score: bool
    top_k: int
    detail: str
    heatmap: str
    scale: str
    threshold: float
    overlay: str
    max_side: int
    colormap: str
    alpha: float
    crop: Box | None


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        values: What it takes, for the documents and the messages.
        default: Its value when it is not sent, as it would be sent; ``None`` for the model's own.
        meaning: One line.
        read: Turns its name, what was sent and the vocabulary into the value.
    """

    values: str
    default: str | None
    meaning: str
    read: Callable[[str, object, Vocabulary], Any]


def _option(values: str, default: str | None, meaning: str, read: Reader) -> Option:
    """One that reads the same for every model."""
    return Option(values, default, meaning, lambda name, value, _: read(name, value))


def _one_of(choices: Sequence[str], default: str, meaning: str) -> Option:
    return _option(", ".join(choices), default, meaning, choice(choices))


def _read_layers(name: str, value: object, vocabulary: Vocabulary) -> tuple[str, ...]:
    layers = (vocabulary.layers.choose(one).name for one in names(_MOST_LAYERS)(name, value))
    return tuple(dict.fromkeys(layers))


def _read_target(_name: str, value: object, vocabulary: Vocabulary) -> tuple[Target, ...]:
    return parse_targets(value, vocabulary.classes, vocabulary.max_targets)


_MOST_LAYERS = 16
_MOST_CALLS = 10_000
_SPELLINGS = {"gradcampp": "gradcam++"}  # for whoever has trouble with a plus sign

OPTIONS: Mapping[str, Option] = MappingProxyType(
    {
        "target": Option(
            "class index, class id, label, `topN`, `class~class`, or a list of them",
            "top1",
            "the classes to explain; with ~, why the first rather than the second",
            _read_target,
        ),
        "method": _option(
            ", ".join(METHODS), None, "the CAM method", choice(tuple(METHODS), _SPELLINGS)
        ),
        "layer": Option(
            "dotted module name, or a list of them",
            None,
            "the target layer; the maps of several are fused into one",
            _read_layers,
        ),
        "fuse": _one_of(FUSIONS, "mean", "how the maps of several layers become one"),
        "smooth": _option(
            "a whole number from 0 up",
            "0",
            "noisy copies of the picture whose maps are averaged",
            whole(0),
        ),
        "noise": _option(
            "0 to 1",
            "0.15",
            "their standard deviation, as a share of the range of the network's input",
            share,
        ),
        "seed": _option("a whole number from 0 up", "0", "of the noise", whole(0, 2**31 - 1)),
        "flip": _option("true, false", "false", "average with the mirrored picture's map", flag),
        "call": _option(
            "a whole number; -1 is the last",
            "-1",
            "which call of a layer that the network calls several times",
            whole(-_MOST_CALLS, _MOST_CALLS),
        ),
        "score": _option(
            "true, false", "false", "measure how far the probability follows the map", flag
        ),
        "top_k": _option("a whole number from 1 up", "5", "how many predictions to list", whole(1)),
        "detail": _one_of(("labels", "full"), "labels", "what predictions look like"),
        "heatmap": _one_of(
            ("grid", "png", "none"),
            "grid",
            "the map as numbers, as a grey picture, or not at all",
        ),
        "scale": _one_of(
            ("own", "shared"),
            "own",
            "divide each map by its own maximum, or all of a picture's by the greatest",
        ),
        "threshold": _option(
            "0 to 1", "0.15", "the share of the map's maximum from which the box holds it", share
        ),
        "overlay": _one_of(("none", *PICTURE_TYPES), "none", "the map over the picture"),
        "max_side": _option(
            "a whole number; 0 for the picture's own",
            "1600",
            "the longest side in pixels of pictures in the answer",
            whole(0),
        ),
        "colormap": _one_of(tuple(COLORMAPS), "jet", "the overlay's colours"),
        "alpha": _option("0 to 1", "0.4", "the share of the map in the overlay", share),
        "crop": _option(
            "left,top,width,height",
            None,
            "predict and explain this part of the upright picture only, in pixels",
            box,
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
    model_own = {"method": vocabulary.default_method, "layer": vocabulary.default_layers}
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


def _unknown(name: str) -> str:
    if name == "explain":
        return "over HTTP the path decides: send the request to /explanations instead"
    close = difflib.get_close_matches(name[:80], OPTIONS, n=1, cutoff=0.0)
    return (
        f"option {name[:80]!r} does not exist; did you mean {close[0]!r}? "
        f"The options are {', '.join(OPTIONS)}"
    )
