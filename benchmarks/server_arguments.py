"""The command line of the server benchmark."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from command_line import NETWORKS
from server_contenders import (
    FIVE_TARGETS,
    OURS,
    PEER_EXPLANATIONS,
    STOCK,
    STOCK_PREDICTIONS,
    Contender,
    ours,
)

from repository import ROOT

SOAK = "soak"
"""The handler's name in the archive whose worker does nothing but soak."""

_EXAMPLES = """
examples:
  python benchmarks/server.py --soak 20000                 all of it: an hour and a half
  python benchmarks/server.py --models resnet18 --peers resnet18 --rounds 2 --open --delays
                                                           a short look
  python benchmarks/server.py --models resnet50 --variant "bf16=--execution precision=bf16"
  python benchmarks/server.py --draw run/benchmarks/server/server.json
"""


def read_arguments(description: str | None, given: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line.

    Args:
        description: The script's own.
        given: The line; the process's own where it is ``None``.
    """
    parser = build_parser(description)
    arguments = parser.parse_args(given)
    arguments.variant = dict(arguments.variant)
    known = {one.name for some in contenders_of(arguments).values() for one in some}
    if unknown := [name for name in arguments.open_contenders if name not in known]:
        parser.error(f"--open-contenders {unknown[0]!r} is none of {', '.join(sorted(known))}")
    return arguments


def contenders_of(arguments: argparse.Namespace) -> dict[str, list[Contender]]:
    """By model, who is measured."""
    variants = [one for name in arguments.variant for one in ours(name)]
    plain = [*ours(), FIVE_TARGETS, STOCK_PREDICTIONS]
    return {
        model: [*plain, *(PEER_EXPLANATIONS if model in arguments.peers else ()), *variants]
        for model in arguments.models
    }


def build_parser(description: str | None = None) -> argparse.ArgumentParser:
    """The command line, with the script's own description."""
    parser = argparse.ArgumentParser(
        description=description,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--models",
        nargs="+",
        default=list(NETWORKS),
        metavar="NAME",
        help="torchvision's (default: %(default)s)",
    )
    add(
        "--peers",
        nargs="*",
        default=["resnet18"],
        metavar="NAME",
        help="models for which the others' explanations are measured (default: %(default)s)",
    )
    add(
        "--variant",
        type=_variant,
        action="append",
        default=[],
        metavar="NAME=ARGUMENTS",
        help="one more archive of ours, packaged with these arguments of package_model.py",
    )
    add(
        "--concurrency",
        type=_count,
        nargs="+",
        default=[1, 8, 16],
        metavar="N",
        help="clients of the closed loop (default: %(default)s)",
    )
    add("--rounds", type=_count, default=7, metavar="N", help="default: %(default)s")
    add("--seconds", type=float, default=4, metavar="S", help="of a turn (default: %(default)s)")
    add("--batch-size", type=_count, default=8, metavar="N", help="default: %(default)s")
    add(
        "--delay",
        type=_count,
        default=20,
        metavar="MS",
        help="a batch waits (default: %(default)s)",
    )
    add(
        "--open",
        type=float,
        nargs="*",
        default=[0.3, 0.5, 0.7, 0.9],
        metavar="SHARE",
        help="arrivals, of the rate at the greatest concurrency (default: %(default)s)",
    )
    add("--open-seconds", type=float, default=40, metavar="S", help="default: %(default)s")
    add(
        "--open-contenders",
        nargs="+",
        default=[f"{OURS} predictions", f"{OURS} grid"],
        metavar="NAME",
        help=f"such as '{STOCK} predictions' (default: %(default)s)",
    )
    add(
        "--delays",
        type=_count,
        nargs="*",
        default=[1, 10, 50, 100],
        metavar="MS",
        help="of which the price for a lone client is measured, on the first of the models "
        "(default: %(default)s)",
    )
    add("--soak", type=int, default=0, metavar="N", help="explanations (default: none)")
    add("--soak-model", default="resnet18", metavar="NAME", help="default: %(default)s")
    add(
        "--out",
        type=Path,
        default=ROOT / "run" / "benchmarks" / "server",
        metavar="FOLDER",
        help="default: run/benchmarks/server",
    )
    add("--draw", type=Path, metavar="FILE.json", help="measure nothing, show this again")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _variant(text: str) -> tuple[str, str]:
    name, equals, line = text.partition("=")
    if not (equals and name.isidentifier()) or name in (OURS, STOCK, SOAK):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=ARGUMENTS")
    return name, line
