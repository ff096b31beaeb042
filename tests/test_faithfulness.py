"""Masks and curves that a reader can work out."""

import pytest
import torch

from gradcam.engine.faithfulness import area, cell_masks, curves, shown_through, spread_out, summary


def test_masks_take_the_best_cells_away_and_bring_them_in() -> None:
    values = torch.tensor([[1.0, 4.0], [3.0, -2.0]])

    masks = cell_masks(values, steps=4)

    assert masks.tolist() == [
        [[1, 1], [1, 1]],  # the whole
        [[1, 0], [1, 1]],  # without the best, the best two, the best three
        [[1, 0], [0, 1]],
        [[0, 0], [0, 1]],
        [[0, 0], [0, 0]],  # nothing
        [[0, 1], [0, 0]],  # the best, the best two, the best three
        [[0, 1], [1, 0]],
        [[1, 1], [1, 0]],
    ]


def test_of_equal_cells_the_first_goes_first() -> None:
    masks = cell_masks(torch.zeros(1, 3), steps=3)

    assert masks[1].tolist() == [[0, 1, 1]]
    assert masks[4].tolist() == [[1, 0, 0]]


def test_one_step_leads_from_all_to_nothing() -> None:
    assert cell_masks(torch.ones(1, 2), steps=1).tolist() == [[[1, 1]], [[0, 0]]]


def test_more_steps_than_cells_repeat_a_mask() -> None:
    masks = cell_masks(torch.tensor([[2.0, 1.0]]), steps=4)

    # a quarter and three quarters of two cells are half a cell more or less: rounded to even
    assert masks[:5].sum((1, 2)).tolist() == [2, 2, 1, 0, 0]


def test_curves_share_their_ends() -> None:
    probabilities = torch.tensor([0.9, 0.5, 0.3, 0.1, 0.2, 0.8])  # whole, 2 steps, nothing, 2 steps

    deletion, insertion = curves(probabilities)

    assert deletion.tolist() == pytest.approx([0.9, 0.5, 0.3, 0.1])
    assert insertion.tolist() == pytest.approx([0.1, 0.2, 0.8, 0.9])


def test_the_area_is_that_of_trapezia() -> None:
    # torch-cam's own example: 1, 0.3, 0 over halves is (1.3 / 2 + 0.3 / 2) / 2
    assert area(torch.tensor([1.0, 0.3, 0.0])) == pytest.approx(0.4)
    assert area(torch.tensor([0.0, 0.7, 1.0])) == pytest.approx(0.6)
    assert area(torch.tensor([0.25, 0.25])) == pytest.approx(0.25)


def test_a_picture_shows_through_its_map() -> None:
    picture = torch.full((3, 4, 4), 2.0)
    values = torch.tensor([[-5.0, -5.0], [8.0, 8.0]])

    shown = shown_through(picture, values)

    # two cells, 0 and 1, at 1 and 3 of 4 pixels: between them linear, beyond them constant
    assert shown[0, :, 0].tolist() == [0, 2 * 0.25, 2 * 0.75, 2]
    assert shown_through(picture, -values.abs()).eq(0).all()


def test_a_cell_is_a_block_of_pixels() -> None:
    blocks = spread_out(torch.tensor([[[0.0, 1.0]]]), (2, 4))

    assert blocks.tolist() == [[[[0, 0, 1, 1], [0, 0, 1, 1]]]]


@pytest.mark.parametrize(
    ("through", "drop", "increase"), [(0.3, 0.5, False), (0.6, 0.0, False), (0.9, 0.0, True)]
)
def test_average_drop_and_increase(through: float, drop: float, increase: bool) -> None:
    score = summary(
        torch.tensor([0.6, 0.4, 0.2, 0.5], dtype=torch.float64), through, "layer", steps=2
    )

    assert score.average_drop == pytest.approx(drop, abs=1e-12)
    assert score.increase is increase
    assert score.deletion == pytest.approx((0.6 + 0.4) / 4 + (0.4 + 0.2) / 4)
    assert score.insertion == pytest.approx((0.2 + 0.5) / 4 + (0.5 + 0.6) / 4)
    assert (score.space, score.steps) == ("layer", 2)


def test_of_a_score_no_share_can_be_lost() -> None:
    score = summary(torch.tensor([2.0, -1.0]), -5.0, "input", of="score", steps=1)

    assert (score.of, score.average_drop, score.increase) == ("score", None, False)
    assert score.deletion == pytest.approx(0.5)


def test_a_class_without_any_probability_drops_by_nothing() -> None:
    score = summary(torch.zeros(2), 0.0, "input", steps=1)

    assert (score.average_drop, score.increase) == (0.0, False)
