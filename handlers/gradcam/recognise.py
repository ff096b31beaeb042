"""Recognises the layout of every layer's tensor.

Types and names of modules play no part. A shape says enough where exactly one pair of axes has the
picture's proportions, or where there are as many tokens as before. Otherwise gradients decide, with
respect to the nearest earlier tensor whose layout is known: from the first row of a map to the last
one they must move down, and only down; token ``skipped + i`` must look at cell ``i``, and a skipped
token at none. Where nothing can be measured, as on the meta device, the shape must do.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import Node

from gradcam.graph import nearest, node_of
from gradcam.layout import CHANNELS_FIRST, CHANNELS_LAST, Layout
from gradcam.tap import Tapped

_MOST_SKIPPED = 16
"""Class and register tokens that a network may have; those in use have up to 9."""

_SLACK = 1.0
"""Cells by which rounding may bend a map's proportions; with more, gradients decide."""


@dataclass(frozen=True)
class _Known:
    """A tensor whose layout is known, and the size of its grid."""

    tensor: Tensor
    layout: Layout
    height: int
    width: int

    @property
    def cells(self) -> int:
        return self.height * self.width


def recognise_layouts(
    calls: Sequence[Tapped], picture: Tensor, insides: set[Node], *, connected: bool = True
) -> list[Layout | str]:
    """The layout of each call's output, or the reason why it is no map.

    Args:
        calls: In the order of execution.
        picture: ``[1, 3, H, W]``; requires a gradient.
        insides: The nodes inside attentions.
        connected: Whether the logits' graph reaches the picture. Where it does, a tensor that is
            not connected to the picture does not depend on it.
    """
    latest = _Known(picture, CHANNELS_FIRST, picture.shape[2], picture.shape[3])
    known: dict[Node, _Known] = {node_of(picture): latest}
    refused: dict[Node, Tensor] = {}
    verdicts: list[Layout | str] = []
    for call in calls:
        output, node = call.output, node_of(call.output)
        base = nearest(output, known)
        if base is None and not connected:
            base = latest
        verdict = _reason_before_looking(output, base, picture)
        if not verdict and node in insides:
            verdict = "holds queries, keys, values or weights of an attention, not a map"
        if verdict or base is None:
            verdicts.append(verdict)
            continue
        layout = None
        if not _continues(nearest(output, {**known, **refused}), output):
            layout = _recognise(output, base, picture)
        if layout is None:
            refused[node] = output
            verdicts.append(_reason_after_looking(output))
            continue
        verdicts.append(layout)
        height, width = layout.to_maps(output).shape[2:]
        if height * width > 1:
            latest = known[node] = _Known(output, layout, height, width)
    return verdicts


def _reason_before_looking(tensor: Tensor, base: _Known | None, picture: Tensor) -> str:
    shape = list(tensor.shape)
    if len(shape) not in (3, 4):
        return f"gives a tensor of shape {shape}, not channels with a height and a width"
    if base is None:
        return "does not depend on the picture"
    if shape[0] != len(picture):
        return f"gives a tensor of shape {shape}, whose first axis does not count the pictures"
    return ""


def _reason_after_looking(tensor: Tensor) -> str:
    shape = list(tensor.shape)
    if len(shape) == 3:
        return f"gives a tensor of shape {shape}, not tokens of a grid that is known"
    return f"gives a tensor of shape {shape}, no two axes of which are a map's height and width"


def _continues(before: object, tensor: Tensor) -> bool:
    """Whether the tensor before was no map, and this one has as many rows, columns or tokens.

    Windows side by side are measured once, not at each of the layers that work on them.
    """
    if not isinstance(before, Tensor) or before.dim() != tensor.dim():
        return False
    if tensor.dim() == 3:
        return before.shape[1] == tensor.shape[1] != tensor.shape[2]
    return sum(one != other for one, other in zip(before.shape, tensor.shape, strict=True)) <= 1


def _recognise(tensor: Tensor, base: _Known, picture: Tensor) -> Layout | None:
    if tensor.dim() == 3:
        return _recognise_tokens(tensor, base)
    return _recognise_maps(tensor, base, (picture.shape[2], picture.shape[3]))


def _recognise_maps(tensor: Tensor, base: _Known, size: tuple[int, int]) -> Layout | None:
    grids = {
        layout: (int(maps.shape[2]), int(maps.shape[3]))
        for layout in (CHANNELS_FIRST, CHANNELS_LAST)
        for maps in [layout.to_maps(tensor)]
    }
    bends = {layout: _bend(grid, size) for layout, grid in grids.items()}
    likely, other = sorted(grids, key=lambda layout: bends[layout])  # stable: channels first
    grown = grids[likely][0] * grids[likely][1] > base.cells
    if bends[likely] <= _SLACK < bends[other] - bends[likely] and not grown:
        return likely
    moves = {layout: _moves_along(tensor, layout, base) for layout in (likely, other)}
    if True in moves.values():
        return likely if moves[likely] else other
    fits = bends[likely] <= _SLACK or moves[likely] is None
    return likely if fits and not grown else None


