"""What the rest of a network makes of a layer, measured by gradients of its logits."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gradcam.survey.graph import Graph
from gradcam.survey.layout import Layout

_MAPS = ("AddmmBackward", "MmBackward", "ConvolutionBackward")
_MEANS = ("MeanBackward", "AvgPool")
_SHAPES = (
    *("Clone", "Alias", "ToCopy", "View", "UnsafeView", "ReshapeAlias", "AsStrided"),
    *("Squeeze", "Unsqueeze", "Permute", "Transpose", "TBackward", "Slice"),
)


def measure_gradients(logits: Tensor, layers: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradient of all logits, summed with random signs and sizes, at some layers.

    Args:
        logits: ``[1, C]``.
        layers: Any tensors of the same forward pass.

    Returns:
        For each layer a tensor of its shape; ``None`` where the logits do not depend on it, or
        where there are no values, as on the meta device.
    """
    if not layers or logits.is_meta or not logits.requires_grad:
        return [None] * len(layers)
    noise = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
    return list(
        torch.autograd.grad(logits, layers, noise.to(logits), retain_graph=True, allow_unused=True)
    )


def is_blind(gradient: Tensor | None, layout: Layout) -> bool:
    """Whether the logits read a layer's class or register tokens only, and none of its cells."""
    if gradient is None or not layout.skipped:
        return False
    cells, skipped = layout.to_maps(gradient), gradient[:, : layout.skipped]
    return bool(skipped.any()) and not bool(cells.any())


def is_vector(gradient: Tensor | None) -> bool:
    """Whether the logits read one token at most of what is ``[1, T, C]``, so that it has no map."""
    if gradient is None or gradient.shape[0] != 1:
        return False
    return int(gradient[0].any(dim=1).sum()) <= 1


def is_silent(gradient: Tensor | None) -> bool:
    """Whether the gradient says nothing: it is zero everywhere, or could not be measured."""
    return gradient is None or not bool(gradient.any())


def is_linear_head(graph: Graph, tensor: Tensor) -> bool:
    """Whether nothing but averages and one linear map lie between a layer and the logits.

    Whether the average is over all cells alike is for :func:`is_even` to say.
    """
    names = graph.only_way(tensor)
    if names is None:
        return False
    linear = [name for name in names if name.startswith(_MAPS)]
    means = [name for name in names if any(part in name for part in _MEANS)]
    others = [name for name in names if name not in linear and name not in means]
    return len(linear) == 1 and len(means) >= 1 and all(n.startswith(_SHAPES) for n in others)


def is_even(gradient: Tensor | None, layout: Layout) -> bool:
    """Whether a gradient is the same at all cells, and zero at class and register tokens.

    One that could not be measured is taken to be.
    """
    if gradient is None:
        return True
    maps = layout.to_maps(gradient)
    uneven = (maps - maps.mean(dim=(2, 3), keepdim=True)).abs().max()
    skips = layout.kind == "tokens" and bool(gradient[:, : layout.skipped].any())
    return not skips and bool(uneven <= 1e-3 * maps.abs().max())


def is_class_maps(logits: Tensor, activation: Tensor, layout: Layout) -> bool:
    """Whether channel ``c`` influences logit ``c`` only: then pooling is all that follows.

    Args:
        logits: ``[1, C]``.
        activation: With ``C`` channels.
        layout: Of the activation.
    """
    if logits.is_meta or not logits.requires_grad:
        return False
    classes = logits.shape[1]
    silent = True
    for index in logits[0].topk(min(4, classes)).indices.tolist():
        (gradient,) = torch.autograd.grad(logits[0, index], activation, retain_graph=True)
        channels = layout.to_maps(gradient)[0].flatten(1).abs().sum(dim=1).nonzero().flatten()
        if channels.tolist() not in ([], [index]):
            return False
        silent = silent and not len(channels)
    return not silent
