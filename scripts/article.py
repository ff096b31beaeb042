#!/usr/bin/env python
"""The article "Implementing Grad-CAM in PyTorch" (Stepan Ulyanin, 2019), with this engine.

Predicts and explains one photograph with VGG19 and DenseNet201, squashed to 224×224 as the article
does, and saves the maps and overlays. With --crop it asks again about a part of the photograph.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "handlers"))

import cv2
import numpy as np

from class_lists import with_ids
from gradcam import Ask, Explainer, Outcome, Top
from gradcam.errors import GradcamError, SettingsError
from gradcam.geometry import Box, View, part_of, plan_view
from gradcam.labels import ClassList, parse_class_names
from gradcam.networks import load_network
from gradcam.pictures import render
from gradcam.pictures.picture import Picture, decode_picture
from gradcam.pictures.preprocess import normalise, show
from gradcam.request import option_values
from gradcam.settings import Preprocessing, read_settings
from model_sources import random_weights, read_card, read_weights
from packaging_options import PackagingError

EXAMPLES = """
examples:
  python scripts/article.py elephant.jpg                     downloads the pretrained weights
  python scripts/article.py elephant.jpg --crop 0,60,300,300
  python scripts/article.py elephant.jpg --weights none --seed 0
  python scripts/article.py cat.jpg --arch demo_net          the demo model, which needs no download
"""


@dataclass(frozen=True)
class Model:
    """A network that can be explained, and what belongs to it."""

    explainer: Explainer
    classes: ClassList
    preprocessing: Preprocessing


def load(architecture: str, weights: str, seed: int) -> Model:
    """Loads a network with its labels, set to squash pictures as the article does."""
    card = read_card(architecture, weights)
    count = len(card.labels)
    config = {"architecture": architecture, "num_classes": count}
    settings = read_settings(
        {"handler": {"gradcam": {**config, "preprocessing": dict(card.preprocessing)}}}
    )
    if weights == "none":
        found = random_weights(architecture, count, seed, {})
    else:
        named = None if architecture == "demo_net" and weights == "DEFAULT" else weights
        found = read_weights(architecture, named)
    network = load_network(architecture, count, found.state, found.architecture_options)
    preprocessing = replace(settings.preprocessing, squash=True)
    return Model(
        Explainer(network, preprocessing.crop_size),
        parse_class_names(with_ids(card.labels), count),
        preprocessing,
    )


def ask(model: Model, picture: Picture, part: Box) -> tuple[Outcome, View]:
    """One forward pass: the logits, and the map of the best class."""
    view = plan_view(part, model.preprocessing)
    pixels = show(picture, view, model.preprocessing.interpolation)
    batch = normalise([pixels], model.preprocessing, model.explainer.device)
    (outcome,) = model.explainer.run(batch, [Ask(targets=(Top(1),))])
    if isinstance(outcome, GradcamError):
        raise outcome
    return outcome, view


def top_three(model: Model, outcome: Outcome) -> list[tuple[str | None, str, float]]:
    """The article's list: (class id, label, logit), best first."""
    logits, indices = outcome.logits.topk(3)
    names = [model.classes[index] for index in indices.tolist()]
    return [
        (name.id, name.label, round(logit, 3))
        for name, logit in zip(names, logits.tolist(), strict=True)
    ]


def draw(picture: Picture, view: View, outcome: Outcome, stem: Path) -> list[Path]:
    """Saves the bare map, a coloured square a cell, and the map over the photograph."""
    (raw,) = outcome.maps
    grid = raw.heatmap().numpy().astype(np.float32)
    levels = np.round(grid * 255).astype(np.uint8)
    cells = cv2.resize(levels, None, fx=24, fy=24, interpolation=cv2.INTER_NEAREST)
    bare = render.colour(np.asarray(cells, np.uint8), "viridis")
    laid = render.overlay(picture.pixels, grid, view.region, "jet", 0.4, view.part.region)
    paths = [stem.with_name(f"{stem.name}-map.png"), stem.with_name(f"{stem.name}-overlay.png")]
    for path, pixels in zip(paths, (bare, laid), strict=True):
        path.write_bytes(render.encode(pixels, "png"))
    return paths


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photograph", type=Path)
    parser.add_argument(
        "--arch", nargs="+", default=["vgg19", "densenet201"], help="default: vgg19 densenet201"
    )
    parser.add_argument(
        "--weights", default="DEFAULT", help="DEFAULT (downloads), a local file, or none"
    )
    parser.add_argument("--seed", type=int, default=0, help="for --weights none (default: 0)")
    parser.add_argument("--crop", metavar="LEFT,TOP,WIDTH,HEIGHT", help="ask about this part too")
    parser.add_argument("--out", type=Path, default=Path("article"), help="default: article/")
    arguments = parser.parse_args()
    try:
        walk(arguments)
    except (PackagingError, SettingsError, GradcamError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def walk(arguments: argparse.Namespace) -> None:
    """Asks every network about the whole photograph and about the crop."""
    picture = decode_picture(arguments.photograph.read_bytes(), 50_000_000, 100_000_000)
    parts = {"whole photograph": picture.frame}
    if arguments.crop:
        parts["crop"] = part_of(picture.frame, option_values.box("crop", arguments.crop))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for architecture in arguments.arch:
        print(f"{architecture}: loading ...", flush=True)
        model = load(architecture, arguments.weights, arguments.seed)
        for name, part in parts.items():
            outcome, view = ask(model, picture, part)
            (raw,) = outcome.maps
            height, width = raw.values.shape
            print(f"{architecture}, {name}: layer {raw.layers[0]}, map {height}×{width}")
            for entry in top_three(model, outcome):
                print(f"  {entry}")
            for path in draw(
                picture, view, outcome, arguments.out / f"{architecture}-{name.split()[0]}"
            ):
                print(f"  saved {path}")


if __name__ == "__main__":
    sys.exit(main())
