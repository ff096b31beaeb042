"""Shares of mass, boxes and mosaics, held against counting."""

import pytest
import torch

from evaluation.pointing import box_cover, mass_share, mosaics
from gradcam.geometry import Box, plan_view
from gradcam.settings import Preprocessing


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_mass_by_hand() -> None:
    """As in Quantus' tests of relevance mass accuracy: all, half, none of it inside."""
    maps = torch.tensor([[[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]], [[0, 0], [2, 2]]])
    inside = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    assert mass_share(maps, inside).tolist() == [1.0, 0.5, 0.0]


def test_negative_mass_does_not_count() -> None:
    maps = torch.tensor([[[3.0, -100.0], [1.0, -7.0]]])
    assert mass_share(maps, torch.tensor([[1.0, 1.0], [0.0, 0.0]])).tolist() == [0.75]


def test_a_map_of_nothing_points_nowhere() -> None:
    maps = torch.zeros((1, 2, 2))
    assert mass_share(maps, torch.ones((2, 2))).tolist() == [0.0]


def test_half_a_pixel_holds_half_its_mass() -> None:
    maps = torch.tensor([[[4.0, 4.0]]])
    assert mass_share(maps, torch.tensor([[0.5, 0.0]])).tolist() == [0.25]


def test_a_box_on_a_squashed_picture() -> None:
    """A picture of 100×50 squashed to 10×10: a pixel is 10 wide and 5 high."""
    view = plan_view(Box(0, 0, 100, 50), Preprocessing(crop_size=(10, 10), squash=True))
    cover = box_cover([Box(20, 10, 35, 5)], view)
    expected = torch.zeros((10, 10))
    expected[2, 2:5] = 1
    expected[2, 5] = 0.5
    assert torch.allclose(cover, expected)


def test_boxes_do_not_count_twice_and_end_at_the_frame() -> None:
    view = plan_view(Box(0, 0, 20, 10), Preprocessing(resize=10, crop_size=(10, 10)))
    # the centre crop shows columns 5 to 15
    cover = box_cover([Box(0, 0, 8, 10), Box(6, 0, 4, 4)], view)
    assert float(cover.sum()) == 3 * 10 + 2 * 4


def tiles(classes: list[int], height: int = 6, width: int = 6) -> torch.Tensor:
    """Pictures of one value each: its own number."""
    numbers = torch.arange(len(classes), dtype=torch.float32)
    return numbers.view(-1, 1, 1, 1).expand(-1, 3, height, width).clone()


def test_a_large_mosaic_puts_each_picture_into_its_cell() -> None:
    classes = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    found = mosaics(
        tiles(classes), classes, torch.linspace(1, 0.5, 10), 2, 5, seeded(), scaled=False
    )
    assert found.pictures.shape == (5, 3, 12, 12)
    for picture, shown in zip(found.pictures, found.classes, strict=True):
        assert len(set(shown)) == 4
        for number, index in enumerate(shown):
            cell = found.cell(number).bool()
            assert int(cell.sum()) == 36
            (value,) = set(picture[:, cell].flatten().tolist())
            assert classes[int(value)] == index


def test_every_class_is_used_as_often_and_the_confident_first() -> None:
    classes = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    confidence = torch.tensor([0.6, 0.9, 0.9, 0.6, 0.6, 0.9, 0.9, 0.6, 0.6, 0.9])
    found = mosaics(tiles(classes), classes, confidence, 2, 5, seeded(), scaled=False)
    uses = [index for shown in found.classes for index in shown]
    assert sorted(uses) == sorted([0, 1, 2, 3, 4] * 4)
    first = {int(value) for value in found.pictures[0].flatten().tolist()}
    assert first <= {1, 2, 5, 6, 9}


@pytest.mark.parametrize("side", [2, 3])
def test_a_scaled_mosaic_is_as_large_as_one_input(side: int) -> None:
    classes = list(range(9))
    found = mosaics(tiles(classes, 7, 11), classes, torch.ones(9), side, 3, seeded(), scaled=True)
    assert found.pictures.shape == (3, 3, 7, 11)
    covered = torch.zeros((7, 11))
    for number in range(side * side):
        cell = found.cell(number).bool()
        covered += cell
        for picture, shown in zip(found.pictures, found.classes, strict=True):
            assert torch.allclose(picture[:, cell], torch.tensor(float(shown[number])))
    assert bool((covered == 1).all())


def test_too_few_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="takes 4 classes; there are 3"):
        mosaics(tiles([0, 1, 2]), [0, 1, 2], torch.ones(3), 2, 1, seeded(), scaled=False)
