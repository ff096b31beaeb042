"""The model that packaging options name, from any source, gathered before anything is written."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archive_config import choose_preprocessing, key_value, place_of
from gradcam.networks import architectures, build_network, build_skeleton
from model_sources import Card, count_classes, random_weights, read_card, read_weights
from own_source import count_exported, count_run, plain_card, read_exported, read_own
from packaging_options import PackagingError, PackagingOptions
from state_files import State
from timm_source import read_timm_card, read_timm_weights, tagged_name


@dataclass(frozen=True)
class Gathered:
    """A network's weights with all that describes them.

    Attributes:
        architecture: What it is called.
        num_classes: How many logits it gives.
        labels: Of its classes, in order; empty where they are not known.
        preprocessing: As in ``handler: gradcam: preprocessing:``.
        options: Keyword arguments of its constructor.
        state: The state dict; empty where ``exported`` has the weights.
        model_file: The source of the user's own model file.
        exported: A ``torch.export`` archive without anything pickled.
        most_rows: Pictures that it takes in one forward pass at most; ``None`` for any number.
    """

    architecture: str
    num_classes: int
    labels: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    options: Mapping[str, object] = field(default_factory=dict)
    state: State = field(default_factory=dict)
    model_file: bytes | None = None
    exported: bytes | None = None
    most_rows: int | None = None


def gather(options: PackagingOptions, named: int | None) -> Gathered:
    """Reads, builds or downloads what the options name.

    Args:
        options: Exactly one source is given.
        named: How many classes ``--class-names`` lists, where it is given.

    Raises:
        PackagingError: Something that was asked for does not fit; one sentence.
        SettingsError: Likewise.
    """
    extra = dict(key_value("--arch-option", text) for text in options.arch_options)
    say(f"reading {options.given} ...")
    if options.source == "file":
        return _from_file(options, extra)
    if options.source == "exported":
        return _from_export(options, extra)
    return _from_name(options, extra, named)


def say(sentence: str) -> None:
    """Tells the person at the terminal what is going on."""
    print(sentence, file=sys.stderr, flush=True)


def _from_name(
    options: PackagingOptions, extra: Mapping[str, object], named: int | None
) -> Gathered:
    source, name = options.source, options.given
    if source == "timm":
        name = tagged_name(name, options.weights)
        build_skeleton(name, 1, extra, source)  # raises where there is none, and names the closest
        card, notes = read_timm_card(name)
        for note in notes:
            say(f"note: {note}")
    else:
        if name not in architectures():
            build_network(name, 1)  # raises, and names the closest
        card = read_card(name, options.weights)
    if options.weights == "none":
        count = options.num_classes or named or card.num_classes
        weights = random_weights(name, count, options.seed or 0, extra, source)
    else:
        weights = (
            read_timm_weights(name, options.weights, extra)
            if source == "timm"
            else read_weights(name, options.weights)
        )
        found = count_classes(name, weights.state, extra, source)
        count = options.num_classes or found or card.num_classes
    return Gathered(
        name,
        count,
        card.labels,
        choose_preprocessing(options, card.preprocessing),
        {**weights.architecture_options, **extra},
        weights.state,
    )


def _from_file(options: PackagingOptions, extra: Mapping[str, object]) -> Gathered:
    path = Path(options.given)
    network, state = read_own(path, options.weights, options.seed, extra)
    preprocessing = _assumed(options, plain_card(None, None))
    height, width = preprocessing["crop_size"]
    count = options.num_classes or count_run(network, (height, width), place_of(options))
    known = _counted(count)
    return Gathered(
        type(network).__name__,
        known,
        plain_card(known, None).labels,
        preprocessing,
        extra,
        state,
        model_file=path.read_bytes(),
    )


def _from_export(options: PackagingOptions, extra: Mapping[str, object]) -> Gathered:
    if extra or options.weights or options.seed is not None:
        raise PackagingError(
            "--exported holds network and weights; leave --weights, --seed and --arch-option out"
        )
    path = Path(options.given)
    repacked, taken = read_exported(path)
    known = _counted(options.num_classes or count_exported(repacked.program))
    card = plain_card(known, taken.size)
    preprocessing = _assumed(options, card)
    if taken.size and list(taken.size) != list(preprocessing["crop_size"]):
        raise PackagingError(
            f"the exported model {path.name} takes pictures of {taken.size[0]}×{taken.size[1]} "
            "only; leave --crop-size out, or export it with another size"
        )
    return Gathered(
        path.stem,
        known,
        card.labels,
        preprocessing,
        exported=repacked.data,
        most_rows=taken.most_rows,
    )


def _assumed(options: PackagingOptions, card: Card) -> dict[str, Any]:
    if options.mean is None or options.std is None:
        say(
            "note: the file does not say how it wants its pictures normalised, so ImageNet's "
            "mean and deviation are used; --mean and --std say otherwise"
        )
    return choose_preprocessing(options, card.preprocessing)


def _counted(count: int | None) -> int:
    if count is None:
        raise PackagingError(
            "no logits are found in what the network gives; --output says which of its outputs "
            "they are, and --num-classes how many there are"
        )
    return count
