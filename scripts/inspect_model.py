#!/usr/bin/env python
"""Shows where a model can be explained: its layers, what they see and cost, and their maps.

Prints the candidate layers with their grids and receptive fields, which of them is the default and
why, and what a map costs at each; saves a contact sheet, layers across and methods down.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from model_options import add_model_options
from repository import ROOT
from walking import walk_and_show

sys.path.insert(0, str(ROOT / "handlers"))

EXAMPLES = """
examples:
  python scripts/inspect_model.py                                 the demo model on a cat
  python scripts/inspect_model.py dog.jpg --arch resnet50 --out resnet50.png
  python scripts/inspect_model.py dog.jpg --archive model_store/mine.mar --layers layer3 layer4
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "picture", type=Path, nargs="?", help="default: scikit-image's cat, chelsea"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("sheet.png"), metavar="FILE", help="default: sheet.png"
    )
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="default: all")
    parser.add_argument(
        "--layers",
        nargs="+",
        metavar="NAME",
        help="across the sheet (default: one of each shape, the last ones)",
    )
    parser.add_argument("--most-layers", type=int, default=6, metavar="N", help="default: 6")
    parser.add_argument(
        "--target", metavar="CLASS", help="a class index or label (default: the best)"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="N", help="of measuring prices (default: 5)"
    )
    parser.add_argument(
        "--most-passes",
        type=int,
        default=256,
        metavar="N",
        help="Score-CAM and Ablation-CAM take a pass for every channel of the layer; skip them "
        "where that is more than this (default: %(default)s)",
    )
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="default: 2")
    add_model_options(parser)
    return parser


def main() -> int:
    """Runs the command line."""
    arguments = build_parser().parse_args()
    modules = ("inspection.walk", "inspection.tables", "inspection.sheet")

    def show(findings: Any, tables: Any, sheet: Any) -> None:
        print(tables.text(findings))
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        sheet.save_sheet(findings, arguments.out)
        print(f"saved {arguments.out}")

    return walk_and_show(arguments, modules, show)


if __name__ == "__main__":
    sys.exit(main())
