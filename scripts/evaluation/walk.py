"""From the command line's arguments to a comparison."""

import argparse

import torch

from archived_model import open_model
from evaluation.comparison import Plan, compare
from evaluation.pictures import DataError, draw, prepare, read_boxes
from evaluation.results import Comparison
from gradcam import METHODS
from gradcam.errors import GradcamError, SettingsError
from layer_selection import pick_layers
from model_options import ModelSource

EXPECTED = (DataError, GradcamError, SettingsError)
"""What can be wrong with what was asked for."""


def walk(arguments: argparse.Namespace, source: ModelSource) -> Comparison:
    """Opens the model, draws the pictures, compares.

    Args:
        arguments: As ``scripts/evaluate.py`` parses them.
        source: The model.

    Raises:
        PackagingError: The model cannot be made.
        DataError: The pictures cannot be used, or a method does not exist.
        SettingsError: The archive is not one of ours.
        GradcamError: The network cannot be explained.
    """
    torch.set_num_threads(arguments.threads)
    for method in arguments.methods or ():
        if method not in METHODS:
            raise DataError(f"method {method!r} does not exist; there are {', '.join(METHODS)}")
    model = open_model(source)
    explainer, classes = model.explainer, model.classes
    pictures = draw(arguments.data, arguments.within, classes, arguments.pictures, arguments.draw)
    batch = prepare(pictures, model.settings.preprocessing, explainer.device)
    table = explainer.layers
    named = arguments.layers and [table.choose(name).name for name in arguments.layers]
    plan = Plan(
        methods=arguments.methods or list(METHODS),
        layers=named or pick_layers(table, arguments.most_layers),
        mosaics=arguments.mosaics,
        side=arguments.mosaic_side,
        forgetting=arguments.forgetting,
        boxes=read_boxes(arguments.boxes) if arguments.boxes else {},
        seed=arguments.draw,
    )
    data = {"source": arguments.data.name, "within": arguments.within, "seed": arguments.draw}
    return compare(model, batch, data, plan)
