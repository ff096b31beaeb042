"""Grad-CAM worked out the long way, for comparison: nothing here comes from ``gradcam``."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


def full_autograd_map(network: nn.Module, layer: str, picture: Tensor, index: int) -> Tensor:
    """The map of one picture before the ReLU, in float64, with every parameter differentiable.

    A zero is added to the layer's output; the derivative of the logit with respect to that zero is
    the derivative with respect to the output. Of a layer that is called several times the last
    call counts.

    Args:
        network: In evaluation mode; it is copied.
        layer: A module whose output is ``[1, C, H, W]``.
        picture: ``[3, H, W]``.
        index: The class.

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
    (gradient,) = torch.autograd.grad(logits[0, index], zeros[-1])
    weights = gradient[0].sum(dim=(1, 2)) / (gradient.shape[2] * gradient.shape[3])
    return torch.einsum("k,kij->ij", weights, activations[-1][0])


def relative_error(found: Tensor, expected: Tensor) -> float:
    """The greatest difference, as a share of the expected map's greatest magnitude."""
    greatest = expected.abs().max()
    assert greatest > 0, "an expected map of zeros would hide every error but one"
    return float((found.double() - expected.double()).abs().max() / greatest)
