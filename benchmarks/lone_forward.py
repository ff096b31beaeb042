"""Seconds of a forward pass in a process of its own, which keeps freed memory or gives it back.

Example:
    python benchmarks/lone_forward.py resnet50 --memory kept

benchmarks/choices.py runs it, for what a process once keeps it cannot be made to give back.
"""

import argparse
import statistics
import sys

import torch
from effects import BATCH
from interleaved import seconds
from studied import Studied

from gradcam.heap import keep_freed_memory

HOW = ("kept", "given back")
_CALLS, _COLD = 9, 2


def measure(name: str, batch: int) -> float:
    """The median of a few forward passes of noise, after the first two."""
    one = Studied(name)
    network = one.network().to(memory_format=torch.channels_last)
    pictures = torch.randn(batch, 3, *one.preprocessing.crop_size)
    pictures = pictures.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        taken = [seconds(lambda: network(pictures)) for _ in range(_CALLS)]
    return statistics.median(taken[_COLD:])


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", help="torchvision's name, or demo")
    parser.add_argument("--memory", choices=HOW, default=HOW[0], help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=BATCH, help="default: %(default)s")
    return parser


def main() -> int:
    """Prints the seconds."""
    arguments = build_parser().parse_args()
    if arguments.memory == HOW[0] and not keep_freed_memory():
        print("error: this C library cannot be told to keep freed memory", file=sys.stderr)
        return 1
    print(measure(arguments.network, arguments.batch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
