"""The pure parts of Score-CAM and Ablation-CAM, by hand and in float64."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - everybody calls it that

from gradcam.methods.perturbing import ablated, ablationcam, score_masks, scorecam


def drawn(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def upsampled(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, by the definition: pixel centres at halves, edges repeated."""
    result = torch.zeros(size, dtype=torch.float64)
    for i in range(size[0]):
        for j in range(size[1]):
            y = min(max((i + 0.5) * values.shape[0] / size[0] - 0.5, 0), values.shape[0] - 1)
            x = min(max((j + 0.5) * values.shape[1] / size[1] - 0.5, 0), values.shape[1] - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, values.shape[0] - 1), min(left + 1, values.shape[1] - 1)
            for row, height in ((top, 1 - (y - top)), (bottom, y - top)):
                for column, width in ((left, 1 - (x - left)), (right, x - left)):
                    result[i, j] += height * width * values[row, column]
    return result


@pytest.mark.parametrize("size", [(8, 12), (7, 9), (2, 3)])
def test_masks_are_upsampled_and_then_brought_to_0_1(size: tuple[int, int]) -> None:
    activations = drawn((4, 2, 3))

    found = score_masks(activations, size)

    for k in range(4):
        expected = upsampled(activations[k], size)
        expected = (expected - expected.min()) / (expected.max() - expected.min())
        torch.testing.assert_close(found[k], expected)
        assert (float(found[k].min()), float(found[k].max())) == (0, 1)


def test_the_other_order_would_not_reach_one() -> None:
    """A single warm cell in an odd picture: no pixel lies at its centre."""
    activations = torch.zeros(1, 3, 3)
    activations[0, 1, 1] = 5

    assert score_masks(activations, (4, 4)).max() == 1
    other = F.interpolate(activations[None] / 5, (4, 4), mode="bilinear", align_corners=False)
    assert other.max() < 0.8


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e30])
def test_a_flat_channel_selects_nothing(value: float) -> None:
    assert score_masks(torch.full((1, 3, 3), value), (7, 5)).tolist() == [[[0] * 5] * 7]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_masks_are_at_least_float32(dtype: torch.dtype) -> None:
    assert score_masks(drawn((1, 2, 2)).to(dtype), (4, 4)).dtype == torch.float32


def test_scorecam_by_hand() -> None:
    activations = torch.tensor([[[1.0, 0.0]], [[0.0, 4.0]]])
    scores = torch.tensor([math.log(3), 0.0])  # so the weights are 3/4 and 1/4

    found = scorecam(activations, scores, baseline=-7.0)

    torch.testing.assert_close(found, torch.tensor([[0.75, 1.0]]))


@pytest.mark.parametrize("baseline", [0.0, 12.5, -300.0])
def test_scorecam_is_the_papers_formula_and_the_baseline_cancels(baseline: float) -> None:
    activations, scores = drawn((6, 3, 4)), drawn((6,), 1)

    found = scorecam(activations, scores, torch.tensor(baseline))

    exponentials = np.exp(scores.numpy())
    weights = exponentials / exponentials.sum()
    expected = np.einsum("k,kij->ij", weights, activations.numpy())
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-14)


def test_scorecam_bears_logits_whose_exponentials_overflow() -> None:
    found = scorecam(torch.ones(2, 1, 1), torch.tensor([9000.0, -9000.0]))

    assert found.tolist() == [[1.0]]


def test_ablated_copies_lack_one_channel_each() -> None:
    activations = drawn((4, 2, 3)).half()

    found = ablated(activations, torch.tensor([2, 0]))

    assert found.dtype == torch.float16
    for copy, missing in zip(found, (2, 0), strict=True):
        for k in range(4):
            assert copy[k].equal(torch.zeros_like(copy[k]) if k == missing else activations[k])


def test_ablationcam_by_hand() -> None:
    activations = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]], [[5.0, 5.0]]])
    # without the first channel the logit 4 falls to 1, without the second it rises to 6
    found = ablationcam(activations, torch.tensor(4.0), torch.tensor([1.0, 6.0, 4.0]))

    assert found.tolist() == [[0.75, -1.0]]


def test_ablationcam_keeps_the_sense_of_the_evidence_where_the_logit_is_negative() -> None:
    """The class loses by the first channel's absence: -4 becomes -7."""
    activations = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]]])

    found = ablationcam(activations, torch.tensor(-4.0), torch.tensor([-7.0, -2.0]))

    assert found.tolist() == [[0.75, -1.0]]


@pytest.mark.parametrize("logit", [0.0, 1e-40, -1e-40])
def test_a_logit_of_nearly_zero_changes_the_scale_only(logit: float) -> None:
    activations, losses = drawn((5, 3, 3)).float(), drawn((5,), 1).float()

    found = ablationcam(activations, torch.tensor(logit), losses)

    expected = torch.einsum("k,kij->ij", -losses, activations)
    assert found.isfinite().all()
    torch.testing.assert_close(found / found.abs().max(), expected / expected.abs().max())


def test_a_head_that_ignores_the_layer_gives_a_map_of_zeros() -> None:
    assert ablationcam(torch.ones(2, 1, 1), torch.tensor(0.0), torch.zeros(2)).tolist() == [[0.0]]


def test_ablationcam_is_the_papers_formula() -> None:
    activations, losses = drawn((6, 3, 4)), drawn((6,), 1)

    found = ablationcam(activations, torch.tensor(2.5), losses)

    expected = sum((2.5 - float(losses[k])) / 2.5 * activations[k].numpy() for k in range(6))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-14)
