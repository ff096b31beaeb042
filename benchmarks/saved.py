"""What autograd keeps for a backward pass."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


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
