"""What further questions cost: five targets, a score, smoothing, and what autograd keeps.

Example:
    python benchmarks/questions.py resnet50 densenet201 --rounds 21

Each is timed in turns with the plain explanation of one target, and printed are the medians and
quartiles of the ratios within a turn. The last columns are no times: they are what autograd saved
for the backward pass of eight pictures, less parameters, buffers and one tensor of the target
activation's size, and the same of the network whose parameters are not frozen.
"""

from collections.abc import Callable, Mapping

import torch
from command_line import networks_parser
from interleaved import quartiles, ratios
from torch import Tensor, nn

from gradcam import Ask, Explainer, Top, freeze
from gradcam.networks import build_network

DEFAULT_ARCHITECTURES = ("resnet50", "densenet201")

QUESTIONS: Mapping[str, Ask] = {
    "5 targets": Ask(targets=(Top(5),)),
    "score": Ask(score=True),
    "5 + score": Ask(targets=(Top(5),), score=True),
    "flip": Ask(flip=True),
    "smooth 4": Ask(smooth=4),
}


def saved_mebibytes(network: nn.Module, run: Callable[[], object], activation: int) -> float:
    """What autograd saves while ``run`` runs.

    Counted are the bytes of every storage that a saved tensor lies in, whole and once, however
    many tensors lie in it and whenever it is let go. Not counted are the network's parameters and
    buffers, and one storage, if there is any, with a saved tensor of ``activation`` numbers: it is
    taken to be the target activation, which an explanation needs anyway. Every further tensor of
    that size, such as a copy, is counted.

    Args:
        network: Its parameters and buffers are not counted.
        run: Explains.
        activation: How many numbers the target activation has.

    Returns:
        Mebibytes.
    """
    own = {tensor.untyped_storage().data_ptr() for tensor in network.parameters()}
    own |= {tensor.untyped_storage().data_ptr() for tensor in network.buffers()}
    sizes: dict[int, int] = {}
    fitting: list[int] = []  # addresses, of which the first is the activation
    kept: list[Tensor] = []  # so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor)
            if tensor.numel() == activation:
                fitting.append(storage.data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(size for place, size in sizes.items() if place not in fitting[:1]) / 2**20


def measure(architecture: str, rounds: int, names: list[str]) -> str:
    """One line of the table."""
    torch.manual_seed(0)
    network = freeze(build_network(architecture, 1000).eval())
    explainer = Explainer(network)
    one, eight = torch.randn(1, 3, 224, 224), torch.randn(8, 3, 224, 224)
    cells = []
    for name in names:
        found, _ = ratios(
            lambda name=name: explainer.run(one, [QUESTIONS[name]]),
            lambda: explainer.run(one, [Ask()]),
            rounds,
        )
        cells.append(quartiles(found))
    layer = explainer.layers.choose(None)
    numbers = 8 * layer.channels * layer.height * layer.width
    saved = saved_mebibytes(network, lambda: explainer.run(eight, [Ask()] * 8), numbers)
    network.requires_grad_(requires_grad=True)
    trainable = saved_mebibytes(network, lambda: explainer.run(eight, [Ask()] * 8), numbers)
    timed = "".join(f"{cell:>20}" for cell in cells)
    return f"{architecture:14}{timed}{saved:16.3f}{trainable:12.1f}"


def main() -> None:
    """Prints the table."""
    parser = networks_parser(__doc__, DEFAULT_ARCHITECTURES, rounds=21)
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    arguments = parser.parse_args()
    print(f"batch 1, {torch.get_num_threads()} threads; × a plain explanation of one target")
    heads = "".join(f"{name:>20}" for name in arguments.only)
    print(f"{'network':14}{heads}{'saved MiB':>16}{'trainable':>12}")
    for architecture in arguments.architectures:
        print(measure(architecture, arguments.rounds, arguments.only), flush=True)


if __name__ == "__main__":
    main()
