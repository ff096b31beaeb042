"""Where a map reaches a threshold: the largest region's box, exact, whatever the picture's size.

A map is drawn by bilinear interpolation between the centres of its cells, and stays constant from
the outer centres to its edges. So lines through the centres and along the edges divide it into
patches, on each of which it is bilinear: linear along every line across and every line down. Of the
points in a patch that reach a threshold, therefore,

* each can be walked from, across to a side of the patch and along that to a corner, without falling
  below the threshold: regions are told apart by their corners alone;
* two opposite corners belong together if the saddle point between them reaches it too;
* the leftmost and rightmost lie on lines across, the highest and lowest on lines down, and on those
  the place where the threshold is reached is a division.

Nothing here is sampled but the areas, which only decide which region is the largest.
"""

import cv2
import numpy as np
import numpy.typing as npt

from gradcam.geometry import Region

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]

_LINES = 32
"""Lines across each patch along which its area is measured. From one to the next, what reaches the
threshold grows and falls at most once, so a patch's share is right within 1/32."""


def largest_region(
    heat: Numbers, region: Region, within: Region, threshold: float
) -> Region | None:
    """The tight box around the largest region in which a map reaches a threshold.

    Regions are connected without gaps in the continuous map (of two cells that touch at a corner
    only, the interpolation decides). Of equal areas the first in reading order counts.

    Args:
        heat: ``[h, w]``, 0…1.
        region: What of the picture the map covers.
        within: What lies outside of this does not count.
        threshold: 0…1; 0 takes all that is above it.

    Returns:
        In the pixels of ``region``; ``None`` where nothing reaches the threshold. A single point
        (threshold 1) is a box without width or height.
    """
    height, width = heat.shape
    rows = _lines(height, region.top, region.height, within.top, within.height)
    columns = _lines(width, region.left, region.width, within.left, within.width)
    if not rows.size or not columns.size:
        return None
    nodes = _at(_at(heat, rows, 0), columns, 1)
    if not _reaches(nodes, threshold).any():
        return None
    labels = _label(nodes, threshold)
    areas = _areas(nodes, labels, threshold, np.diff(rows), np.diff(columns))
    here = labels == 1 + int(areas[1:].argmax())
    left, right = _extent(nodes, here, columns, threshold)
    top, bottom = _extent(nodes.T, here.T, rows, threshold)
    across, down = region.width / width, region.height / height
    return Region(
        region.left + left * across,
        region.top + top * down,
        (right - left) * across,
        (bottom - top) * down,
    )


def _reaches(values: Numbers, threshold: float) -> Mask:
    return values >= threshold if threshold > 0 else values > 0


def _lines(cells: int, start: float, extent: float, low: float, room: float) -> Numbers:
    """The lines between patches along one axis, in cells; none if nothing of it is within."""
    first = max(0.0, (low - start) / extent * cells)
    last = min(float(cells), (low + room - start) / extent * cells)
    if first >= last:
        return np.empty(0)
    centres = np.arange(cells) + 0.5
    inner = centres[(centres > first) & (centres < last)]
    return np.concatenate([[first], inner, [last]])


def _at(grid: Numbers, lines: Numbers, axis: int) -> Numbers:
    """The map on lines across one axis, given in cells."""
    cells = grid.shape[axis]
    position = (lines - 0.5).clip(0, cells - 1)
    lower = np.minimum(position.astype(np.intp), max(cells - 2, 0))
    upper = np.minimum(lower + 1, cells - 1)
    fraction = position - lower
    fraction = fraction[:, None] if axis == 0 else fraction[None, :]
    # so written, a node on a centre has that cell's value to the last bit
    return np.asarray(grid.take(lower, axis) * (1 - fraction) + grid.take(upper, axis) * fraction)


