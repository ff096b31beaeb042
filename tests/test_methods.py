import pytest
import torch

from gradcam.methods import DEFAULT_METHOD, METHODS, gradcam


def test_gradcam_is_the_channels_weighted_with_their_mean_gradients() -> None:
    activations = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, 2.0]]]])
    # means of the gradients: 2 for the first channel, -1 for the second
    gradients = torch.tensor([[[[8.0, 0.0], [0.0, 0.0]], [[-1.0, -1.0], [-3.0, 1.0]]]])

    found = gradcam(activations, gradients)

    assert found.tolist() == [[[2.0, 4.0 - 1.0], [6.0, 8.0 - 2.0]]]


def test_gradcam_keeps_the_evidence_against_the_class() -> None:
    assert gradcam(torch.ones(1, 1, 2, 2), -torch.ones(1, 1, 2, 2)).tolist() == [[[-1, -1]] * 2]


def test_gradcam_treats_every_row_by_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    activations, gradients = torch.randn((2, 3, 5, 4, 6), generator=generator).double()

    together = gradcam(activations, gradients)

    assert together.shape == (3, 4, 6)
    for row in range(3):
        weights = gradients[row].flatten(1).sum(1) / 24
        torch.testing.assert_close(together[row], torch.einsum("k,khw", weights, activations[row]))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_method_keeps_precision_and_gives_one_map_a_row(
    name: str, dtype: torch.dtype
) -> None:
    tensor = torch.ones((3, 5, 4, 6), dtype=dtype)

    found = METHODS[name](tensor, tensor)

    assert found.dtype == dtype
    assert found.shape == (3, 4, 6)


def test_the_default_method_is_registered() -> None:
    assert DEFAULT_METHOD in METHODS
