"""From the command line's arguments to findings."""

import argparse

import skimage.data
import torch
from PIL import Image

from archived_model import open_model
from gradcam.errors import GradcamError, SettingsError
from gradcam.labels import ClassList
from gradcam.pictures.picture import Picture, decode_picture
from inspection.findings import Findings, Wish, find_out
from model_options import ModelSource
from wishes import WishError, chosen_layers, chosen_methods

_MOST_BYTES, _MOST_PIXELS = 50_000_000, 100_000_000


EXPECTED = (WishError, GradcamError, SettingsError)
"""What can be wrong with what was asked for."""


def walk(arguments: argparse.Namespace, source: ModelSource) -> Findings:
    """Opens the model and the picture, and finds everything out.

    Args:
        arguments: As ``scripts/inspect_model.py`` parses them.
        source: The model.

    Raises:
        PackagingError: The model cannot be made.
        SettingsError: The archive is not one of ours.
        GradcamError: The network cannot be explained, or the picture not be read.
        WishError: There is no such method or class.
    """
    torch.set_num_threads(arguments.threads)
    methods = chosen_methods(arguments.methods)
    if arguments.picture is None:
        picture = Picture.of(Image.fromarray(skimage.data.chelsea()))
    else:
        picture = decode_picture(arguments.picture.read_bytes(), _MOST_BYTES, _MOST_PIXELS)
    model = open_model(source)
    wish = Wish(
        methods,
        chosen_layers(arguments.layers, model.explainer.layers, arguments.most_layers),
        _target(arguments.target, model.classes),
        arguments.rounds,
        arguments.most_passes,
    )
    return find_out(model, picture, wish)


def _target(wanted: str | None, classes: ClassList) -> int | None:
    if wanted is None:
        return None
    found = classes.by_label.get(wanted.casefold(), ())
    if len(found) == 1:
        return found[0]
    if wanted.isdecimal() and int(wanted) < len(classes):
        return int(wanted)
    raise WishError(f"there is no class {wanted!r}; give an index below {len(classes)}, or a label")
