#!/usr/bin/env python
"""Compares CAM methods and layers on labelled pictures, by measures that need no human eye.

The pictures lie in a folder or a zip as <class>/*.jpg, where <class> is one of the model's labels
or ids. What the measures ask, and how to read them: docs/evaluation.md.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from model_options import add_model_options
from repository import ROOT
from walking import walk_and_show

sys.path.insert(0, str(ROOT / "handlers"))

EXAMPLES = """
examples:
  python scripts/evaluate.py cifar10-jpeg.zip --within test             the demo model
  python scripts/evaluate.py pictures --archive model_store/mine.mar
  python scripts/evaluate.py pictures --arch resnet50 --pictures 100 --methods gradcam layercam
"""
DOCUMENT = ROOT / "docs" / "evaluation.md"


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a folder or a zip with <class>/*.jpg")
    parser.add_argument(
        "--within", default="", metavar="FOLDER", help="a folder inside that, such as test"
    )
    parser.add_argument("--boxes", type=Path, metavar="FILE.json", help=_BOXES)
    parser.add_argument(
        "--pictures", type=int, default=200, metavar="N", help="how many (default: %(default)s)"
    )
    parser.add_argument(
        "--mosaics", type=int, default=16, metavar="N", help="how many (default: %(default)s)"
    )
    parser.add_argument(
        "--mosaic-side", type=int, default=3, metavar="N", help="pictures a side (default: 3)"
    )
    parser.add_argument(
        "--forgetting",
        type=int,
        default=12,
        metavar="N",
        help="pictures for the parameter-randomisation check (default: %(default)s)",
    )
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="default: all")
    parser.add_argument("--layers", nargs="+", metavar="NAME", help="default: one of each shape")
    parser.add_argument("--most-layers", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument("--draw", type=int, default=0, metavar="SEED", help="default: 0")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("evaluation"),
        metavar="FOLDER",
        help="for evaluation.json and the plots (default: evaluation/)",
    )
    parser.add_argument(
        "--document", action="store_true", help="write docs/evaluation.md's tables and plots too"
    )
    add_model_options(parser)
    return parser


_BOXES = 'JSON: {"cat/1.jpg": [[left, top, width, height]]}, in pixels of the upright picture'


def main() -> int:
    """Runs the command line."""
    arguments = build_parser().parse_args()
    modules = ("evaluation.walk", "evaluation.report", "evaluation.plots")

    def show(comparison: Any, report: Any, plots: Any) -> None:
        print(report.table(comparison))
        arguments.out.mkdir(parents=True, exist_ok=True)
        result = arguments.out / "evaluation.json"
        result.write_text(json.dumps(comparison.document(), indent=1) + "\n", encoding="utf-8")
        for path in (result, *plots.save_all(comparison, arguments.out)):
            print(f"saved {path}")
        if arguments.document:
            plots.save_all(comparison, DOCUMENT.parent / "images")
            report.write_into(DOCUMENT, report.markdown(comparison, _command()))
            print(f"wrote {DOCUMENT}")

    return walk_and_show(arguments, modules, show)


def _command() -> str:
    """The command line, with every path by its last name only."""
    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    return shlex.join(["python", "scripts/evaluate.py", *words])


if __name__ == "__main__":
    sys.exit(main())
