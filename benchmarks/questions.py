"""What further questions cost: five targets, a score, smoothing, and what autograd keeps.

Example:
    python benchmarks/questions.py resnet50 densenet201 --rounds 21

Each is timed in turns with the plain explanation of one target, and printed is how the ratios
within a turn are spread. The last columns are no times: they are what autograd saved for the
backward pass of eight pictures, less parameters, buffers and one tensor of the target activation's
size, and the same of the network whose parameters are not frozen.
"""

import argparse
from collections.abc import Mapping
from functools import partial

import torch
from command_line import networks_parser
from interleaved import ratios
from saved import saved_mebibytes
from spread import LEGEND, spread

from gradcam import Ask, Explainer, Top, freeze
from gradcam.networks import build_network

QUESTIONS: Mapping[str, Ask] = {
    "5 targets": Ask(targets=(Top(5),)),
    "score": Ask(score=True),
    "5 + score": Ask(targets=(Top(5),), score=True),
    "flip": Ask(flip=True),
    "smooth 4": Ask(smooth=4),
}


def measure(architecture: str, rounds: int, names: list[str]) -> str:
    """One line of the table."""
    torch.manual_seed(0)
    network = freeze(build_network(architecture, 1000).eval())
    explainer = Explainer(network)
    one, eight = torch.randn(1, 3, 224, 224), torch.randn(8, 3, 224, 224)
    cells = []
    for name in names:
        found, _ = ratios(
            partial(explainer.run, one, [QUESTIONS[name]]),
            partial(explainer.run, one, [Ask()]),
            rounds,
        )
        cells.append(str(spread(found)))
    layer = explainer.layers.choose(None)
    numbers = 8 * layer.channels * layer.height * layer.width
    saved = saved_mebibytes(network, lambda: explainer.run(eight, [Ask()] * 8), numbers)
    network.requires_grad_(requires_grad=True)
    trainable = saved_mebibytes(network, lambda: explainer.run(eight, [Ask()] * 8), numbers)
    timed = "".join(f"{cell:>20}" for cell in cells)
    return f"{architecture:14}{timed}{saved:16.3f}{trainable:12.1f}"


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = networks_parser(__doc__, ("resnet50", "densenet201"), rounds=21)
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    return parser


def main() -> None:
    """Prints the table."""
    arguments = build_parser().parse_args()
    print(f"batch 1, {torch.get_num_threads()} threads; × a plain explanation of one target")
    print(LEGEND)
    heads = "".join(f"{name:>20}" for name in arguments.only)
    print(f"{'network':14}{heads}{'saved MiB':>16}{'trainable':>12}")
    for architecture in arguments.architectures:
        print(measure(architecture, arguments.rounds, arguments.only), flush=True)


if __name__ == "__main__":
    main()