def _bend(grid: tuple[int, int], size: tuple[int, int]) -> float:
    """By how many cells a grid misses the proportions of the picture."""
    return abs(grid[0] * size[1] - grid[1] * size[0]) / max(size)


def _moves_along(tensor: Tensor, layout: Layout, base: _Known) -> bool | None:
    """Whether rows follow each other downwards in the base, and columns to the right.

    Returns:
        ``None`` where that cannot be measured.
    """
    maps = layout.to_maps(tensor)
    for axis, size in enumerate(maps.shape[2:]):
        if size == 1:
            continue
        noise = _noise_like(maps.select(2 + axis, 0))  # the same at both ends, or they would differ
        ends = []
        for index in (0, size - 1):
            weights = torch.zeros_like(maps)
            weights.select(2 + axis, index).copy_(noise)
            weights = layout.from_maps(weights, like=tensor)
            ends.append(_centre(_dependence(tensor, weights, base)))
        if ends[0] is None or ends[1] is None:
            return None
        along = ends[1][axis] - ends[0][axis]
        across = abs(ends[1][1 - axis] - ends[0][1 - axis])
        if along < 0.05 or along < 2 * across:
            return False
    return True


def _recognise_tokens(tensor: Tensor, base: _Known) -> Layout | None:
    count, channels = tensor.shape[1:]
    is_tokens = base.layout.kind == "tokens"
    if is_tokens and count == base.tensor.shape[1] and count != channels:
        return base.layout
    possible = sorted(_possible_grids(count, base), key=lambda layout: layout.skipped)
    if not _is_measurable(tensor, base):
        return possible[0] if possible else None
    for layout in possible:
        if _looks_at_its_cells(tensor, layout, base):
            return layout
    return None


def _possible_grids(count: int, base: _Known) -> set[Layout]:
    """The base's grid, and coarser ones, where that leaves few tokens over."""
    grids = {
        (round_to_cells(base.height / stride), round_to_cells(base.width / stride))
        for stride in range(1, min(base.height, base.width) + 1)
        for round_to_cells in (math.floor, math.ceil)
    }
    return {
        Layout("tokens", count - height * width, height, width)
        for height, width in grids
        if 0 <= count - height * width <= _MOST_SKIPPED and height * width > 1
    }


def _looks_at_its_cells(tensor: Tensor, layout: Layout, base: _Known) -> bool:
    """Whether some tokens each depend on the cell of the base that they should.

    Where an attention has mixed the cells meanwhile their centres need only follow each other.
    """
    height, width = layout.height, layout.width
    corners = {0, width - 1, (height - 1) * width, height * width - 1}
    for cell in sorted(corners | {height * width // 2}):
        centre = _centre(_dependence(tensor, _one_token(tensor, layout.skipped + cell), base))
        row, column = divmod(cell, width)
        if centre is None or not (
            abs(centre[0] * height - row - 0.5) <= 0.5
            and abs(centre[1] * width - column - 0.5) <= 0.5
        ):
            return not layout.skipped and bool(_moves_along(tensor, layout, base))
    return True


def _one_token(tensor: Tensor, token: int) -> Tensor:
    weights = torch.zeros_like(tensor)
    weights[:, token] = _noise_like(weights[:, token])
    return weights


def _is_measurable(tensor: Tensor, base: _Known) -> bool:
    return not tensor.is_meta and nearest(tensor, {node_of(base.tensor): base}) is not None


def _noise_like(tensor: Tensor) -> Tensor:
    """Weights to sum channels with: a plain sum is constant after a layer normalisation."""
    return torch.randn(tensor.shape, generator=torch.Generator().manual_seed(0)).to(tensor)


def _dependence(tensor: Tensor, weights: Tensor, base: _Known) -> Tensor | None:
    """How much a tensor's weighted sum depends on each cell of the base: ``[h, w]``."""
    if not _is_measurable(tensor, base):
        return None
    (gradient,) = torch.autograd.grad(
        tensor, base.tensor, weights, retain_graph=True, allow_unused=True
    )
    return None if gradient is None else base.layout.to_maps(gradient)[0].abs().sum(dim=0)


def _centre(map_: Tensor | None) -> tuple[float, float] | None:
    """The centre of mass as shares of height and width; ``None`` for no mass."""
    if map_ is None or not bool(map_.any()):
        return None
    shares = map_.double() / map_.double().sum()
    rows = (torch.arange(len(shares), device=shares.device) + 0.5) / shares.shape[0]
    columns = (torch.arange(shares.shape[1], device=shares.device) + 0.5) / shares.shape[1]
    return float((shares.sum(dim=1) * rows).sum()), float((shares.sum(dim=0) * columns).sum())
