"""Several maps as one, by hand."""

import numpy as np
import pytest
import torch
from PIL import Image

from gradcam.engine.fusion import fuse


@pytest.mark.parametrize(
    ("how", "expected"), [("mean", [[0.5, 0.25], [0.0, 0.5]]), ("max", [[1.0, 0.5], [0.0, 1.0]])]
)
def test_every_layer_counts_by_its_own_maximum(how: str, expected: list[list[float]]) -> None:
    maps = [
        torch.tensor([[400.0, 200.0], [-9.0, 0.0]]),
        torch.tensor([[-0.1, 0.0], [0.0, 0.002]]),
    ]

    assert fuse(maps, how).tolist() == expected


def test_the_result_has_the_finest_grid() -> None:
    """Pillow's bilinear resizing is the same arithmetic where it enlarges."""
    coarse = torch.tensor([[1.0, 4.0], [0.0, 2.0]])
    fine = torch.zeros(6, 8)
    resized = Image.fromarray(coarse.numpy() / 4).resize((8, 6), Image.Resampling.BILINEAR)

    found = fuse([coarse, fine], "max")

    np.testing.assert_allclose(found.numpy(), np.asarray(resized), atol=1e-6)
    torch.testing.assert_close(fuse([fine, coarse], "mean"), found / 2)


def test_wide_and_tall_maps_meet_on_a_grid_that_is_both() -> None:
    found = fuse([torch.ones(2, 9), torch.ones(5, 3)], "mean")

    assert found.equal(torch.ones(5, 9))


def test_maps_without_anything_positive_stay_zero() -> None:
    assert fuse([-torch.ones(2, 2), torch.zeros(2, 2)], "max").equal(torch.zeros(2, 2))


def test_tiny_maps_do_not_drown_in_an_epsilon() -> None:
    assert fuse([torch.tensor([[1e-30, 2e-30]])], "mean").tolist() == [[0.5, 1.0]]


def test_nothing_and_unknown_ways_are_refused() -> None:
    with pytest.raises(ValueError, match="0 maps"):
        fuse([], "mean")
    with pytest.raises(ValueError, match="'median'"):
        fuse([torch.zeros(1, 1)], "median")
