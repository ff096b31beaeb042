"""Deletion, insertion, average drop and increase, held against arithmetic."""

import math

import pytest
import torch
from torch import Tensor

from evaluation.masking import (
    average_drop,
    blur,
    deletion_curve,
    highlight,
    increase,
    insertion_curve,
)
from evaluation.ranking import ranks

WEIGHTS = torch.tensor([[0.1, 0.2], [0.3, 0.4]], dtype=torch.float64)
CLASSES = torch.tensor([0])
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def adding(pictures: Tensor, _classes: Tensor) -> Tensor:
    """A network that weighs the first channel's pixels."""
    return (pictures[:, 0] * WEIGHTS).sum(dim=(1, 2))


def places(importance: Tensor) -> Tensor:
    return ranks(importance[None], torch.Generator().manual_seed(0))


def test_deletion_takes_the_pixels_of_the_map_away() -> None:
    pictures = torch.ones((1, 3, 2, 2), dtype=torch.float64)
    best = deletion_curve(pictures, places(WEIGHTS), adding, CLASSES, SHARES)
    worst = deletion_curve(pictures, places(-WEIGHTS), adding, CLASSES, SHARES)
    assert best[0].tolist() == pytest.approx([1.0, 0.6, 0.3, 0.1, 0.0])
    assert worst[0].tolist() == pytest.approx([1.0, 0.9, 0.7, 0.4, 0.0])


def test_insertion_begins_with_the_blurred_picture_and_ends_with_the_picture() -> None:
    pictures = torch.rand((1, 3, 2, 2), generator=torch.Generator().manual_seed(0)).double()
    blurred, values = blur(pictures)[0, 0], pictures[0, 0]
    curve = insertion_curve(pictures, places(WEIGHTS), adding, CLASSES, SHARES)[0].tolist()
    by_hand = [float((WEIGHTS * blurred).sum())]
    for row, column in ((1, 1), (1, 0), (0, 1), (0, 0)):
        weight = float(WEIGHTS[row, column])
        by_hand.append(by_hand[-1] + weight * float(values[row, column] - blurred[row, column]))
    assert curve == pytest.approx(by_hand)
    assert by_hand[-1] == pytest.approx(float((WEIGHTS * values).sum()))


def test_a_blur_is_a_bell_whose_width_is_a_tenth_of_the_side() -> None:
    pictures = torch.zeros((1, 1, 61, 81), dtype=torch.float64)
    pictures[0, 0, 30, 40] = 1
    found = blur(pictures)[0, 0]
    deviation = 6.1
    # of a point: the product of two bells, each over the sum of its 37 values
    bell = [math.exp(-0.5 * (x / deviation) ** 2) for x in range(-18, 19)]
    for down, across in ((0, 0), (3, 0), (-7, 11), (18, -18)):
        expected = bell[18 + down] * bell[18 + across] / sum(bell) ** 2
        assert float(found[30 + down, 40 + across]) == pytest.approx(expected, rel=1e-6)
    assert float(found.sum()) == pytest.approx(1)


def test_a_blur_leaves_a_flat_picture_as_it_is() -> None:
    flat = torch.full((2, 3, 9, 5), 0.7)
    assert torch.allclose(blur(flat), flat)


def test_a_highlight_is_the_product_of_picture_and_map() -> None:
    pictures = torch.tensor([[[[2.0, -4.0]], [[1.0, 3.0]], [[0.0, 8.0]]]])
    found = highlight(pictures, torch.tensor([[[0.5, 0.25]]]))
    assert found.tolist() == [[[[1.0, -1.0]], [[0.5, 0.75]], [[0.0, 2.0]]]]


def test_drop_and_increase_by_hand() -> None:
    before = torch.tensor([0.8, 0.5, 0.4], dtype=torch.float64)
    after = torch.tensor([0.2, 0.6, 0.4], dtype=torch.float64)
    assert average_drop(before, after).tolist() == pytest.approx([0.75, 0.0, 0.0])
    assert increase(before, after).tolist() == [0.0, 1.0, 0.0]
