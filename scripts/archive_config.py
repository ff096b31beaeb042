"""``model-config.yaml``: TorchServe's settings and the handler's, from the packaging options."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from packaging_options import PackagingError, PackagingOptions


def make_config(options: PackagingOptions, section: Mapping[str, Any]) -> dict[str, Any]:
    """The whole of ``model-config.yaml``.

    Args:
        options: What was asked for.
        section: ``handler: gradcam:`` as far as the model decides it.

    Raises:
        PackagingError: An option cannot be used.
    """
    queue = options.queue_size
    if queue is not None and queue < options.batch_size:
        raise PackagingError(
            f"--queue-size {queue} is less than --batch-size {options.batch_size}, so that no "
            "batch would be full; give as many at least"
        )
    told = dict(section)
    if (place := place_of(options)) is not None:
        told["output"] = place
    if options.layer:
        names = [name.strip() for name in options.layer.split(",")]
        told["layer"] = names if len(names) > 1 else names[0]
    if options.method:
        told["method"] = options.method
    told["preprocessing"] = told.pop("preprocessing")
    if options.limits:
        told["limits"] = dict(key_value("--limit", text) for text in options.limits)
    if options.execution:
        told["execution"] = dict(key_value("--execution", text) for text in options.execution)
    return {
        "minWorkers": options.workers,
        "maxWorkers": options.workers,
        "batchSize": options.batch_size,
        "maxBatchDelay": options.max_batch_delay,
        **({} if queue is None else {"jobQueueSize": queue}),
        "responseTimeout": 120,
        "startupTimeout": 300,
        "maxRetryTimeoutInSec": 60,  # /ping calls a worker that cannot start healthy for this long
        "handler": {"gradcam": told},
    }


def choose_preprocessing(options: PackagingOptions, known: Mapping[str, Any]) -> dict[str, Any]:
    """The preprocessing that a model brings, with what the options change of it.

    Raises:
        PackagingError: An option cannot be read.
    """
    chosen = dict(known)
    if options.crop_size:
        before, after = min(_sides(chosen["crop_size"])), read_size(options.crop_size)
        chosen["resize"] = round(chosen["resize"] * min(after) / before)
        chosen["crop_size"] = after
    if options.resize:
        chosen["resize"] = options.resize
    if options.squash:
        chosen["squash"] = True
    if options.reduced_decoding:
        chosen["reduced_decoding"] = True
    if options.interpolation:
        chosen["interpolation"] = options.interpolation
    for name in ("mean", "std"):
        given = getattr(options, name)
        if given is not None:
            chosen[name] = _three(f"--{name}", given)
    return chosen


def read_size(text: str) -> list[int]:
    """``[height, width]`` of ``N`` or ``HxW``.

    Raises:
        PackagingError: It is neither.
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise PackagingError(f"--crop-size {text!r} is neither N nor HxW, such as 224 or 224x320")
    return [int(sides[0]), int(sides[-1])]


def key_value(option: str, text: str) -> tuple[str, Any]:
    """A ``KEY=VALUE`` of the command line, its value read as YAML.

    Raises:
        PackagingError: It is none.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise PackagingError(f"{option} {text!r} is not of the form KEY=VALUE")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise PackagingError(f"{option} {text!r}: the value cannot be read") from error


def _sides(size: int | Sequence[int]) -> Sequence[int]:
    return (size, size) if isinstance(size, int) else size


def _three(option: str, text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 3:
        raise PackagingError(
            f"{option} {text!r} is not three numbers for values in 0…1, such as 0.485,0.456,0.406"
        )
    return numbers


def place_of(options: PackagingOptions) -> str | int | None:
    """Where the logits are in what the network gives: a name, a place, or to be found.

    Raises:
        PackagingError: It is a negative place.
    """
    text = options.output
    if text is None or not text.removeprefix("-").isdecimal():
        return text
    if text.startswith("-"):
        raise PackagingError(f"--output {text!r} is not a place: they count from 0")
    return int(text)
