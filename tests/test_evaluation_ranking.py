"""Orders of pixels and curves, held against arithmetic and torch-free sorting."""

import numpy as np
import pytest
import torch

from evaluation.ranking import area, first, ranks, replacement_curve


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_most_important_pixel_comes_first() -> None:
    importance = torch.tensor([[[0.1, 0.9], [-1.0, 0.5]], [[4.0, 3.0], [2.0, 1.0]]])
    expected = [[[2, 0], [3, 1]], [[0, 1], [2, 3]]]
    assert ranks(importance, seeded()).tolist() == expected


def test_ranks_are_numpys_for_values_that_differ() -> None:
    importance = torch.rand((3, 8, 9), generator=seeded(1), dtype=torch.float64)
    for row, places in zip(importance, ranks(importance, seeded()), strict=True):
        order = np.argsort(-row.numpy().ravel())
        assert places.flatten()[order].tolist() == list(range(72))


def test_equals_are_placed_by_lot_and_by_the_seed() -> None:
    flat = torch.ones((2, 16, 16))
    places = ranks(flat, seeded())
    assert torch.equal(places.flatten(1).sort(dim=1).values, torch.arange(256).expand(2, -1))
    assert torch.equal(places, ranks(flat, seeded()))
    assert not torch.equal(places[0], places[1])
    # by lot, the upper half of the picture holds about half of the first half
    assert 44 < int(first(places, 0.5)[0, :8].sum()) < 84


def test_ties_keep_their_distance_from_what_is_greater_and_less() -> None:
    importance = torch.tensor([[[0.0, 1.0, 0.0, 2.0, 0.0]]])
    (((a, b, c, d, e),),) = ranks(importance, seeded(3)).tolist()
    assert (d, b) == (0, 1)
    assert {a, c, e} == {2, 3, 4}


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.3, 3), (0.55, 6), (1.0, 10)])
def test_a_share_is_rounded_to_whole_pixels(share: float, count: int) -> None:
    places = torch.arange(10).view(1, 2, 5)
    assert first(places, share).flatten().tolist() == [True] * count + [False] * (10 - count)


def test_a_curve_of_a_network_that_adds_its_pixels_is_arithmetic() -> None:
    """Four pixels weigh .1, .2, .3 and .4; each one replaced by 0 takes its weight away."""
    weights = torch.tensor([[0.1, 0.2], [0.3, 0.4]], dtype=torch.float64)

    def probability(pictures: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        assert classes.tolist() == [7]
        return (pictures[:, 0] * weights).sum(dim=(1, 2))

    pictures = torch.ones((1, 3, 2, 2), dtype=torch.float64)
    places = ranks(weights[None], seeded())
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    classes = torch.tensor([7])
    curve = replacement_curve(
        pictures, torch.zeros_like(pictures), places, shares, probability, classes
    )
    assert curve[0].tolist() == pytest.approx([1.0, 0.6, 0.3, 0.1, 0.0])
    # trapezoids of width 1/4: (.8 + .45 + .2 + .05) / 4
    assert float(area(curve, shares)[0]) == pytest.approx(0.375)


def test_an_area_is_a_mean_height_whatever_the_points() -> None:
    curve = torch.tensor([[1.0, 0.3, 0.0], [0.5, 0.5, 0.5]], dtype=torch.float64)
    # (.65 · .2 + .15 · .6) / .8
    assert area(curve, (0.1, 0.3, 0.9)).tolist() == pytest.approx([0.275, 0.5])
