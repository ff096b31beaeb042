"""Contenders: the maps of an answer at the input's size, and maps that know nothing."""

import math

import pytest
import torch
from torch.nn import functional

from evaluation.contenders import CHUNK, baselines, explained, why_not
from gradcam import Explainer
from gradcam.networks import freeze
from gradcam.networks.demo_network import DemoNet
from oracles import full_autograd_map, relative_error


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return Explainer(freeze(DemoNet().eval()), (24, 24))


def noise(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn((count, 3, 24, 24), generator=torch.Generator().manual_seed(seed))


def test_maps_are_the_engines_enlarged(explainer: Explainer) -> None:
    pictures = noise(2)
    found = explained(explainer, "gradcam", "layer2").maps(pictures, [[3, 1], [0, 9]])
    assert found.signed.shape == found.shown.shape == (2, 2, 24, 24)
    for row, classes in enumerate(([3, 1], [0, 9])):
        for column, index in enumerate(classes):
            exact = full_autograd_map(explainer.network, "layer2", pictures[row], index)
            large = functional.interpolate(exact[None, None], (24, 24), mode="bilinear")[0, 0]
            assert relative_error(found.signed[row, column], large) < 1e-4
            grey = exact.clamp(min=0) / exact.max()
            large = functional.interpolate(grey[None, None], (24, 24), mode="bilinear")[0, 0]
            assert relative_error(found.shown[row, column], large) < 1e-4


def test_more_pictures_than_a_chunk_come_out_in_order(explainer: Explainer) -> None:
    pictures = noise(CHUNK + 3)
    contender = explained(explainer, "gradcam", "layer3")
    found = contender.maps(pictures, [[index % 10] for index in range(len(pictures))])
    last = contender.maps(pictures[-1:], [[(CHUNK + 2) % 10]])
    assert torch.allclose(found.signed[-1], last.signed[0], rtol=1e-4, atol=1e-7)


def test_a_layer_that_does_not_do_is_explained(explainer: Explainer) -> None:
    assert why_not(explained(explainer, "gradcam", "layer3"), noise(1), 0) == ""
    assert "1×1" in why_not(explained(explainer, "gradcam", "pool"), noise(1), 0)
    assert "does not exist" in why_not(explained(explainer, "nonsense", "layer3"), noise(1), 0)


def test_baselines_are_what_they_are_called() -> None:
    random, gaussian, uniform = baselines((2.0, 2.0), seed=0)
    assert [one.method for one in (random, gaussian, uniform)] == ["random", "gaussian", "uniform"]
    assert all(one.is_baseline for one in (random, gaussian, uniform))
    pictures = torch.zeros((2, 3, 12, 12))
    assert bool((uniform.maps(pictures, [[0], [1]]).shown == 1).all())
    bell = gaussian.maps(pictures, [[0], [1]]).signed[0, 0]
    # 6×6 cells; of the innermost, the middle lies a twelfth of a side from the picture's middle
    assert torch.allclose(bell, bell.flip(0, 1))
    grid = gaussian.make(pictures[:1], [[0]])[0]
    assert grid.shape == (6, 6)
    assert float(grid[2, 2]) == pytest.approx(math.exp(-((1 / 12 / 0.25) ** 2)))
    assert float(grid[0, 3]) == pytest.approx(
        math.exp(-0.5 * ((5 / 12 / 0.25) ** 2 + (1 / 12 / 0.25) ** 2))
    )
    one, other = random.maps(pictures, [[0], [1]]).signed[:, 0]
    assert not torch.equal(one, other)


def test_baselines_have_the_default_layers_cells_on_a_mosaic_too() -> None:
    random, *_ = baselines((4.0, 4.0), seed=0)
    (grid,) = random.make(torch.zeros((1, 3, 48, 24)), [[0]])
    assert grid.shape == (12, 6)
