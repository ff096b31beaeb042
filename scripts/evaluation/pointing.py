"""Measures of where a map's mass lies: in a box, or in one cell of a mosaic."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from gradcam.geometry import Box, View


def mass_share(maps: Tensor, inside: Tensor) -> Tensor:
    """The share of a map's positive mass that lies inside: ``Σ_inside L⁺ / Σ L⁺``.

    Over a box this is the energy-based pointing game of Wang et al., "Score-CAM: Score-Weighted
    Visual Explanations for Convolutional Neural Networks", CVPR Workshops 2020, section 4.3 (also
    called mass accuracy); over a mosaic's cell it is the localisation metric of the grid pointing
    game (see :func:`mosaics`). A map without positive mass points nowhere, which counts as 0.

    Args:
        maps: ``[N, H, W]``.
        inside: ``[N, H, W]`` or ``[H, W]``, 0…1: how much of each pixel is inside.

    Returns:
        ``[N]``, 0…1; higher is better, and the box's share of the picture is chance.
    """
    positive = maps.clamp(min=0)
    total = positive.sum(dim=(1, 2))
    found = (positive * inside).sum(dim=(1, 2))
    return torch.where(total > 0, found / total.clamp(min=torch.finfo(maps.dtype).tiny), 0.0)


def box_cover(boxes: Sequence[Box], view: View) -> Tensor:
    """How much of each input pixel lies in one of the boxes.

    Args:
        boxes: In pixels of the upright picture.
        view: How the picture became the input.

    Returns:
        ``[H, W]``, 0…1.
    """
    cover = torch.zeros(view.window.height, view.window.width)
    for box in boxes:
        left, top = view.to_input(box.left, box.top)
        right, bottom = view.to_input(box.left + box.width, box.top + box.height)
        rows = _overlap(top, bottom, view.window.height)
        columns = _overlap(left, right, view.window.width)
        cover = torch.maximum(cover, rows[:, None] * columns[None, :])
    return cover


def _overlap(low: float, high: float, length: int) -> Tensor:
    """How much of each of the intervals 0…1, 1…2, … lies between two points."""
    edges = torch.arange(length + 1, dtype=torch.float64).clamp(low, high)
    return edges.diff().float()


@dataclass(frozen=True)
class Mosaics:
    """Grids of n×n pictures of different classes.

    Attributes:
        pictures: ``[M, 3, h, w]``, as the network takes them.
        classes: ``[M][n·n]``: what each cell shows, row by row.
        side: n.
        scaled: Whether the pictures were scaled down to make the mosaic as large as one input.
    """

    pictures: Tensor
    classes: tuple[tuple[int, ...], ...]
    side: int
    scaled: bool

    def cell(self, number: int) -> Tensor:
        """``[h, w]``, 1 in that cell and 0 elsewhere."""
        height, width = self.pictures.shape[2:]
        row, column = divmod(number, self.side)
        down, across = _edges(height, self.side), _edges(width, self.side)
        inside = torch.zeros(height, width)
        inside[down[row] : down[row + 1], across[column] : across[column + 1]] = 1
        return inside


def mosaics(
    pictures: Tensor,
    classes: Sequence[int],
    confidence: Tensor,
    side: int,
    count: int,
    generator: torch.Generator,
    *,
    scaled: bool,
) -> Mosaics:
    """Puts confidently classified pictures of different classes into grids.

    Böhle, Fritz & Schiele, "Convolutional Dynamic Alignment Networks for Interpretable
    Classifications", CVPR 2021, section 4.2: every cell's class is explained in turn, and the
    measure is the share of the map's positive mass in the right cell; 1/n² is chance.

    Every class's pictures are used in the order of their confidence, the most confident first; a
    mosaic takes the classes with the fewest uses so far, by lot among equals.

    Args:
        pictures: ``[N, 3, H, W]``, normalised, all classified correctly.
        classes: Of each.
        confidence: ``[N]``, the class's probability.
        side: n; there must be n² classes.
        count: How many mosaics.
        generator: For the lot.
        scaled: Scale every picture by 1/n, so that the mosaic has the size of one input; else the
            mosaic is n times as wide and high, for networks that take any size.

    Raises:
        ValueError: There are fewer than n² classes.
    """
    queues: dict[int, list[int]] = {}
    for number in confidence.argsort(descending=True).tolist():
        queues.setdefault(classes[number], []).append(number)
    cells = side * side
    if len(queues) < cells:
        raise ValueError(f"a {side}×{side} mosaic takes {cells} classes; there are {len(queues)}")
    uses = dict.fromkeys(sorted(queues), 0)
    made, shown = [], []
    for _ in range(count):
        lot = torch.rand(len(uses), generator=generator).tolist()
        drawn = sorted(zip(uses, lot, strict=True), key=lambda one: (uses[one[0]], one[1]))[:cells]
        chosen = [index for index, _ in sorted(drawn, key=lambda one: one[1])]
        tiles = [pictures[queues[index][uses[index] % len(queues[index])]] for index in chosen]
        made.append(_put_together(tiles, side, scaled=scaled))
        shown.append(tuple(chosen))
        for index in chosen:
            uses[index] += 1
    return Mosaics(torch.stack(made), tuple(shown), side, scaled)


def _put_together(tiles: Sequence[Tensor], side: int, *, scaled: bool) -> Tensor:
    height, width = tiles[0].shape[1:]
    if not scaled:
        height, width = side * height, side * width
    down, across = _edges(height, side), _edges(width, side)
    rows = []
    for row in range(side):
        cells = []
        for column in range(side):
            size = (down[row + 1] - down[row], across[column + 1] - across[column])
            tile = tiles[row * side + column][None]
            fits = tile.shape[2:] == size
            cells.append(
                tile
                if fits
                else functional.interpolate(tile, size, mode="bilinear", antialias=True)
            )
        rows.append(torch.cat(cells, dim=3))
    return torch.cat(rows, dim=2)[0]


def _edges(length: int, parts: int) -> list[int]:
    return [number * length // parts for number in range(parts + 1)]
