"""Eigen-CAM and its sibling, against a full singular value decomposition, and their signs."""

import numpy as np
import pytest
import torch
from torch import Tensor

import paper_formulas
from gradcam.methods.principal import eigencam, eigengradcam

SHAPES = [(3, 5, 4), (40, 3, 4), (12, 3, 4), (1, 2, 2), (5, 1, 1)]


def drawn(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_same_up_to_sign(found: Tensor, expected: paper_formulas.Array) -> None:
    sign = np.sign((found.numpy() * expected).sum())
    np.testing.assert_allclose(found.numpy(), sign * expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("signed", [False, True])
def test_eigencam_is_the_projection_on_the_first_right_singular_vector(
    shape: tuple[int, int, int], signed: bool
) -> None:
    activations = drawn((3, *shape), 0)
    activations = activations if signed else activations.relu() + 0.01

    found = eigencam(activations, activations)

    for row in range(3):
        expected = paper_formulas.first_component(activations[row].numpy())
        assert_same_up_to_sign(found[row], expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_eigengradcam_is_the_same_of_gradient_times_activation(
    shape: tuple[int, int, int],
) -> None:
    activations, gradients = drawn((2, *shape), 1).relu() + 0.01, drawn((2, *shape), 2)

    found = eigengradcam(activations, gradients)

    for row in range(2):
        expected = paper_formulas.first_component((gradients[row] * activations[row]).numpy())
        assert_same_up_to_sign(found[row], expected)


def test_eigencam_by_hand() -> None:
    # the cells' rows are (3, 4), (0, 0) and twice that: V_1 is (3, 4)/5
    activations = torch.tensor([[[[3.0, 0.0, 6.0]], [[4.0, 0.0, 8.0]]]])

    torch.testing.assert_close(
        eigencam(activations, activations), torch.tensor([[[5.0, 0.0, 10.0]]])
    )


@pytest.mark.parametrize("seed", range(8))
def test_eigencam_of_a_layer_after_a_relu_is_nowhere_negative(seed: int) -> None:
    activations = drawn((1, 20, 4, 4), seed).relu()

    assert eigencam(activations, activations).min() >= -1e-12


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("sign", [1, -1])
def test_eigencam_of_a_signed_layer_is_positive_where_activations_are_strong(
    seed: int, sign: int
) -> None:
    activations = 0.1 * drawn((1, 20, 6, 6), seed)
    activations[:, :, 2:4, 2:4] += sign * drawn((1, 20, 1, 1), seed + 50)  # the object

    found = eigencam(activations, activations)[0]

    assert found[2:4, 2:4].min() > 0
    assert found[2:4, 2:4].mean() > 5 * found.abs().mean() / 4


@pytest.mark.parametrize("seed", range(8))
def test_eigengradcam_is_positive_for_the_class_and_negative_against_it(seed: int) -> None:
    activations = drawn((1, 20, 6, 6), seed).relu() * 0.05
    activations[:, :, 2:4, 2:4] += 1
    gradients = drawn((1, 20, 1, 1), seed + 50).abs().expand(1, 20, 6, 6)

    assert eigengradcam(activations, gradients)[0, 2:4, 2:4].min() > 0
    torch.testing.assert_close(
        eigengradcam(activations, -gradients), -eigengradcam(activations, gradients)
    )


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e30])
def test_squares_that_float32_cannot_hold_do_no_harm(scale: float) -> None:
    activations = drawn((1, 6, 4, 4), 3).relu().float()

    found = eigencam(activations * scale, activations)

    torch.testing.assert_close(found / scale, eigencam(activations, activations))


def test_a_silent_layer_has_a_map_of_zeros() -> None:
    assert eigencam(torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)).tolist() == [[[0, 0]] * 2]
