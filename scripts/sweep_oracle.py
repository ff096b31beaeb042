"""Grad-CAM by full autograd, for comparison: nothing here comes from ``gradcam``."""

from typing import Any

import torch
from torch import Tensor, nn


def full_autograd_map(
    network: nn.Module, layer: str, picture: Tensor, index: int, skipped: int | None, *, last: bool
) -> Tensor:
    """The map of one picture before the ReLU, with every parameter and the picture differentiable.

    A zero is added to the layer's output; the derivative of the logit with respect to that zero is
    the derivative with respect to the output.

    Args:
        network: In evaluation mode. Its precision is that of the result.
        layer: A module whose output is ``[1, C, H, W]``, ``[1, H, W, C]`` or ``[1, T, C]``.
        picture: ``[1, 3, H, W]``, square where the output is tokens.
        index: The class.
        skipped: How many tokens stand before those that are cells, where the output is tokens.
        last: Whether the channels are the last axis.

    Returns:
        ``[H, W]``, or ``[cells]`` where the output is tokens.
    """
    kept: list[tuple[Tensor, Tensor]] = []

    def add_zero(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        kept.append((output.detach().clone(), torch.zeros_like(output, requires_grad=True)))
        return output + kept[-1][1]

    network.requires_grad_(requires_grad=True)
    handle = network.get_submodule(layer).register_forward_hook(add_zero)
    try:
        with torch.enable_grad():
            logits = network(picture.clone().requires_grad_())
            activation, zero = kept[-1]
            (gradient,) = torch.autograd.grad(logits[0, index], zero)
    finally:
        handle.remove()
        network.requires_grad_(requires_grad=False)
    if skipped:
        activation, gradient = activation[:, skipped:], gradient[:, skipped:]
    if not last:
        activation, gradient = activation.movedim(1, -1), gradient.movedim(1, -1)
    activation, gradient = activation[0], gradient[0]
    weights = gradient.flatten(0, -2).mean(dim=0)
    return (weights * activation).sum(dim=-1)
