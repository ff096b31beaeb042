"""The command line of the benchmarks that go through networks, one line of a table for each."""

import argparse
from collections.abc import Sequence


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
    parser.add_argument("--rounds", type=int, default=rounds, help="turns (default: %(default)s)")
    return parser
