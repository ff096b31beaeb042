"""Methods that weight every cell by itself, by hand and against the formulas in float64."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import paper_formulas
from gradcam.methods.elementwise import gradcam_elementwise, hirescam, layercam
from hand_networks import Classifier, frozen, pictures, two_stages

Method = Callable[[Tensor, Tensor], Tensor]
Array = paper_formulas.Array
FORMULAS: dict[Method, Callable[[Array, Array], Array]] = {
    hirescam: paper_formulas.hirescam,
    gradcam_elementwise: paper_formulas.gradcam_elementwise,
    layercam: paper_formulas.layercam,
}

ACTIVATIONS = torch.tensor([[[[1.0, 2.0], [3.0, -4.0]], [[0.0, 1.0], [2.0, -2.0]]]])
GRADIENTS = torch.tensor([[[[1.0, -1.0], [2.0, 1.0]], [[5.0, 3.0], [-1.0, -1.0]]]])


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (hirescam, [[1.0, -2.0 + 3.0], [6.0 - 2.0, -4.0 + 2.0]]),
        (gradcam_elementwise, [[1.0, 3.0], [6.0, 2.0]]),
        (layercam, [[1.0, 3.0], [6.0, -4.0]]),
    ],
)
def test_by_hand(method: Method, expected: list[list[float]]) -> None:
    assert method(ACTIVATIONS, GRADIENTS).tolist() == [expected]


@pytest.mark.parametrize("method", FORMULAS)
def test_the_formula_on_signed_layers(method: Method) -> None:
    generator = torch.Generator().manual_seed(3)
    activations, gradients = torch.randn((2, 4, 6, 5, 7), generator=generator, dtype=torch.float64)

    found = method(activations, gradients)

    for row in range(4):
        expected = FORMULAS[method](activations[row].numpy(), gradients[row].numpy())
        np.testing.assert_allclose(found[row].numpy(), expected, rtol=1e-12, atol=1e-13)


def test_behind_mean_pooling_hirescam_and_the_bias_add_up_to_the_logit() -> None:
    network = frozen(Classifier(two_stages())).double()
    kept = network.get_submodule("body")(pictures(3, 14).double()).requires_grad_()
    logits = network.get_submodule("fc")(kept.flatten(2).mean(dim=2))
    (gradients,) = torch.autograd.grad(logits[:, 2].sum(), kept)

    sums = hirescam(kept.detach(), gradients).sum(dim=(1, 2))

    bias = network.get_parameter("fc.bias")[2]
    torch.testing.assert_close(sums + bias, logits[:, 2].detach())
