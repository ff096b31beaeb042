"""What an explanation costs and how exact it is: the engine against three other libraries.

Examples:
    python benchmarks/engine.py
    python benchmarks/engine.py resnet18 vgg19 --batch 8 --targets 1 --rounds 9
    python benchmarks/engine.py --device cuda --out run/benchmarks/engine-cuda
    python benchmarks/engine.py --draw run/benchmarks/engine/engine.json

Every round the bare forward pass and all contenders take one turn each, and what counts is the
ratio within a round. All explain the same network at the same layer, the one that the engine takes
by default. Beside times there are the memory that autograd keeps, the most memory held at once, and
how far maps are from full autograd in float64. Prints tables and verdicts, and writes engine.json,
with every sample, and engine.png.

A contender whose package is not installed, or that cannot be asked about a network, is named with
the reason. Without matplotlib there is no plot.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

from command_line import turns
from contenders import CONTENDERS, usual_contenders
from engine_results import Results, load
from engine_run import DEAR, DEAR_MODELS, run
from engine_summary import MODELS
from engine_tables import tables
from finding import ROOT


def show(results: Results, folder: Path) -> None:
    """Prints the tables and draws the plot."""
    print(f"\n{tables(results)}\n")
    if importlib.util.find_spec("matplotlib") is None:
        print("matplotlib is not installed, so there is no plot")
        return
    from engine_plot import draw  # noqa: PLC0415 - it may be missing

    draw(results, folder / "engine.png")
    print(f"drawn: {folder / 'engine.png'}")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "models", nargs="*", default=list(MODELS), help=f"default: {' '.join(MODELS)}"
    )
    parser.add_argument(
        "--batch",
        nargs="+",
        type=_count,
        metavar="N",
        help="pictures at once (default: 1 8, on cuda 1 8 32 128)",
    )
    parser.add_argument(
        "--targets",
        nargs="+",
        type=_count,
        default=[1, 5],
        metavar="N",
        help="classes of each picture, the best ones (default: 1 5)",
    )
    parser.add_argument(
        "--rounds", type=turns, default=15, help="turns, at least 2 (default: %(default)s)"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    usual = " ".join(one.name for one in usual_contenders())
    parser.add_argument(
        "--only",
        nargs="+",
        choices=CONTENDERS,
        metavar="NAME",
        help=f"of {' '.join(CONTENDERS)} (default: {usual}); forward always takes part",
    )
    parser.add_argument(
        "--integrated-everywhere",
        action="store_true",
        help=f"{DEAR} of every model and batch, not of {' and '.join(DEAR_MODELS)} at batch 1 "
        "only; it holds the graph of 15 times the batch",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "run/benchmarks/engine",
        metavar="FOLDER",
        help="default: run/benchmarks/engine in the repository",
    )
    parser.add_argument(
        "--draw",
        type=Path,
        metavar="FILE",
        help="measure nothing: tables and plot of a JSON, drawn beside it",
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def main() -> int:
    """Runs the command line."""
    arguments = build_parser().parse_args()
    if arguments.draw:
        show(load(arguments.draw), arguments.draw.parent)
        return 0
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "engine.json"
    results = run(arguments, path)
    show(results, arguments.out)
    print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
