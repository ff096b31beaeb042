"""Recognises the layout of every layer's tensor.

Types and names of modules play no part. A shape says enough where exactly one pair of axes has the
picture's proportions, or where there are as many tokens as before. Otherwise gradients decide, with
respect to the nearest earlier tensor whose layout is known: from the first row of a map to the last
one they must move down, and only down; token ``skipped + i`` must look at cell ``i``, and a skipped
token at none. Where nothing can be measured, as on the meta device, the shape must do.
"""

import math
from collections.abc import Sequence

from torch import Tensor
from torch.autograd.graph import Node

from gradcam.survey.graph import nearest, node_of, operations_before
from gradcam.survey.layout import CHANNELS_FIRST, CHANNELS_LAST, Layout
from gradcam.survey.locality import (
    Known,
    is_measurable,
    is_shuffled,
    looks_at_its_cells,
    moves_along,
)
from gradcam.survey.tap import Tapped

_MOST_SKIPPED = 16
"""Class and register tokens that a network may have; those in use have up to 9."""

_SLACK = 1.0
"""Cells by which rounding may bend a map's proportions; with more, gradients decide."""

_MOVING = ("Permute", "Transpose", "Index", "Gather", "Roll", "Flip", "Stack", "Cat")
"""Operations that may put tokens in another order."""


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
    latest = Known(picture, CHANNELS_FIRST, picture.shape[2], picture.shape[3])
    known: dict[Node, Known] = {node_of(picture): latest}
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
        if not _continues(output, known, refused):
            layout = _recognise(output, base, picture, known)
        if layout is None:
            refused[node] = output
            verdicts.append(_reason_after_looking(output))
            continue
        verdicts.append(layout)
        height, width = layout.to_maps(output).shape[2:]
        if height * width > 1:
            latest = known[node] = Known(output, layout, height, width)
    return verdicts


def _reason_before_looking(tensor: Tensor, base: Known | None, picture: Tensor) -> str:
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


def _continues(tensor: Tensor, known: dict[Node, Known], refused: dict[Node, Tensor]) -> bool:
    """Whether all of the tensor comes out of one that is no map and has as many rows and columns.

    Windows side by side are measured once, not at each of the layers that work on them.
    """
    before = nearest(tensor, refused)
    if before is None or before.dim() != tensor.dim():
        return False
    others = sum(one != other for one, other in zip(before.shape, tensor.shape, strict=True))
    return others <= 1 and nearest(tensor, known, stop=refused) is None


def _recognise(
    tensor: Tensor, base: Known, picture: Tensor, known: dict[Node, Known]
) -> Layout | None:
    if tensor.dim() == 3:
        return _recognise_tokens(tensor, base, known)
    return _recognise_maps(tensor, base, (picture.shape[2], picture.shape[3]))


def _recognise_maps(tensor: Tensor, base: Known, size: tuple[int, int]) -> Layout | None:
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
    moves = {layout: moves_along(tensor, layout, base) for layout in (likely, other)}
    if True in moves.values():
        return likely if moves[likely] else other
    fits = bends[likely] <= _SLACK or moves[likely] is None
    return likely if fits and not grown else None


def _bend(grid: tuple[int, int], size: tuple[int, int]) -> float:
    """By how many cells a grid misses the proportions of the picture."""
    return abs(grid[0] * size[1] - grid[1] * size[0]) / max(size)


def _recognise_tokens(tensor: Tensor, base: Known, known: dict[Node, Known]) -> Layout | None:
    count, channels = tensor.shape[1:]
    is_tokens = base.layout.kind == "tokens"
    if is_tokens and count == base.tensor.shape[1] and count != channels:
        may_move = any(name.startswith(_MOVING) for name in operations_before(tensor, known))
        return None if may_move and is_shuffled(tensor, base.layout, base) else base.layout
    possible = sorted(_possible_grids(count, base), key=lambda layout: layout.skipped)
    if not is_measurable(tensor, base):
        return possible[0] if possible else None
    for layout in possible:
        if looks_at_its_cells(tensor, layout, base):
            return layout
    return None


def _possible_grids(count: int, base: Known) -> set[Layout]:
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
