"""The registry, and what holds for every method in it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gradcam.methods import DEFAULT_METHOD, METHODS, Needs

COMPUTED = {name: method.compute for name, method in METHODS.items() if method.compute}


def test_the_default_method_is_registered() -> None:
    assert METHODS[DEFAULT_METHOD].needs is Needs.GRADIENTS


def test_the_methods_that_perturb_and_no_others_have_no_function_of_gradients() -> None:
    perturb = {
        name
        for name, method in METHODS.items()
        if method.needs in {Needs.HEAD_PASSES, Needs.INPUT_PASSES}
    }
    assert perturb == METHODS.keys() - COMPUTED.keys() == {"scorecam", "ablationcam"}


@pytest.mark.parametrize("name", COMPUTED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_method_keeps_precision_and_gives_one_map_a_row(
    name: str, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(0)
    activations, gradients = torch.randn((2, 3, 5, 4, 6), generator=generator, dtype=dtype)

    found = COMPUTED[name](activations, gradients)

    assert found.dtype == dtype
    assert found.shape == (3, 4, 6)


@pytest.mark.parametrize("name", COMPUTED)
def test_float32_is_as_good_as_float64(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    activations, gradients = torch.randn((2, 2, 64, 7, 7), generator=generator)

    found = COMPUTED[name](activations.relu(), gradients)

    exact = COMPUTED[name](activations.relu().double(), gradients.double())
    assert (found - exact).abs().max() <= 1e-5 * exact.abs().max()


@pytest.mark.parametrize("name", COMPUTED)
def test_every_method_treats_every_row_by_itself(name: str) -> None:
    generator = torch.Generator().manual_seed(2)
    activations, gradients = torch.randn((2, 4, 5, 4, 6), generator=generator, dtype=torch.float64)
    order = torch.tensor([2, 0, 3, 1])

    together = COMPUTED[name](activations, gradients)

    shuffled = COMPUTED[name](activations[order], gradients[order])
    torch.testing.assert_close(shuffled, together[order])
    for row in range(4):
        alone = COMPUTED[name](activations[row : row + 1], gradients[row : row + 1])
        torch.testing.assert_close(alone[0], together[row])


@pytest.mark.parametrize("name", COMPUTED)
def test_a_row_that_is_not_finite_leaves_its_neighbours_alone(name: str) -> None:
    generator = torch.Generator().manual_seed(4)
    activations, gradients = torch.randn((2, 3, 5, 4, 6), generator=generator, dtype=torch.float64)
    expected = COMPUTED[name](activations, gradients)
    spoilt = activations.clone()
    spoilt[1, 2, 0, 0] = torch.inf

    found = COMPUTED[name](spoilt, gradients)

    assert not found[1].isfinite().all()
    torch.testing.assert_close(found[[0, 2]], expected[[0, 2]])


@pytest.mark.parametrize("name", COMPUTED)
def test_every_method_turns_with_the_picture(name: str) -> None:
    """The mirror image of layer and gradient has the mirror image as its map."""
    generator = torch.Generator().manual_seed(5)
    activations, gradients = torch.randn((2, 2, 5, 4, 6), generator=generator, dtype=torch.float64)

    mirrored = COMPUTED[name](activations.flip(-1), gradients.flip(-1))

    torch.testing.assert_close(mirrored.flip(-1), COMPUTED[name](activations, gradients))


def some_tensor(magnitudes: list[float], seed: int) -> Tensor:
    """``[1, 2, 2, 3]``: each cell one of the magnitudes, with either sign."""
    generator = torch.Generator().manual_seed(seed)
    picked = torch.tensor(magnitudes)[torch.randint(len(magnitudes), (12,), generator=generator)]
    signs = torch.randint(2, (12,), generator=generator) * 2 - 1
    return (picked * signs).view(1, 2, 2, 3)


@given(
    magnitudes=st.lists(
        st.sampled_from([0.0, 1e-44, 1e-38, 1e-20, 1e-7, 1.0, 1e7, 1e15]), min_size=1, max_size=4
    ),
    seeds=st.tuples(st.integers(0, 999), st.integers(0, 999)),
)
@settings(max_examples=60, deadline=None)
def test_finite_numbers_give_finite_maps(magnitudes: list[float], seeds: tuple[int, int]) -> None:
    activations, gradients = (some_tensor(magnitudes, seed) for seed in seeds)

    for name, compute in COMPUTED.items():
        assert compute(activations, gradients).isfinite().all(), name
