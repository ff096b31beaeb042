"""Where a map belongs on the picture: known examples, and round trips."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcam.geometry import Box, Region, View, plan_view
from gradcam.settings import Preprocessing

PRESET = Preprocessing(resize=256, crop_size=(224, 224))


def plan(width: int, height: int, preprocessing: Preprocessing = PRESET) -> View:
    return plan_view(Box(0, 0, width, height), preprocessing)


def rounded(region: Region, digits: int = 1) -> list[float]:
    numbers = (region.left, region.top, region.width, region.height)
    return [round(number, digits) for number in numbers]


lengths = st.integers(1, 5000)
boxes = st.builds(Box, st.integers(0, 3000), st.integers(0, 3000), lengths, lengths)
preprocessings = st.builds(
    Preprocessing,
    resize=st.integers(1, 600),
    crop_size=st.tuples(st.integers(1, 600), st.integers(1, 600)),
    squash=st.booleans(),
)
fractions = st.floats(0, 1)
always = settings(deadline=None, derandomize=True)


# --- known examples ---


def test_the_documented_example() -> None:
    view = plan(500, 375)

    # the shorter side becomes 256, the longer int(256 · 500 / 375) = 341
    assert view.resized == (341, 256)
    # (341 - 224) / 2 = 58.5 rounds to the even 58, (256 - 224) / 2 = 16
    assert view.window == Box(58, 16, 224, 224)
    assert rounded(view.region) == [85.0, 23.4, 328.4, 328.1]
    assert rounded(view.region, 9) == [
        round(number, 9)
        for number in (58 * 500 / 341, 16 * 375 / 256, 224 * 500 / 341, 224 * 375 / 256)
    ]


def test_a_portrait_is_the_documented_example_turned() -> None:
    landscape, portrait = plan(500, 375).region, plan(375, 500).region

    assert portrait == Region(landscape.top, landscape.left, landscape.height, landscape.width)


def test_squashing_shows_the_whole_picture() -> None:
    squashing = Preprocessing(crop_size=(224, 200), squash=True)

    assert plan(500, 375, squashing).region == Region(0, 0, 500, 375)
    assert plan(500, 375, squashing).to_picture(100, 112) == (250, 187.5)
    part = plan_view(Box(30, 40, 77, 91), squashing)
    assert rounded(part.region, 9) == [30, 40, 77, 91]


def test_a_crops_region_is_that_of_the_same_picture_moved() -> None:
    alone, moved = plan(500, 375).region, plan_view(Box(70, 30, 500, 375), PRESET).region

    assert rounded(moved, 9) == rounded(
        Region(alone.left + 70, alone.top + 30, alone.width, alone.height), 9
    )


def test_a_crop_larger_than_the_resized_picture_sticks_out_and_leaves_the_odd_pixel_right() -> None:
    view = plan(100, 100, Preprocessing(resize=100, crop_size=(224, 105)))

    # 5 pixels wider than the picture: 2 on the left and 3 on the right; 124 higher: 62 and 62
    assert view.region == Region(-2, -62, 105, 224)


@pytest.mark.parametrize(
    ("size", "resized"), [((1, 500), (256, 128000)), ((500, 1), (128000, 256))]
)
def test_a_picture_of_one_pixel_across_shows_its_middle(
    size: tuple[int, int], resized: tuple[int, int]
) -> None:
    view = plan(*size)

    assert view.resized == resized
    thin, long = view.region, 224 / 256
    assert rounded(thin, 3) == (
        [0.062, 249.562, long, long] if size[0] == 1 else [249.562, 0.062, long, long]
    )


def test_a_region_scales_with_the_picture() -> None:
    assert Region(10, 20, 30, 40).scaled(0.5, 2) == Region(5, 40, 15, 80)


# --- what always holds ---


@always
@given(boxes, preprocessings, fractions, fractions)
def test_a_point_of_the_input_goes_to_the_picture_and_back(
    part: Box, preprocessing: Preprocessing, across: float, down: float
) -> None:
    view = plan_view(part, preprocessing)
    x, y = across * view.window.width, down * view.window.height

    there = view.to_picture(x, y)
    back = view.to_input(*there)

    assert back == pytest.approx((x, y), abs=1e-6, rel=1e-9)
    region = view.region
    assert there == pytest.approx(
        (region.left + across * region.width, region.top + down * region.height), abs=1e-6
    )


@always
@given(boxes, preprocessings, fractions, fractions)
def test_a_point_of_the_picture_goes_to_the_input_and_back(
    part: Box, preprocessing: Preprocessing, across: float, down: float
) -> None:
    view = plan_view(part, preprocessing)
    x, y = part.left + across * part.width, part.top + down * part.height

    assert view.to_picture(*view.to_input(x, y)) == pytest.approx((x, y), abs=1e-6)


@always
@given(boxes, preprocessings)
def test_the_region_lies_in_the_middle_of_the_part(part: Box, preprocessing: Preprocessing) -> None:
    view = plan_view(part, preprocessing)
    region = view.region
    # the centre crop begins at a whole pixel of the resized part
    slack_across = part.width / view.resized[0] + 1e-6
    slack_down = part.height / view.resized[1] + 1e-6

    assert region.left + region.width / 2 == pytest.approx(
        part.left + part.width / 2, abs=slack_across
    )
    assert region.top + region.height / 2 == pytest.approx(
        part.top + part.height / 2, abs=slack_down
    )
    if view.window.width <= view.resized[0]:
        assert part.left <= region.left + 1e-6
        assert region.left + region.width <= part.left + part.width + 1e-6


@always
@given(boxes, preprocessings.filter(lambda preprocessing: not preprocessing.squash))
def test_the_shorter_side_is_resized_to_the_preset_and_the_proportions_are_kept(
    part: Box, preprocessing: Preprocessing
) -> None:
    width, height = plan_view(part, preprocessing).resized

    assert min(width, height) == preprocessing.resize
    if part.width >= part.height:
        assert width == pytest.approx(preprocessing.resize * part.width / part.height, abs=1)
    else:
        assert height == pytest.approx(preprocessing.resize * part.height / part.width, abs=1)
