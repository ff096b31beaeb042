"""The largest region's box, against scipy's labels of a map interpolated very finely."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from gradcam.answer.superlevel import largest_region
from gradcam.geometry import Region

Numbers = npt.NDArray[np.float64]

FINE = 41
"""Samples a cell; odd, so that some lie on the cells' centres."""


def box(heat: object, threshold: float, within: Region | None = None) -> tuple[float, ...] | None:
    """With cells of one pixel."""
    grid = np.asarray(heat, np.float64)
    region = Region(0, 0, float(grid.shape[1]), float(grid.shape[0]))
    found = largest_region(grid, region, within or region, threshold)
    return None if found is None else (found.left, found.top, found.width, found.height)


def scipy_box(heat: Numbers, threshold: float) -> tuple[tuple[float, ...], bool]:
    """The box of the largest label, and whether the fine samples tell which is the largest."""
    height, width = heat.shape
    rows = (np.arange(height * FINE) + 0.5) / FINE - 0.5
    columns = (np.arange(width * FINE) + 0.5) / FINE - 0.5
    places = np.meshgrid(rows, columns, indexing="ij")
    values = ndimage.map_coordinates(heat, places, order=1, mode="nearest")
    labels, _ = ndimage.label(values >= threshold if threshold else values > 0)
    areas = np.bincount(labels.ravel())[1:]
    down, across = ndimage.find_objects(labels)[int(areas.argmax())]
    edges = (across.start, down.start, across.stop - across.start, down.stop - down.start)
    # an area is right to about a line of samples a cell long
    certain = len(areas) == 1 or float(areas.max() - np.sort(areas)[-2]) > 2 * FINE
    return tuple(edge / FINE for edge in edges), certain


def test_it_is_scipy_s_largest_label_to_within_one_fine_sample() -> None:
    random = np.random.default_rng(0)
    compared = 0
    for _ in range(60):
        heat = random.random(tuple(random.integers(1, 15, 2))) ** random.integers(1, 8)
        heat[heat < 0.3 * random.random()] = 0
        heat = heat / heat.max() if heat.any() else heat + 1
        for threshold in (0.0, 0.15, 0.3, 0.5, 0.8):
            expected, certain = scipy_box(heat, threshold)
            if certain:
                assert box(heat, threshold) == pytest.approx(expected, abs=1.01 / FINE)
                compared += 1
    assert compared > 250


def test_one_cell_among_zeros_is_reached_half_way_to_its_neighbours() -> None:
    heat = np.zeros((5, 7))
    heat[2, 3] = 1
    # the map falls from 1 at the centre (3.5, 2.5) to 0 at the next centres, one cell away
    assert box(heat, 0.5) == pytest.approx((3.0, 2.0, 1.0, 1.0))
    assert box(heat, 0.15) == pytest.approx((2.65, 1.65, 1.7, 1.7))
    assert box(heat, 0.0) == (2.5, 1.5, 2.0, 2.0)
    assert box(heat, 1.0) == (3.5, 2.5, 0.0, 0.0)


def test_the_map_stays_constant_from_the_outer_centres_to_its_edges() -> None:
    assert box([[1.0, 0.0]], 0.5) == (0.0, 0.0, 1.0, 1.0)
    assert box([[0.0], [0.0], [1.0]], 0.25) == (0.0, 1.75, 1.0, 1.25)
    assert box([[1.0]], 1.0) == (0.0, 0.0, 1.0, 1.0)


def test_the_larger_of_two_regions_counts_and_not_the_stronger() -> None:
    heat = np.zeros((5, 9))
    heat[1, 1] = 1
    heat[1:4, 5:8] = 0.6
    assert box(heat, 0.3) == pytest.approx((5.0, 1.0, 3.0, 3.0))


def test_of_equal_regions_the_first() -> None:
    assert box([[0.0, 1.0, 0.0, 0.0, 1.0, 0.0]], 0.5) == (1.0, 0.0, 1.0, 1.0)


def test_cells_that_touch_at_a_corner_are_joined_where_the_interpolation_is() -> None:
    """Between them the saddle is at 1/2: f = (1-x)(1-y) + xy."""
    heat = np.zeros((6, 6))
    heat[2, 2] = heat[3, 3] = 1
    assert box(heat, 0.49) == pytest.approx((1.99, 1.99, 2.02, 2.02))
    assert box(heat, 0.51) == pytest.approx((2.01, 2.01, 0.98, 0.98))
    assert box(heat[::-1], 0.49) == pytest.approx((1.99, 1.99, 2.02, 2.02))


def test_regions_that_only_touch_a_zero_are_apart_above_it() -> None:
    assert box([[1.0, 1.0, 0.0, 1.0]], 0.0) == (0.0, 0.0, 2.5, 1.0)


def test_it_ends_at_the_part_that_was_taken_and_areas_are_measured_there() -> None:
    heat = np.zeros((3, 12))
    heat[:, :5] = 1
    heat[:, 8:10] = 1
    assert box(heat, 0.5) == (0.0, 0.0, 5.0, 3.0)
    assert box(heat, 0.5, Region(1, 1, 20, 1)) == (1.0, 1.0, 4.0, 1.0)
    assert box(heat, 0.5, Region(4, 0, 8, 3)) == (8.0, 0.0, 2.0, 3.0)
    assert box(heat, 0.5, Region(8.25, 0.5, 0.5, 0.25)) == (8.25, 0.5, 0.5, 0.25)
    assert box(heat, 0.5, Region(10.5, 0, 1.5, 3)) is None  # nothing there
    assert box(heat, 0.5, Region(12, 0, 5, 3)) is None  # beyond the map
    assert box(heat, 0.5, Region(-5, -5, 5, 20)) is None


def test_the_box_is_in_the_pixels_of_the_region() -> None:
    heat = np.zeros((5, 7))
    heat[2, 3] = 1
    region = Region(100, 1000, 70, 500)
    found = largest_region(heat, region, Region(0, 0, 10_000, 10_000), 0.5)
    assert found == Region(130, 1200, 10, 100)


def test_nothing_reaches_the_threshold() -> None:
    assert box(np.zeros((3, 4)), 0.0) is None
    assert box(np.zeros((3, 4)), 0.15) is None
