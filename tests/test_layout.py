"""Maps out of tensors of any layout, and back."""

import pytest
import torch

from gradcam.errors import UnusableLayer
from gradcam.survey.layout import CHANNELS_FIRST, CHANNELS_LAST, Layout

TOKENS = Layout("tokens", skipped=2, height=2, width=3)
SHAPES = [(CHANNELS_FIRST, (2, 4, 2, 3)), (CHANNELS_LAST, (2, 2, 3, 4)), (TOKENS, (2, 8, 4))]


def test_a_cell_is_found_where_the_layout_has_it() -> None:
    # one number for each place: hundreds are the channel, tens the row, ones the column
    maps = torch.tensor([[[[100 * c + 10 * i + j for j in range(3)] for i in range(2)]
                          for c in range(4)]])  # fmt: skip
    last = torch.tensor([[[[100 * c + 10 * i + j for c in range(4)] for j in range(3)]
                          for i in range(2)]])  # fmt: skip
    tokens = torch.tensor([[[-1] * 4, [-2] * 4, *([100 * c + 10 * i + j for c in range(4)]
                           for i in range(2) for j in range(3))]])  # fmt: skip

    for layout, tensor in ((CHANNELS_FIRST, maps), (CHANNELS_LAST, last), (TOKENS, tokens)):
        assert layout.to_maps(tensor).equal(maps)
        assert layout.from_maps(maps, like=tensor).equal(tensor)


@pytest.mark.parametrize(("layout", "shape"), SHAPES)
def test_there_and_back_is_the_same(layout: Layout, shape: tuple[int, ...]) -> None:
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(0))

    maps = layout.to_maps(tensor)

    assert maps.shape == (2, 4, 2, 3)
    assert layout.from_maps(maps, like=tensor).equal(tensor)
    assert layout.to_maps(layout.from_maps(3 * maps, like=tensor)).equal(3 * maps)


def test_class_and_register_tokens_are_taken_from_the_other_tensor() -> None:
    like = torch.arange(16.0).view(1, 8, 2)

    back = TOKENS.from_maps(torch.zeros(1, 2, 2, 3), like=like)

    assert back[0].tolist() == [[0, 1], [2, 3], *[[0, 0]] * 6]


def test_a_gradient_passes_through_both() -> None:
    tensor = torch.ones(1, 8, 4, requires_grad=True)

    total = TOKENS.from_maps(TOKENS.to_maps(tensor) * 3, like=tensor).sum()

    (gradient,) = torch.autograd.grad(total, tensor)
    assert gradient[0, :, 0].tolist() == [1, 1, *[3] * 6]


@pytest.mark.parametrize("shape", [(1, 7, 4), (1, 9, 4), (1, 4, 2, 3)])
def test_tokens_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    says = r"shape \[1, .*not 8 tokens \(2 \+ 2×3\)"
    with pytest.raises(UnusableLayer, match=says):
        TOKENS.to_maps(torch.zeros(shape))
    with pytest.raises(UnusableLayer, match=says):
        TOKENS.from_maps(torch.zeros(1, 4, 2, 3), like=torch.zeros(shape))
