"""ROAD's imputation, held against scipy's sparse solver and pytorch-grad-cam's; its curves."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve
from torch import Tensor

from evaluation.ranking import ranks
from evaluation.road import combined, impute, road_curves

WEIGHTS = {
    (down, across): 1 / 6 if 0 in (down, across) else 1 / 12
    for down in (-1, 0, 1)
    for across in (-1, 0, 1)
    if (down, across) != (0, 0)
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def solved(plane: npt.NDArray[np.float64], removed: npt.NDArray[np.bool_]) -> Tensor:
    """One channel by scipy: a row for each removed pixel, written down pixel by pixel."""
    height, width = plane.shape
    numbers = {place: number for number, place in enumerate(zip(*removed.nonzero(), strict=True))}
    matrix = lil_matrix((len(numbers), len(numbers)))
    right = np.zeros(len(numbers))
    for (row, column), number in numbers.items():
        for (down, across), weight in WEIGHTS.items():
            beside = (row + down, column + across)
            if not (0 <= beside[0] < height and 0 <= beside[1] < width):
                continue
            matrix[number, number] += weight
            if beside in numbers:
                matrix[number, numbers[beside]] -= weight
            else:
                right[number] += weight * plane[beside]
    filled = plane.copy()
    filled[removed] = spsolve(matrix.tocsc(), right)
    return torch.from_numpy(filled)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_imputation_solves_the_papers_system(share: float) -> None:
    pictures = torch.randn((3, 2, 17, 23), generator=seeded(1), dtype=torch.float64)
    removed = torch.rand((3, 17, 23), generator=seeded(2)) < share
    removed[:, 4, 5] = False
    removed[2, :, :9] = True  # a large piece, up to the border
    found = impute(pictures, removed, noise=0.0, generator=seeded(), tolerance=1e-12)
    for picture, mask, filled in zip(pictures, removed, found, strict=True):
        for plane, values in zip(picture, filled, strict=True):
            expected = solved(plane.numpy(), mask.numpy())
            torch.testing.assert_close(values, expected, rtol=0, atol=1e-9)


def test_single_precision_errs_less_than_the_noise() -> None:
    pictures = torch.randn((2, 3, 48, 48), generator=seeded(1))
    smooth = torch.rand((2, 1, 6, 6), generator=seeded(2))
    importance = torch.nn.functional.interpolate(smooth, (48, 48), mode="bilinear")[:, 0]
    removed = importance > importance.flatten(1).quantile(0.2, dim=1)[:, None, None]
    found = impute(pictures, removed, noise=0.0, generator=seeded())
    for picture, mask, filled in zip(pictures, removed, found, strict=True):
        for plane, values in zip(picture, filled, strict=True):
            expected = solved(plane.double().numpy(), mask.numpy())
            assert float((values.double() - expected).abs().max()) < 1e-3


def test_one_pixel_becomes_the_weighted_mean_of_its_neighbours() -> None:
    picture = torch.tensor([[6.0, 12.0, 6.0], [12.0, 99.0, 24.0], [6.0, 12.0, 18.0]])[None, None]
    removed = torch.zeros((1, 3, 3), dtype=torch.bool)
    removed[0, 1, 1] = True
    found = impute(picture, removed, noise=0.0, generator=seeded())
    # (12 + 12 + 24 + 12) / 6 + (6 + 6 + 6 + 18) / 12
    assert float(found[0, 0, 1, 1]) == pytest.approx(13.0)


def test_noise_falls_on_imputed_pixels_only() -> None:
    flat = torch.full((1, 3, 40, 40), 2.0)
    removed = torch.zeros((1, 40, 40), dtype=torch.bool)
    removed[:, 10:30, 10:30] = True
    difference = impute(flat, removed, noise=0.01, generator=seeded()) - 2
    inside = difference[:, :, 10:30, 10:30]
    assert 0.009 < float(inside.std()) < 0.011
    assert abs(float(inside.mean())) < 0.001
    assert float((difference.abs().sum() - inside.abs().sum()).abs()) == pytest.approx(0, abs=1e-4)


def test_nothing_cannot_be_imputed_from() -> None:
    removed = torch.ones((1, 4, 4), dtype=torch.bool)
    with pytest.raises(ValueError, match="without a single pixel"):
        impute(torch.zeros((1, 3, 4, 4)), removed, noise=0.0, generator=seeded())


def test_pytorch_grad_cams_imputation_agrees() -> None:
    picture = torch.randn((3, 20, 26), generator=seeded(4))
    removed = torch.rand((20, 26), generator=seeded(5)) < 0.6
    theirs = NoisyLinearImputer(noise=0.0)(picture, (~removed).float())
    found = impute(picture[None], removed[None], noise=0.0, generator=seeded())
    torch.testing.assert_close(found[0], theirs.to(found.dtype), rtol=0, atol=1e-3)


def test_curves_of_a_network_that_looks_at_one_half() -> None:
    """The left half is 1, the right 0; the network says the mean of the left half."""
    pictures = torch.zeros((1, 3, 8, 10), dtype=torch.float64)
    pictures[..., :5] = 1
    importance = torch.zeros((1, 8, 10))
    importance[..., :5] = 1
    importance[..., 4] = 0.5  # last of the left half, so that the boundary moves

    def probability(shown: Tensor, _classes: Tensor) -> Tensor:
        return shown[:, 0, :, :5].mean(dim=(1, 2))

    places = ranks(importance, seeded())
    most, least = road_curves(
        pictures, places, probability, torch.tensor([0]), seeded(), shares=(0.4, 0.5)
    )
    # without its left columns the half is filled from column 4, which is 1; without all of it,
    # from the right half; the right half is not looked at
    assert most[0].tolist() == pytest.approx([1.0, 0.0], abs=0.02)
    assert least[0].tolist() == pytest.approx([1.0, 1.0], abs=0.02)
    assert float(combined(most, least)[0]) == pytest.approx(0.25, abs=0.01)


def test_combined_by_hand() -> None:
    most = torch.tensor([[0.5, 0.1], [0.3, 0.3]], dtype=torch.float64)
    least = torch.tensor([[0.9, 0.7], [0.3, 0.1]], dtype=torch.float64)
    assert combined(most, least).tolist() == pytest.approx([0.25, -0.05])
