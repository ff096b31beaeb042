"""Measures by gradients which part of an earlier tensor the cells of a later one depend on."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from gradcam.survey.graph import nearest, node_of
from gradcam.survey.layout import Layout


@dataclass(frozen=True)
class Known:
    """A tensor whose layout is known.

    Attributes:
        tensor: With one row.
        layout: How it holds its cells.
        height: Of its grid.
        width: Likewise.
    """

    tensor: Tensor
    layout: Layout
    height: int
    width: int

    @property
    def cells(self) -> int:
        """How many cells the grid has."""
        return self.height * self.width


def is_measurable(tensor: Tensor, base: Known) -> bool:
    """Whether there are values, and a graph that leads from the tensor to the base."""
    return not tensor.is_meta and nearest(tensor, {node_of(base.tensor): base}) is not None


def moves_along(tensor: Tensor, layout: Layout, base: Known) -> bool | None:
    """Whether rows look at places in the base that follow each other downwards.

    The first two and the last two are asked, and must not look more to one side than the others;
    columns likewise. A layout's wrong axes fail: channels look nowhere in particular, a row of
    tokens or windows moves down and to the right at once, and rows in another order jump.

    Returns:
        ``None`` where that cannot be measured.
    """
    maps = layout.to_maps(tensor)
    for axis, size in enumerate(maps.shape[2:]):
        if size == 1:
            continue
        noise = _noise_like(maps.select(2 + axis, 0))  # the same for all, or they would differ
        centres = []
        for index in sorted({0, 1, size - 2, size - 1}):
            weights = torch.zeros_like(maps)
            weights.select(2 + axis, index).copy_(noise)
            weights = layout.from_maps(weights, like=tensor)
            centre = _centre(_dependence(tensor, weights, base))
            if centre is None:
                return None
            centres.append(centre)
        along = centres[-1][axis] - centres[0][axis]
        across = abs(centres[-1][1 - axis] - centres[0][1 - axis])
        jumps = any(after[axis] < before[axis] - 0.1 for before, after in pairwise(centres))
        if along < 0.05 or along < 2 * across or jumps:
            return False
    return True


def looks_at_its_cells(tensor: Tensor, layout: Layout, base: Known) -> bool:
    """Whether some tokens each depend on the cell of the base that they should.

    On the same grid that is the cell that matters most to it, as a residual has it. On a coarser
    one the centre of what matters lies in its cell; or, where attention has mixed all of them
    meanwhile and no tokens are skipped, the centres at least follow each other.
    """
    height, width = layout.height, layout.width
    corners = {0, width - 1, (height - 1) * width, height * width - 1}
    for cell in sorted(corners | {height * width // 2}):
        seen = _dependence(tensor, _one_token(tensor, layout.skipped + cell), base)
        if (height, width) == (base.height, base.width):
            is_there = seen is not None and bool(seen.any()) and int(seen.argmax()) == cell
        else:
            is_there = _is_centred(seen, divmod(cell, width), (height, width))
        if not is_there:
            return not layout.skipped and bool(moves_along(tensor, layout, base))
    return True


def is_shuffled(tensor: Tensor, layout: Layout, base: Known) -> bool:
    """Whether some token depends on one cell of the base only, and on another than its own."""
    for cell in {1, layout.width, base.cells // 2 + 1} & set(range(base.cells)):
        seen = _dependence(tensor, _one_token(tensor, layout.skipped + cell), base)
        if seen is not None and seen.count_nonzero() == 1 and int(seen.argmax()) != cell:
            return True
    return False


def _is_centred(seen: Tensor | None, cell: tuple[int, int], size: tuple[int, int]) -> bool:
    centre = _centre(seen)
    return centre is not None and all(
        abs(share * count - place - 0.5) <= 0.5
        for share, count, place in zip(centre, size, cell, strict=True)
    )


def _one_token(tensor: Tensor, token: int) -> Tensor:
    weights = torch.zeros_like(tensor)
    weights[:, token] = _noise_like(weights[:, token])
    return weights


def _noise_like(tensor: Tensor) -> Tensor:
    """Weights to sum channels with: a plain sum is constant after a layer normalisation."""
    return torch.randn(tensor.shape, generator=torch.Generator().manual_seed(0)).to(tensor)


def _dependence(tensor: Tensor, weights: Tensor, base: Known) -> Tensor | None:
    """How much a tensor's weighted sum depends on each cell of the base: ``[h, w]``."""
    if not is_measurable(tensor, base):
        return None
    (gradient,) = torch.autograd.grad(
        tensor, base.tensor, weights, retain_graph=True, allow_unused=True
    )
    return None if gradient is None else base.layout.to_maps(gradient)[0].abs().sum(dim=0)


def _centre(seen: Tensor | None) -> tuple[float, float] | None:
    """The centre of mass as shares of height and width; ``None`` for no mass."""
    if seen is None or not bool(seen.any()):
        return None
    shares = seen.double() / seen.double().sum()
    rows = (torch.arange(len(shares), device=shares.device) + 0.5) / shares.shape[0]
    columns = (torch.arange(shares.shape[1], device=shares.device) + 0.5) / shares.shape[1]
    return float((shares.sum(dim=1) * rows).sum()), float((shares.sum(dim=0) * columns).sum())
