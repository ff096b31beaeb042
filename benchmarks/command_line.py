"""The command line of the benchmarks that go through networks, one line of a table for each."""

import argparse
from collections.abc import Sequence

NETWORKS = ("resnet18", "resnet50", "mobilenet_v3_large")
"""Whose serving is measured where nobody names others."""


def networks_parser(
    description: str | None, architectures: Sequence[str], rounds: int
) -> argparse.ArgumentParser:
    """A parser that knows which networks, and how many turns.

    Args:
        description: The script's own.
        architectures: Default names of torchvision's.
        rounds: Turns, by default.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("architectures", nargs="*", default=architectures)
    parser.add_argument(
        "--rounds", type=turns, default=rounds, help="turns, at least 2 (default: %(default)s)"
    )
    return parser


def turns(text: str) -> int:
    """How many turns: at least 2."""
    if not text.isdecimal() or int(text) < 2:  # one has no spread
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 2 up")
    return int(text)
