"""From options to an archive: weights, class names and settings, each checked before it goes in."""

import json
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import yaml

from class_lists import (
    Names,
    count_names,
    imagenet_synsets,
    names_from_file,
    read_class_file,
    with_ids,
)
from gradcam.engine import Explainer
from gradcam.errors import GradcamError, SettingsError
from gradcam.networks import architectures, build_network, load_network
from gradcam.settings import Settings, read_settings
from mar_archive import Contents, write_archive
from model_sources import (
    Card,
    State,
    count_classes,
    random_weights,
    read_card,
    read_weights,
)
from packaging_options import PackagingError, PackagingOptions
from repository import ROOT


@dataclass(frozen=True)
class _Model:
    """A network's weights with all that describes them."""

    state: State
    config: Mapping[str, Any]
    settings: Settings
    names: Names


def package(options: PackagingOptions) -> str:
    """Writes the archive ``options.archive``.

    Returns:
        Its SHA-256.

    Raises:
        PackagingError: Something that was asked for does not fit; one sentence.
    """
    try:
        model = _gather(options)
        _check(model)
    except (SettingsError, GradcamError) as error:
        raise PackagingError(str(error)) from error
    size = sum(tensor.nbytes for tensor in model.state.values())
    say(f"writing {options.archive.name} ({size / 1e6:.1f} MB of weights) ...")
    options.export_path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".weights-", dir=options.export_path) as folder:
        weights = Path(folder) / "weights.safetensors"
        # tensors that share memory cannot be stored, so each gets its own
        own = {name: model.state[name].contiguous().clone() for name in sorted(model.state)}
        safetensors.torch.save_file(own, weights)
        return write_archive(
            Contents(
                options.name,
                options.version,
                {
                    "weights.safetensors": weights,
                    "index_to_name.json": json.dumps(model.names, indent=1, ensure_ascii=False),
                    "model-config.yaml": _yaml(model.config),
                    "requirements.txt": "\n".join([*_served_packages(), ""]),
                },
            ),
            options.archive,
        )


def say(sentence: str) -> None:
    """Tells the person at the terminal what is going on."""
    print(sentence, file=sys.stderr, flush=True)


def _gather(options: PackagingOptions) -> _Model:
    if options.arch not in architectures():
        build_network(options.arch, 1)  # raises, and names the closest
    extra = dict(_key_value("--arch-option", text) for text in options.arch_options)
    card = read_card(options.arch, options.weights)
    named = read_class_file(Path(options.class_names)) if options.class_names else None
    say(f"reading the weights of {options.arch} ...")
    if options.weights == "none":
        count = options.num_classes or (count_names(named) if named else len(card.labels))
        weights = random_weights(options.arch, count, options.seed or 0, extra)
    else:
        weights = read_weights(options.arch, options.weights)
        found = count_classes(options.arch, weights.state, extra)
        count = options.num_classes or found or len(card.labels)
    extra = {**weights.architecture_options, **extra}
    config = _config(options, card, count, extra)
    return _Model(weights.state, config, read_settings(config), _names(named, card, count))


def _names(named: dict[str, object] | None, card: Card, num_classes: int) -> Names:
    if named is not None:
        return names_from_file(named, num_classes)
    if len(card.labels) != num_classes:
        say("note: the classes are called by their numbers; --class-names gives them names")
        return {str(index): str(index) for index in range(num_classes)}
    names = with_ids(card.labels)
    if num_classes == 1000 and imagenet_synsets() is None:
        say("note: timm is not installed, so the classes get no ids (ImageNet's synsets)")
    return names


def _config(
    options: PackagingOptions, card: Card, num_classes: int, extra: Mapping[str, object]
) -> dict[str, Any]:
    section: dict[str, Any] = {"architecture": options.arch, "num_classes": num_classes}
    if extra:
        section["architecture_options"] = dict(extra)
    if options.layer:
        section["layer"] = options.layer
    if options.method:
        section["method"] = options.method
    section["preprocessing"] = _preprocessing(options, card)
    if options.limits:
        section["limits"] = dict(_key_value("--limit", text) for text in options.limits)
    return {
        "minWorkers": options.workers,
        "maxWorkers": options.workers,
        "batchSize": options.batch_size,
        "maxBatchDelay": options.max_batch_delay,
        "responseTimeout": 120,
        "startupTimeout": 300,
        "maxRetryTimeoutInSec": 60,  # /ping calls a worker that cannot start healthy for this long
        "handler": {"gradcam": section},
    }


def _preprocessing(options: PackagingOptions, card: Card) -> dict[str, Any]:
    chosen = dict(card.preprocessing)
    if options.crop_size:
        before, after = min(_sides(chosen["crop_size"])), _read_size(options.crop_size)
        chosen["resize"] = round(chosen["resize"] * min(after) / before)
        chosen["crop_size"] = after
    if options.resize:
        chosen["resize"] = options.resize
    if options.squash:
        chosen["squash"] = True
    return chosen


def _sides(size: int | Sequence[int]) -> Sequence[int]:
    return (size, size) if isinstance(size, int) else size


def _read_size(text: str) -> list[int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise PackagingError(f"--crop-size {text!r} is neither N nor HxW, such as 224 or 224x320")
    return [int(sides[0]), int(sides[-1])]


def _key_value(option: str, text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise PackagingError(f"{option} {text!r} is not of the form KEY=VALUE")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise PackagingError(f"{option} {text!r}: the value cannot be read") from error


def _check(model: _Model) -> None:
    """Loads the network as the worker will, and finds its target layer."""
    settings = model.settings
    network = load_network(
        settings.architecture, settings.num_classes, model.state, settings.architecture_options
    )
    layers = Explainer(network, settings.preprocessing.crop_size).layers
    if settings.layer is None and layers.default is None:
        say(f"note: explanations will need a layer: {layers.why_no_default}")
        return
    layer = layers.choose(settings.layer)
    say(
        f"checked: {settings.num_classes} classes, target layer {layer.name} "
        f"({layer.height}×{layer.width})"
    )


def _yaml(config: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(config, sort_keys=False, default_flow_style=None)
    return text


def _served_packages() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return sorted(project["project"]["dependencies"])
