"""The map on the picture, held against torch's interpolation and a formula written out here."""

import io
import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from gradcam.geometry import Region
from gradcam.pictures.render import (
    COLORMAPS,
    PICTURE_TYPES,
    beside,
    colour,
    encode,
    fit,
    grey_map,
    overlay,
    shrink,
    spread,
)

Grid = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

REGION = Region(5.3, 2.75, 20.1, 11.6)  # covers the columns 5 to 24 and the rows 3 to 13


def grid(height: int, width: int, seed: int = 0) -> Grid:
    return np.random.default_rng(seed).random((height, width), np.float32)


def picture(width: int = 32, height: int = 18) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


# --- spreading a map over pixels ---


@pytest.mark.parametrize("cells", [(7, 7), (1, 1), (1, 5), (14, 9), (2, 3)])
@pytest.mark.parametrize("region", [(0, 0, 40, 30), (3, 5, 21, 11), (8, 2, 4, 28), (39, 29, 1, 1)])
def test_a_region_of_whole_pixels_is_interpolated_as_torch_does(
    cells: tuple[int, int], region: tuple[int, int, int, int]
) -> None:
    left, top, width, height = region
    values = grid(*cells)

    found, rows, columns = spread(values, Region(*region), 40, 30)

    assert (rows, columns) == (slice(top, top + height), slice(left, left + width))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], (height, width), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(found, expected[0, 0].numpy(), atol=1e-6)


def along(cells: list[float], position: float) -> float:
    """The value at a position, cells having their centres at 0, 1, 2, …; constant beyond them."""
    position = min(max(position, 0.0), len(cells) - 1.0)
    before = min(math.floor(position), len(cells) - 1)
    after = min(before + 1, len(cells) - 1)
    return cells[before] + (position - before) * (cells[after] - cells[before])


starts, extents = st.floats(-10, 15), st.floats(0.05, 25)


@settings(deadline=None, derandomize=True)
@given(st.builds(Region, starts, starts, extents, extents), st.integers(1, 4), st.integers(1, 4))
def test_any_region_is_interpolated_at_the_centres_of_the_pixels_it_covers(
    region: Region, down: int, across: int
) -> None:
    left, top, width, height = region.left, region.top, region.width, region.height
    for edge in (left, top, left + width, top + height):
        assume(abs((edge - 0.5) - round(edge - 0.5)) > 1e-6)  # not through a pixel's centre
    values = grid(down, across)

    found, rows, columns = spread(values, region, 12, 9)

    covered_rows = [row for row in range(9) if top < row + 0.5 < top + height]
    covered_columns = [column for column in range(12) if left < column + 0.5 < left + width]
    assert list(range(9))[rows] == covered_rows
    assert list(range(12))[columns] == covered_columns
    for i, row in enumerate(covered_rows):
        for j, column in enumerate(covered_columns):
            x = (column + 0.5 - left) / width * across - 0.5
            y = (row + 0.5 - top) / height * down - 0.5
            expected = along([along(line, x) for line in values.tolist()], y)
            assert found[i, j] == pytest.approx(expected, abs=1e-5)


def test_a_pixel_whose_centre_is_on_the_first_edge_is_covered_and_on_the_last_is_not() -> None:
    _, rows, columns = spread(grid(2, 2), Region(0.5, 1.5, 2, 3), 10, 10)

    assert (rows, columns) == (slice(1, 4), slice(0, 2))


# --- the map in grey ---


def test_the_grey_map_is_zero_outside_its_region_and_255_at_most() -> None:
    levels = grey_map(np.full((3, 3), 1.5, np.float32), REGION, 32, 18)

    expected = np.zeros((18, 32), np.uint8)
    expected[3:14, 5:25] = 255
    assert levels.dtype == np.uint8
    assert levels.tolist() == expected.tolist()


def test_the_grey_map_is_rounded_to_the_nearest_level() -> None:
    values = np.array([[0.0, 0.5, 1.0, 0.3]], np.float32)

    assert grey_map(values, Region(0, 0, 4, 1), 4, 1).tolist() == [[0, 128, 255, 76]]


# --- the overlay ---


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_the_overlay_touches_nothing_outside_the_region(colormap: str) -> None:
    before = np.array(picture())
    after = overlay(picture(), grid(3, 4), REGION, colormap, 1.0)

    outside = np.ones((18, 32), bool)
    outside[3:14, 5:25] = False
    assert after.shape == before.shape
    assert after[outside].tolist() == before[outside].tolist()
    assert (after[~outside] != before[~outside]).any(axis=1).mean() > 0.95


def test_a_region_beside_the_picture_leaves_it_alone() -> None:
    after = overlay(picture(), grid(3, 4), Region(-20, 0, 19, 18), "jet", 1.0)

    assert after.tolist() == np.array(picture()).tolist()


