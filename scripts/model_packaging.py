"""From options to an archive: weights, class names and settings, each checked before it goes in."""

import json
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import yaml

from archive_config import make_config
from class_lists import (
    Names,
    count_names,
    imagenet_synsets,
    names_from_file,
    read_class_file,
    with_ids,
)
from gathered_model import Gathered, gather, say
from gradcam.engine.applicability import why_not
from gradcam.errors import GradcamError, SettingsError
from gradcam.networks import MODEL_FILE, load_archived
from gradcam.service import make_explainer
from gradcam.settings import Settings, read_settings
from mar_archive import Contents, write_archive
from packaging_options import PackagingError, PackagingOptions
from repository import ROOT


def package(options: PackagingOptions) -> str:
    """Writes the archive ``options.archive``.

    Returns:
        Its SHA-256.

    Raises:
        PackagingError: Something that was asked for does not fit; one sentence.
    """
    try:
        named = read_class_file(Path(options.class_names)) if options.class_names else None
        model = gather(options, count_names(named) if named else None)
        config = _config(options, model)
        settings = read_settings(config)
        names = _names(named, model, settings)
        options.export_path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".weights-", dir=options.export_path) as folder:
            files = _write(model, Path(folder))
            _check(settings, model, files[0])
            say(f"writing {options.archive.name} ({files[0].stat().st_size / 1e6:.1f} MB) ...")
            return write_archive(
                Contents(
                    options.name,
                    options.version,
                    {
                        **{file.name: file for file in files},
                        "index_to_name.json": json.dumps(names, indent=1, ensure_ascii=False),
                        "model-config.yaml": _yaml(config),
                        "requirements.txt": "\n".join([*_served_packages(options.source), ""]),
                    },
                    weights=files[0].name,
                    model_file=MODEL_FILE if model.model_file is not None else None,
                ),
                options.archive,
            )
    except (SettingsError, GradcamError) as error:
        raise PackagingError(str(error)) from error


def _config(options: PackagingOptions, model: Gathered) -> dict[str, Any]:
    section: dict[str, Any] = {}
    if options.source != "torchvision":
        section["source"] = options.source
    section |= {"architecture": model.architecture, "num_classes": model.num_classes}
    if model.options:
        section["architecture_options"] = dict(model.options)
    activation = options.activation
    if activation is None and model.num_classes == 1:
        say("note: one logit, so its sigmoid is the probability of the positive side")
        activation = "sigmoid"
    if activation is not None:
        section["activation"] = activation
    section["preprocessing"] = dict(model.preprocessing)
    return make_config(options, section)


def _names(named: dict[str, object] | None, model: Gathered, settings: Settings) -> Names:
    count = settings.class_count
    if named is not None:
        return names_from_file(named, count)
    if count != settings.num_classes:
        return {"0": "negative", "1": "positive"}
    if len(model.labels) != count:
        say("note: the classes are called by their numbers; --class-names gives them names")
        return {str(index): str(index) for index in range(count)}
    names = with_ids(model.labels)
    if count == 1000 and imagenet_synsets() is None:
        say("note: timm is not installed, so the classes get no ids (ImageNet's synsets)")
    return names


def _write(model: Gathered, folder: Path) -> list[Path]:
    """Writes what the worker will load the network from; the weights come first."""
    if model.exported is not None:
        weights = folder / "model.pt2"
        weights.write_bytes(model.exported)
        return [weights]
    weights = folder / "weights.safetensors"
    # tensors that share memory cannot be stored, so each gets its own
    own = {name: model.state[name].contiguous().clone() for name in sorted(model.state)}
    safetensors.torch.save_file(own, weights)
    if model.model_file is None:
        return [weights]
    (folder / MODEL_FILE).write_bytes(model.model_file)
    return [weights, folder / MODEL_FILE]


def _check(settings: Settings, model: Gathered, weights: Path) -> None:
    """Loads the network as the worker will, and finds its target layer."""
    rows = settings.limits.max_rows
    if model.most_rows is not None and model.most_rows < rows:
        raise PackagingError(
            f"the exported model takes at most {model.most_rows} pictures at once; add --limit "
            f"max_rows={model.most_rows}, or export it without that bound"
        )
    network = load_archived(settings, weights)
    layers = make_explainer(network, settings).layers
    if not settings.layer and layers.default is None:
        say(f"note: explanations will need a layer: {layers.why_no_default}")
        return
    for name in settings.layer or (None,):
        layer = layers.choose(name)
        if reason := why_not(settings.method, layer):
            raise PackagingError(reason)
        say(
            f"checked: {settings.num_classes} classes, target layer {layer.name} "
            f"({layer.height}×{layer.width})"
        )


def _yaml(config: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(config, sort_keys=False, default_flow_style=None)
    return text


def _served_packages(source: str) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return sorted([*project["project"]["dependencies"], *_EXTRA.get(source, ())])


_EXTRA = {"timm": ("timm>=1.0",)}
