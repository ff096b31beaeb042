"""Which model a script is to look at: a packaged archive, or what an archive would be made from.

Standard library only, so that ``--help`` is there at once.
"""

import argparse
from pathlib import Path

from packaging_arguments import add_packaging_options, names_a_source, read_packaging_options
from packaging_options import DEMO_ARCHITECTURE, PackagingOptions

ModelSource = Path | PackagingOptions
"""An archive, or what it would be made from."""


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--archive`` and everything that ``package_model.py`` takes."""
    parser.add_argument(
        "--archive",
        type=Path,
        metavar="FILE.mar",
        help="a packaged model; the options below then do not matter",
    )
    parser.add_argument(
        "--arch",
        metavar="NAME",
        help=f"any torchvision classification model, or demo_net (default: {DEMO_ARCHITECTURE})",
    )
    add_packaging_options(parser)


def read_model_options(arguments: argparse.Namespace) -> ModelSource:
    """What the command line names.

    Raises:
        PackagingError: Options clash.
    """
    archive: Path | None = arguments.archive
    if archive is None and not names_a_source(arguments):
        arguments.arch = DEMO_ARCHITECTURE
    return read_packaging_options(arguments) if archive is None else archive
