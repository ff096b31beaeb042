"""Grad-CAM worked out the long way, for comparison: nothing here comes from ``gradcam``."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Arrange = Callable[[Tensor], Tensor]
"""How a layer's output becomes ``[1, C, H, W]``."""


def as_it_is(tensor: Tensor) -> Tensor:
    """For what is ``[1, C, H, W]`` already."""
    return tensor


def channels_last(tensor: Tensor) -> Tensor:
    """For ``[1, H, W, C]``."""
    return tensor.movedim(-1, 1)


def token_grid(skipped: int, height: int, width: int) -> Arrange:
    """For ``[1, T, C]``: cell ``(i, j)`` is token ``skipped + i · width + j``."""

    def arrange(tensor: Tensor) -> Tensor:
        assert tensor.shape[1] == skipped + height * width
        rows = [
            tensor[:, start : start + width].movedim(-1, 1)
            for start in range(skipped, tensor.shape[1], width)
        ]
        return torch.stack(rows, dim=2)

    return arrange


def full_autograd_map(
    network: nn.Module, layer: str, picture: Tensor, index: int, arrange: Arrange = as_it_is
) -> Tensor:
    """The map of one picture before the ReLU, in float64, with every parameter differentiable.

    A zero is added to the layer's output; the derivative of the logit with respect to that zero is
    the derivative with respect to the output. Of a layer that is called several times the last
    call counts.

    Args:
        network: In evaluation mode; it is copied.
        layer: A module whose output is a map.
        picture: ``[3, H, W]``.
        index: The class.
        arrange: How the output becomes ``[1, C, H, W]``.

    Returns:
        ``[H, W]``, float64.
    """
    exact = copy.deepcopy(network).double().requires_grad_(requires_grad=True)
    activations: list[Tensor] = []
    zeros: list[Tensor] = []

    def add_zero(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        activations.append(output.detach().clone())
        zeros.append(torch.zeros_like(output, requires_grad=True))
        return output + zeros[-1]

    exact.get_submodule(layer).register_forward_hook(add_zero)
    logits = exact(picture[None].double().requires_grad_())
    (raw_gradient,) = torch.autograd.grad(logits[0, index], zeros[-1])
    gradient, activation = arrange(raw_gradient), arrange(activations[-1])
    weights = gradient[0].sum(dim=(1, 2)) / (gradient.shape[2] * gradient.shape[3])
    return torch.einsum("k,kij->ij", weights, activation[0])


def relative_error(found: Tensor, expected: Tensor) -> float:
    """The greatest difference, as a share of the expected map's greatest magnitude."""
    greatest = expected.abs().max()
    assert greatest > 0, "an expected map of zeros would hide every error but one"
    return float((found.double() - expected.double()).abs().max() / greatest)