def _label(nodes: Numbers, threshold: float) -> Labels:
    """Numbers the nodes by the region that they belong to, from 1; 0 below the threshold."""
    on = _reaches(nodes, threshold)
    rows, columns = nodes.shape
    # nodes at even places; the sides and the saddles between them, where they connect, at odd ones
    places = np.zeros((2 * rows - 1, 2 * columns - 1), np.uint8)
    places[::2, ::2] = on
    places[::2, 1::2] = on[:, :-1] & on[:, 1:]
    places[1::2, ::2] = on[:-1] & on[1:]
    places[1::2, 1::2] = _joined(nodes, on, threshold)
    _, labels = cv2.connectedComponents(places, connectivity=8)
    return np.asarray(labels[::2, ::2], np.int32)


def _joined(nodes: Numbers, on: Mask, threshold: float) -> Mask:
    """Of which patches two opposite corners are on, the others off, and the saddle on too."""
    a, b, c, d = nodes[:-1, :-1], nodes[:-1, 1:], nodes[1:, :-1], nodes[1:, 1:]
    main = on[:-1, :-1] & on[1:, 1:] & ~on[:-1, 1:] & ~on[1:, :-1]
    other = ~on[:-1, :-1] & ~on[1:, 1:] & on[:-1, 1:] & on[1:, :-1]
    crossed = main | other
    bend = np.where(crossed, a + d - b - c, 1.0)
    return crossed & _reaches((a * d - b * c) / bend, threshold)


def _areas(
    nodes: Numbers, labels: Labels, threshold: float, down: Numbers, across: Numbers
) -> Numbers:
    """The area of each region in cells, by its number.

    Along a line across a patch the map is linear: all of it reaches the threshold, or a part from
    the left, or a part from the right, which belongs to the corner that is on at that side.
    """
    depth = ((np.arange(_LINES) + 0.5) / _LINES)[:, None, None]
    left = nodes[:-1, :-1] * (1 - depth) + nodes[1:, :-1] * depth
    right = nodes[:-1, 1:] * (1 - depth) + nodes[1:, 1:] * depth
    on_left, on_right = _reaches(left, threshold), _reaches(right, threshold)
    fall = np.where(on_left != on_right, left - right, 1.0)
    from_left = np.where(on_right, 1.0, (left - threshold) / fall) * on_left
    from_right = (threshold - right) / fall * (on_right & ~on_left)
    patches = down[:, None] * across
    weights = [part.mean(axis=0) * patches for part in (from_left, from_right)]
    owners = [np.maximum(side[:-1], side[1:]) for side in (labels[:, :-1], labels[:, 1:])]
    flat = [np.concatenate([one.ravel() for one in both]) for both in (owners, weights)]
    areas = np.bincount(flat[0], flat[1], minlength=int(labels.max()) + 1)
    return np.asarray(areas, np.float64)


def _extent(nodes: Numbers, here: Mask, lines: Numbers, threshold: float) -> tuple[float, float]:
    """How far a region reaches along the second axis, in cells.

    Args:
        nodes: The map.
        here: Which of them are in the region.
        lines: Where their columns lie.
        threshold: As ever.
    """
    off = ~_reaches(nodes, threshold)
    place = np.broadcast_to(lines, nodes.shape)
    before, after = nodes[:, :-1], nodes[:, 1:]
    enters, leaves = here[:, 1:] & off[:, :-1], here[:, :-1] & off[:, 1:]
    # the share of a side that is on: from its node that is on to where the threshold is reached
    rise = np.where(enters, (after - threshold) / np.where(enters, after - before, 1.0), 0.0)
    drop = np.where(leaves, (before - threshold) / np.where(leaves, before - after, 1.0), 0.0)
    step = np.diff(lines)
    firsts = (place[:, 1:] - step * rise)[enters]
    lasts = (place[:, :-1] + step * drop)[leaves]
    nodes_here = place[here]
    return (
        float(min(nodes_here.min(), firsts.min(initial=np.inf))),
        float(max(nodes_here.max(), lasts.max(initial=-np.inf))),
    )
