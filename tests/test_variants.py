"""Noisy and mirrored copies."""

import torch
from torch import Tensor

from gradcam.engine.variants import mirrored, noisy


def copies_of(picture: Tensor, count: int, noise: float, seed: int, rows: int = 16) -> Tensor:
    return torch.cat(list(noisy(picture, count, noise, seed, rows)))


def test_noise_has_the_share_of_the_range_that_it_should() -> None:
    picture = torch.zeros(3, 64, 64)
    picture[0, 0, 0], picture[1, 1, 1] = -1.0, 3.0

    copies = copies_of(picture, 8, 0.25, seed=1)

    difference = copies - picture
    assert copies.shape == (8, 3, 64, 64)
    assert abs(float(difference.std()) - 0.25 * 4) < 0.01  # of 98,304 draws
    assert abs(float(difference.mean())) < 0.02


def test_a_seed_repeats_the_noise_and_another_does_not() -> None:
    picture = torch.rand(3, 4, 4)

    assert copies_of(picture, 2, 0.1, 5).equal(copies_of(picture, 2, 0.1, 5))
    assert not copies_of(picture, 2, 0.1, 5).equal(copies_of(picture, 2, 0.1, 6))
    # the first of many is the first of few, so that more samples only refine
    assert copies_of(picture, 3, 0.1, 5)[:2].equal(copies_of(picture, 2, 0.1, 5))


def test_no_noise_is_the_picture() -> None:
    picture = torch.rand(3, 4, 4)

    assert copies_of(picture, 2, 0.0, 0).equal(picture.expand(2, -1, -1, -1))


def test_mirroring_twice_is_nothing() -> None:
    row = torch.tensor([[1.0, 2.0, 3.0]])

    assert mirrored(row).tolist() == [[3, 2, 1]]
    assert mirrored(mirrored(row)).equal(row)


def test_how_many_there_are_at_once_changes_nothing() -> None:
    picture = torch.rand(3, 4, 4)

    chunks = list(noisy(picture, 5, 0.1, seed=2, rows=2))

    assert [len(chunk) for chunk in chunks] == [2, 2, 1]
    assert torch.cat(chunks).equal(copies_of(picture, 5, 0.1, seed=2))
