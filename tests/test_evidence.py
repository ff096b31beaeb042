"""The numbers of a map, against arithmetic on maps set by hand."""

import math

import pytest
import torch
from torch import Tensor

from gradcam.answer.evidence import Evidence, weigh
from gradcam.geometry import Region

PICTURE = Region(0, 0, 400, 300)


def of(values: list[list[float]], region: Region = PICTURE, threshold: float = 0.15) -> Evidence:
    return weigh(torch.tensor(values), region, PICTURE, threshold)


HAND = [[0.0, 2.0, -1.0, 0.0], [0.0, 6.0, -3.0, 0.0], [0.0, 0.0, 0.0, -4.0]]


def test_a_map_set_by_hand() -> None:
    evidence = of(HAND)
    assert evidence.maximum == 6
    assert evidence.positive_share == pytest.approx(8 / 16)
    assert evidence.peak == (150, 150)  # the centre of the second cell of the second row
    # p = 1/4 and 3/4: exp(H) = 4^(1/4) · (4/3)^(3/4)
    assert evidence.spread == pytest.approx(4**0.25 * (4 / 3) ** 0.75 / 12)
    assert evidence.low_evidence is None
    # on the second row the map reaches 0.15 · 6 at 0.85 of the way from a zero to the 6, the first
    # row reaches the upper edge, and below it falls to zero within a cell
    assert evidence.box is not None
    box = (evidence.box.left, evidence.box.top, evidence.box.width, evidence.box.height)
    assert box == pytest.approx((65, 0, 170, 235))
    assert evidence.threshold == 0.15


def test_the_threshold_is_of_the_maximum() -> None:
    half, all_of_it = (of(HAND, threshold=threshold).box for threshold in (0.5, 1.0))
    assert half is not None
    # the map reaches 3 a quarter of the way from the 2 to the 6, and half way from the zeros
    box = (half.left, half.top, half.width, half.height)
    assert box == pytest.approx((100, 75, 100, 125))
    assert all_of_it == Region(150, 150, 0, 0)


def test_the_peak_and_the_box_are_where_the_region_is() -> None:
    evidence = of([[0.0, 0.0], [1.0, 0.0]], Region(-20, 10, 40, 80))
    assert evidence.peak == (-10.0, 70.0)  # beyond the edge, where the model pads
    assert evidence.box is not None
    assert evidence.box.left == 0
    assert evidence.box.width == pytest.approx(7)
    outside = of([[1.0, 0.0]], Region(-100, 0, 60, 300))
    assert (outside.peak, outside.box) == ((-85, 150), None)


def test_of_equal_peaks_the_first() -> None:
    assert of([[0.0, 5.0], [5.0, 5.0]]).peak == (300, 75)


@pytest.mark.parametrize(
    ("values", "share"),
    [
        ([[1.0, 2.0]], 1.0),
        ([[-1.0, -2.0]], 0.0),
        ([[0.0, 0.0]], 0.0),
        ([[3.0, -1.0]], 0.75),
        ([[3e38, 3e38, -3e38, -3e38]], 0.5),  # no float32 holds the sum
        ([[1e-45, -1e-45]], 0.5),
    ],
)
def test_the_share_of_positive_evidence(values: list[list[float]], share: float) -> None:
    assert of(values).positive_share == pytest.approx(share)


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ([[5.0, 0.0], [0.0, -7.0]], 1),
        ([[5.0, 5.0], [0.0, -7.0]], 2),
        ([[5.0, 5.0], [5.0, 5.0]], 4),
        ([[1e-45, 1e-45], [0.0, 0.0]], 2),
        ([[0.0, 0.0], [-1.0, 0.0]], 0),
    ],
)
def test_the_spread_counts_the_cells_over_which_evidence_is_even(
    values: list[list[float]], cells: int
) -> None:
    assert of(values).spread == pytest.approx(cells / 4)


def test_the_spread_is_the_entropy_s() -> None:
    values = torch.rand(7, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shares = (values / values.sum()).flatten().tolist()
    entropy = -math.fsum(share * math.log(share) for share in shares)
    assert weigh(values, PICTURE, PICTURE).spread == pytest.approx(math.exp(entropy) / 63)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([[0.0, 0.0]], "nothing_positive"),
        ([[-1.0, 0.0]], "nothing_positive"),
        ([[-2.0, -1.0]], "nothing_positive"),
        ([[3.0, 3.0]], "flat"),
        ([[3.001, 2.999]], "flat"),
        ([[1.0, 0.951]], "flat"),
        ([[1.0, 0.949]], None),
        ([[1e-30, 0.951e-30]], "flat"),
        ([[1e-30, 0.0]], None),  # weak is not flat: how weak, max tells
        ([[1.0, -1.0]], None),
    ],
)
def test_low_evidence_has_its_reason(values: list[list[float]], reason: str | None) -> None:
    evidence = of(values)
    assert evidence.low_evidence == reason
    nothing = reason == "nothing_positive"
    assert ((evidence.peak is None), (evidence.box is None)) == (nothing, nothing)
    assert weigh(torch.tensor(values), PICTURE, PICTURE, silent=True).low_evidence == "saturated"


def test_the_map_itself_is_left_alone() -> None:
    values: Tensor = torch.tensor(HAND, dtype=torch.float64)
    weigh(values, PICTURE, PICTURE)
    assert values.tolist() == HAND
