"""Methods that weight whole channels, by hand and against the papers' formulas in float64."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import paper_formulas
from gradcam.methods.weighted import cam, gradcam, gradcam_plus_plus, xgradcam
from hand_networks import Classifier, frozen, pictures, two_stages

Method = Callable[[Tensor, Tensor], Tensor]
Array = paper_formulas.Array
FORMULAS: dict[Method, Callable[[Array, Array], Array]] = {
    gradcam: paper_formulas.gradcam,
    gradcam_plus_plus: paper_formulas.gradcam_plus_plus,
    xgradcam: paper_formulas.xgradcam,
}


def drawn(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_gradcam_is_the_channels_weighted_with_their_mean_gradients() -> None:
    activations = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, 2.0]]]])
    # means of the gradients: 2 for the first channel, -1 for the second
    gradients = torch.tensor([[[[8.0, 0.0], [0.0, 0.0]], [[-1.0, -1.0], [-3.0, 1.0]]]])

    found = gradcam(activations, gradients)

    assert found.tolist() == [[[2.0, 4.0 - 1.0], [6.0, 8.0 - 2.0]]]


def test_gradcam_keeps_the_evidence_against_the_class() -> None:
    assert gradcam(torch.ones(1, 1, 2, 2), -torch.ones(1, 1, 2, 2)).tolist() == [[[-1, -1]] * 2]


def test_gradcam_plus_plus_by_hand() -> None:
    activations = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]]])
    # first channel, S = 2: α is 1/(2 + 1·2) = 1/4 and 1/(2 + 4·2) = 1/10, so w = 1/4 + 4/10 = 0.65
    # second channel, S = 1: only the positive gradient counts, α = 1/(2 + 2·1), so w = 2/4
    gradients = torch.tensor([[[[1.0, 0.0], [0.0, 4.0]], [[-7.0, 2.0], [0.0, 0.0]]]])

    found = gradcam_plus_plus(activations, gradients)

    torch.testing.assert_close(found, torch.tensor([[[0.65, 0.5], [0.65, 0.0]]]))


def test_xgradcam_by_hand() -> None:
    activations = torch.tensor([[[[1.0, 3.0], [0.0, 0.0]], [[0.0, 0.0], [2.0, 2.0]]]])
    # weighted means: (1·8 + 3·4)/4 = 5; (2·1 - 2·3)/4 = -1
    gradients = torch.tensor([[[[8.0, 4.0], [99.0, 99.0]], [[99.0, 99.0], [1.0, -3.0]]]])

    assert xgradcam(activations, gradients).tolist() == [[[5.0, 15.0], [-2.0, -2.0]]]


def test_cam_by_hand() -> None:
    activations = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]])
    # mean pooling over four cells spreads the linear layer's weights 8 and -4 evenly
    gradients = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 2, 2)

    assert cam(activations, gradients).tolist() == [[[-12.0, -8.0], [-4.0, 0.0]]]


@pytest.mark.parametrize("method", FORMULAS)
@pytest.mark.parametrize("seed", range(3))
def test_the_papers_formula_on_a_layer_after_a_relu(method: Method, seed: int) -> None:
    activations, gradients = drawn((4, 6, 5, 7), seed).relu(), drawn((4, 6, 5, 7), seed + 100)
    activations[:, 0] = 0  # a silent channel
    gradients[0, 1] = 0

    found = method(activations, gradients)

    for row in range(4):
        expected = FORMULAS[method](activations[row].numpy(), gradients[row].numpy())
        np.testing.assert_allclose(found[row].numpy(), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("scale", [1e-3, 1e-12, 1e-30])
def test_gradcam_plus_plus_has_no_epsilon_that_small_gradients_drown_in(scale: float) -> None:
    """In float32: the square of 1e-30 is zero there, and the formula with powers is 0/0."""
    activations, gradients = drawn((1, 3, 4, 4)).relu(), scale * drawn((1, 3, 4, 4), 1)

    found = gradcam_plus_plus(activations.float(), gradients.float())

    expected = paper_formulas.gradcam_plus_plus(activations[0].numpy(), gradients[0].numpy())
    np.testing.assert_allclose(found[0].double().numpy() / scale, expected / scale, rtol=1e-5)


def test_gradcam_plus_plus_is_the_papers_on_signed_layers_until_alpha_would_pass_one() -> None:
    cell = torch.tensor([[[[-1.0, 0.0], [0.0, 0.0]]]])

    def alpha(gradient: float) -> float:
        gradients = torch.tensor([[[[gradient, 0.0], [0.0, 0.0]]]])
        return -float(gradcam_plus_plus(cell, gradients)[0, 0, 0]) / gradient

    assert alpha(0.5) == pytest.approx(1 / 1.5)
    assert alpha(1.0) == pytest.approx(1)
    assert alpha(1.999) == pytest.approx(1), "the formula says 1000"
    assert alpha(2.0) == pytest.approx(1), "the formula divides by zero"
    assert alpha(5.0) == pytest.approx(1), "the formula says -1/3: a positive gradient against"


@pytest.mark.parametrize("seed", range(3))
def test_xgradcam_is_the_papers_on_signed_layers_that_do_not_cancel(seed: int) -> None:
    activations, gradients = drawn((1, 6, 5, 7), seed), drawn((1, 6, 5, 7), seed + 100)
    activations += 0.05 * activations.sum(dim=(2, 3), keepdim=True).sign()

    found = xgradcam(activations, gradients)

    expected = paper_formulas.xgradcam(activations[0].numpy(), gradients[0].numpy())
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("total", [3.9e-3, -3.9e-3, 1e-12, 0.0])
def test_xgradcam_takes_the_mean_gradient_where_activations_cancel(total: float) -> None:
    """A thousandth of the magnitudes is 4e-3; the formula would say up to ±infinity."""
    activations = torch.tensor([[[[-2.0, 2.0 + total]]]], dtype=torch.float64)
    gradients = torch.tensor([[[[1.0, 3.0]]]], dtype=torch.float64)

    torch.testing.assert_close(xgradcam(activations, gradients), 2.0 * activations[:, 0])


def test_xgradcam_is_the_papers_until_then() -> None:
    activations = torch.tensor([[[[-2.0, 2.0 + 4.1e-3]]]], dtype=torch.float64)
    gradients = torch.tensor([[[[1.0, 3.0]]]], dtype=torch.float64)

    weight = (-2 + 3 * (2 + 4.1e-3)) / 4.1e-3
    torch.testing.assert_close(xgradcam(activations, gradients), weight * activations[:, 0])


def test_behind_mean_pooling_and_a_linear_layer_all_three_are_cam() -> None:
    """Every gradient of a channel is ``w_k/(H·W)``; CAM is defined by ``w_k`` itself."""
    network = frozen(Classifier(two_stages())).double()
    kept = network.get_submodule("body")(pictures(2, 14).double()).requires_grad_()
    logits = network.get_submodule("fc")(kept.flatten(2).mean(dim=2))
    (gradients,) = torch.autograd.grad(logits[0, 3] + logits[1, 1], kept)
    activations, cells = kept.detach(), kept.shape[2] * kept.shape[3]

    found = cam(activations, gradients)

    linear = network.get_submodule("fc")
    assert isinstance(linear, nn.Linear)
    for row, index in ((0, 3), (1, 1)):
        expected = paper_formulas.cam(activations[row].numpy(), linear.weight[index].numpy())
        np.testing.assert_allclose(found[row].numpy(), expected, rtol=1e-12, atol=1e-14)
        bias = float(logits[row, index].detach() - found[row].mean())
        assert bias == pytest.approx(float(linear.bias[index]))
    torch.testing.assert_close(found, cells * gradcam(activations, gradients))
    torch.testing.assert_close(found, cells * xgradcam(activations, gradients))