def test_alpha_mixes_between_the_picture_and_the_colours() -> None:
    whole = Region(0, 0, 32, 18)
    values = grid(3, 4)
    colours = colour(grey_map(values, whole, 32, 18), "jet")
    below = np.array(picture())

    nothing, quarter, all_of_it = (
        overlay(picture(), values, whole, "jet", alpha) for alpha in (0.0, 0.25, 1.0)
    )

    assert nothing.tolist() == below.tolist()
    assert all_of_it.tolist() == colours.tolist()
    between = (3 * below.astype(int) + colours.astype(int)) / 4
    assert np.abs(quarter - between).max() <= 0.5


def test_the_callers_picture_is_not_painted_on() -> None:
    image = picture()
    overlay(image, grid(3, 4), REGION, "jet", 1.0)

    assert image.tobytes() == picture().tobytes()


# --- colours ---


def ends(colormap: str) -> tuple[list[int], list[int]]:
    low, high = colour(np.array([[0, 255]], np.uint8), colormap)[0].tolist()
    return low, high


def test_the_colours_are_in_the_order_red_green_blue() -> None:
    # jet's ends are half dark blue and half dark red; matplotlib's ends of the others
    assert ends("jet") == ([0, 0, 128], [128, 0, 0])
    assert ends("gray") == ([0, 0, 0], [255, 255, 255])
    for name, low, high in [
        ("viridis", (68, 1, 84), (253, 231, 37)),
        ("inferno", (0, 0, 4), (252, 255, 164)),
        ("magma", (0, 0, 4), (252, 253, 191)),
        ("turbo", (48, 18, 59), (122, 4, 3)),
    ]:
        for found, expected in zip(ends(name), (low, high), strict=True):
            assert np.abs(np.array(found) - expected).max() <= 3, name


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_every_level_has_a_colour_of_its_own_place(colormap: str) -> None:
    levels = np.arange(256, dtype=np.uint8)[None]

    colours = colour(levels, colormap)

    assert colours.shape == (1, 256, 3)
    assert colours.dtype == np.uint8
    assert len(np.unique(colours[0], axis=0)) > 200
    # neighbouring levels look alike
    assert np.abs(np.diff(colours[0].astype(int), axis=0)).max() <= 12


# --- sizes and encodings ---


@pytest.mark.parametrize(
    ("size", "most", "fitted"),
    [
        ((500, 375), 0, (500, 375)),
        ((500, 375), 500, (500, 375)),
        ((500, 375), 250, (250, 188)),
        ((375, 500), 250, (188, 250)),
        ((1, 4000), 100, (1, 100)),
        ((4000, 1), 100, (100, 1)),
        ((3, 3), 1, (1, 1)),
    ],
)
def test_the_longer_side_is_made_to_fit(
    size: tuple[int, int], most: int, fitted: tuple[int, int]
) -> None:
    assert fit(*size, most) == fitted
    assert shrink(np.zeros((*size[::-1], 3), np.uint8), most).shape[1::-1] == fitted


def test_shrinking_averages() -> None:
    pixels = np.array([[[0, 100, 254], [100, 100, 0]], [[20, 0, 0], [80, 0, 6]]], np.uint8)

    assert shrink(pixels, 1)[0, 0].tolist() == [50, 50, 65]


def test_panels_stand_in_a_row_in_order() -> None:
    panels = [np.full((2, 3, 3), value, np.uint8) for value in (10, 20, 30)]

    row = beside(panels)

    assert row.shape == (2, 9, 3)
    assert row[1, :, 2].tolist() == [10] * 3 + [20] * 3 + [30] * 3


def smooth(width: int, height: int) -> Pixels:
    across, down = np.arange(width) * 255 // width, np.arange(height) * 255 // height
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, :, 0], pixels[:, :, 1], pixels[:, :, 2] = across, down[:, None], 30
    return pixels


@pytest.mark.parametrize("picture_type", PICTURE_TYPES)
def test_an_encoded_picture_decodes_to_what_it_was(picture_type: str) -> None:
    for pixels in (smooth(64, 48), smooth(64, 48)[:, :, 0]):
        with Image.open(io.BytesIO(encode(pixels, picture_type))) as image:
            assert image.get_format_mimetype() == PICTURE_TYPES[picture_type]
            decoded = np.array(image.convert("RGB" if pixels.ndim == 3 else "L"))
        assert decoded.shape == pixels.shape
        difference = np.abs(decoded.astype(int) - pixels.astype(int))
        # PNG loses nothing; the others lose a little, but would lose a lot if channels were swapped
        assert difference.max() <= (0 if picture_type == "png" else 16)
        assert difference.mean() < 2.5


@pytest.mark.parametrize(("picture_type", "side"), [("webp", 16384), ("jpeg", 65536)])
def test_a_picture_too_large_for_its_encoding_is_refused(picture_type: str, side: int) -> None:
    for shape in ((1, side), (side, 1, 3)):
        with pytest.raises(ValueError, match=r"WebP pictures have at most 16383|as jpeg"):
            encode(np.zeros(shape, np.uint8), picture_type)
