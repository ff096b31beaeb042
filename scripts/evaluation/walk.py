"""From the command line's arguments to a comparison."""

import argparse

import torch

from archived_model import open_model
from evaluation.comparison import Plan, compare
from evaluation.pictures import DataError, draw, prepare, read_boxes
from evaluation.results import Comparison
from gradcam.errors import GradcamError, SettingsError
from model_options import ModelSource
from wishes import WishError, chosen_layers, chosen_methods

EXPECTED = (DataError, WishError, GradcamError, SettingsError)
"""What can be wrong with what was asked for."""


def walk(arguments: argparse.Namespace, source: ModelSource) -> Comparison:
    """Opens the model, draws the pictures, compares.

    Args:
        arguments: As ``scripts/evaluate.py`` parses them.
        source: The model.

    Raises:
        PackagingError: The model cannot be made.
        DataError: The pictures cannot be used.
        WishError: A method does not exist.
        SettingsError: The archive is not one of ours.
        GradcamError: The network cannot be explained.
    """
    torch.set_num_threads(arguments.threads)
    methods = chosen_methods(arguments.methods)
    model = open_model(source)
    explainer, classes = model.explainer, model.classes
    pictures = draw(arguments.data, arguments.within, classes, arguments.pictures, arguments.draw)
    batch = prepare(pictures, model.settings.preprocessing, explainer.device)
    plan = Plan(
        methods=methods,
        layers=chosen_layers(arguments.layers, explainer.layers, arguments.most_layers),
        mosaics=arguments.mosaics,
        side=arguments.mosaic_side,
        forgetting=arguments.forgetting,
        boxes=read_boxes(arguments.boxes) if arguments.boxes else {},
        seed=arguments.draw,
    )
    data = {"source": arguments.data.name, "within": arguments.within, "seed": arguments.draw}
    return compare(model, batch, data, plan)
