"""What each choice in serving gains, and what it does to answers.

Examples:
    python benchmarks/choices.py
    python benchmarks/choices.py resnet50 demo --rounds 21 --only layout bf16 heap

Each choice takes turns with what it is chosen over, and given is how long it takes of the other's
time, as the spread of the ratios within a round; below 1 is a gain. Networks have seeded random
weights (the demo model those that it was trained to) and batches of eight photographs. Of
precision, layout, compilation and reduced decoding the effect is told too, on the same network and
on all photographs: the least and the median cosine of a photograph's map with that of what it is
chosen over, and for how many the best class stays the same. For reduced decoding photographs are
enlarged to 3000×2250 pixels. They are those of the folder photos/ in GRADCAM_TEST_DATA, else
scikit-image's. Prints a table, and writes choices.json.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from choices_networks import CHOICES, Line, of_network
from choices_pictures import of_pictures
from command_line import NETWORKS, networks_parser
from finding import ROOT
from machine import describe
from spread import LEGEND, spread
from studied import DEMO, Studied

sys.path.insert(1, str(ROOT / "scripts"))

from photographs import read_photographs

PICTURES = "pictures"


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = networks_parser(__doc__, (*NETWORKS, DEMO), rounds=11)
    every = (*CHOICES, PICTURES)
    parser.add_argument(
        "--only", nargs="+", choices=every, default=list(every), help="default: all of them"
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "run/benchmarks/choices", metavar="FOLDER"
    )
    return parser


def row(line: Line) -> str:
    """A line of the table, in Markdown."""
    return f"| {line.choice} | {line.where} | {spread(line.over)} | {line.more} |"


def main() -> int:
    """Runs the command line."""
    arguments = build_parser().parse_args()
    files, source = read_photographs()
    lines: list[Line] = []

    def tell(found: Iterator[Line]) -> None:
        for line in found:
            lines.append(line)
            print(row(line), flush=True)

    print(f"Photographs: {source}. Times: {LEGEND}.\n")
    print("| choice | of what | × the other's time | and |\n|---|---|---|---|")
    for name in arguments.architectures:
        tell(of_network(Studied(name), files, arguments.only, arguments.rounds))
    if PICTURES in arguments.only:
        tell(of_pictures(files, arguments.rounds))
    arguments.out.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": describe(torch.device("cpu")),
        "command": ["python", "benchmarks/choices.py", *sys.argv[1:]],
        "photographs": source,
        "lines": [asdict(line) for line in lines],
    }
    (arguments.out / "choices.json").write_text(json.dumps(document), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
