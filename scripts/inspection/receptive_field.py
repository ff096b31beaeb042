"""How much of the picture one cell of a layer can see, measured with gradients.

The derivative of a cell with respect to the picture is zero wherever the cell cannot see. The box
around all that is not zero is the theoretical receptive field, provided that nothing else makes a
derivative zero: a ReLU that happens to be off, or a maximum that lies elsewhere. So several
pictures of noise are shown, what any of them reveals counts, and the arithmetic is float64, where
the product of a hundred small weights is not rounded to zero. The weights stay as they are:
positive ones would keep every ReLU open, but saturate every sigmoid, which is zero as well.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradcam import Layer

_SHARE = 0.9


@dataclass(frozen=True)
class Field:
    """What the middle cell of a layer sees, in pixels of the network's input.

    Attributes:
        height: Of the box around everything that it depends on; the input's own where that
            reaches from edge to edge.
        width: Likewise.
        most_height: Of the middle part that holds 90 % of the derivative's magnitude: what it
            depends on in practice (Luo et al., "Understanding the Effective Receptive Field in
            Deep Convolutional Neural Networks", NeurIPS 2016).
        most_width: Likewise.
    """

    height: int
    width: int
    most_height: int
    most_width: int


def receptive_fields(
    network: nn.Module,
    layers: Sequence[Layer],
    input_size: tuple[int, int],
    draws: int = 3,
    seed: int = 0,
) -> dict[str, Field]:
    """Measures layers' receptive fields at the cell in the middle of each map.

    Args:
        network: In evaluation mode; it stays as it is.
        layers: Which; of a module that is called several times the last call counts.
        input_size: ``(H, W)``.
        draws: Pictures of noise.
        seed: For the noise.

    Returns:
        By layer name; a layer that does not depend on the picture has a field of nothing.
    """
    exact = copy.deepcopy(network).double()
    device = next((one.device for one in exact.parameters()), torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    seen = {layer.name: torch.zeros(input_size, dtype=torch.float64) for layer in layers}
    for _ in range(draws):
        noise = torch.randn((1, 3, *input_size), generator=generator, dtype=torch.float64)
        picture = noise.to(device).requires_grad_()
        with torch.inference_mode(mode=False), torch.enable_grad():
            outputs = _outputs(exact, layers, picture)
            for layer in layers:
                cell = _middle_cell(layer, outputs[layer.name])
                # the plain sum of a normalised cell is constant, and its derivative zero
                chosen = (cell * torch.randn(cell.shape, generator=generator).to(cell)).sum()
                (found,) = torch.autograd.grad(
                    chosen, picture, retain_graph=True, allow_unused=True
                )
                if found is not None:
                    seen[layer.name] += found[0].abs().sum(dim=0).cpu()
    return {name: _measure(magnitude) for name, magnitude in seen.items()}


def _outputs(network: nn.Module, layers: Sequence[Layer], picture: Tensor) -> Mapping[str, Tensor]:
    outputs: dict[str, Tensor] = {}
    handles = []
    for layer in layers:

        def keep(_module: nn.Module, _inputs: Any, output: Any, name: str = layer.name) -> None:
            # a copy, for the network may change this tensor in place
            outputs[name] = _first_tensor(output).clone()

        handles.append(network.get_submodule(layer.name).register_forward_hook(keep))
    try:
        network(picture)
    finally:
        for handle in handles:
            handle.remove()
    return outputs


def _first_tensor(output: Any) -> Tensor:
    while not isinstance(output, Tensor):
        output = next(iter(output.values() if isinstance(output, Mapping) else output))
    return output


def _middle_cell(layer: Layer, output: Tensor) -> Tensor:
    """``[C]``, the channels of the cell in the middle."""
    return layer.layout.to_maps(output)[0, :, layer.height // 2, layer.width // 2]


def _measure(magnitude: Tensor) -> Field:
    rows, columns = magnitude.sum(dim=1), magnitude.sum(dim=0)
    return Field(_extent(rows), _extent(columns), _most(rows), _most(columns))


def _extent(profile: Tensor) -> int:
    places = profile.nonzero().flatten()
    return int(places[-1] - places[0]) + 1 if len(places) else 0


def _most(profile: Tensor) -> int:
    """The pixels between the points below and above which 5 % lie each."""
    total = profile.sum()
    if total == 0:
        return 0
    below = (profile.cumsum(0) / total).tolist()
    outside = (1 - _SHARE) / 2
    first = next(place for place, share in enumerate(below) if share > outside)
    last = next(place for place, share in enumerate(below) if share >= 1 - outside)
    return last - first + 1
