"""What an explanation costs, as a multiple of the same network's bare forward pass.

Example:
    python benchmarks/price.py resnet50 vgg19 --rounds 20

The bare forward pass, a prediction and an explanation take turns, so that a machine whose speed
drifts favours none of them; printed are the medians and quartiles of the ratios within a turn.
"""

import statistics

import torch
from command_line import networks_parser
from interleaved import quartiles, seconds

from gradcam import Ask, Explainer, freeze
from gradcam.networks import build_network

DEFAULT_ARCHITECTURES = ("resnet18", "resnet50", "densenet201", "mobilenet_v2", "vgg19")


def measure(architecture: str, rounds: int, batch_size: int, device: torch.device) -> str:
    """One line of the table."""
    torch.manual_seed(0)
    network = freeze(build_network(architecture, 1000).eval()).to(device)
    explainer = Explainer(network)
    batch = torch.randn(batch_size, 3, 224, 224, device=device)

    def forward() -> None:
        with torch.inference_mode():
            network(batch)

    def predict() -> None:
        explainer.run(batch, [None] * batch_size)

    def explain() -> None:
        explainer.run(batch, [Ask()] * batch_size)

    for work in (forward, predict, explain):
        seconds(work)
    turns = [(seconds(forward), seconds(predict), seconds(explain)) for _ in range(rounds)]
    bare = statistics.median(turn[0] for turn in turns) * 1000
    predicting = quartiles([turn[1] / turn[0] for turn in turns])
    explaining = quartiles([turn[2] / turn[0] for turn in turns])
    return f"{architecture:16} {bare:9.1f}   {predicting}   {explaining}"


def main() -> None:
    """Prints the table."""
    parser = networks_parser(__doc__, DEFAULT_ARCHITECTURES, rounds=15)
    parser.add_argument("--batch", type=int, default=1, help="pictures at once (default: 1)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    print(f"batch {arguments.batch}, {device}, {torch.get_num_threads()} threads")
    print("network          forward ms   prediction ×          explanation ×")
    for architecture in arguments.architectures:
        print(measure(architecture, arguments.rounds, arguments.batch, device), flush=True)


if __name__ == "__main__":
    main()
