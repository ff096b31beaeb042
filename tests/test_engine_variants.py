"""Flipping, smoothing, and time that runs out in between."""

import pytest
import torch
from torch import Tensor

from engine_asking import BATCH, EXPLAINER, NETWORK, close, maps_of
from gradcam import Ask, Explainer, GradcamError, Outcome
from gradcam.engine import forward, runner
from gradcam.errors import TooLarge
from oracles import full_autograd_map, relative_error


def test_flipping_averages_with_the_mirrored_pictures_map_turned_back() -> None:
    (flipped,) = maps_of(EXPLAINER, BATCH[0], Ask((1,), flip=True))

    own = full_autograd_map(NETWORK, "body", BATCH[0], 1)
    turned = full_autograd_map(NETWORK, "body", BATCH[0].flip(-1), 1).flip(-1)
    assert relative_error(flipped.values, (own + turned) / 2) < 1e-5


def test_smoothing_averages_the_maps_of_noisy_copies_for_the_pictures_own_class() -> None:
    picture = BATCH[1]
    (smoothed,) = maps_of(EXPLAINER, picture, Ask(smooth=3, noise=0.4, seed=7))
    with torch.no_grad():
        best = int(NETWORK(picture[None]).argmax())

    generator = torch.Generator().manual_seed(7)
    deviation = 0.4 * (picture.max() - picture.min())
    drawn = [torch.randn(picture.shape, generator=generator) for _ in range(3)]
    copies = picture + deviation * torch.stack(drawn)
    expected = sum(full_autograd_map(NETWORK, "body", copy, best) for copy in copies) / 3
    assert isinstance(expected, Tensor)
    assert smoothed.index == best
    assert relative_error(smoothed.values, expected) < 1e-5


def test_more_copies_than_rows_take_several_passes_and_change_nothing() -> None:
    ask = Ask((1, 2), smooth=5, flip=True)
    few = Explainer(NETWORK, (12, 12), rows=2)

    for one, other in zip(
        maps_of(few, BATCH[0], ask), maps_of(EXPLAINER, BATCH[0], ask), strict=True
    ):
        close(one.values, other.values)


def test_time_that_is_up_refuses_further_passes_for_their_picture_alone() -> None:
    asks = [Ask((1,)), Ask((1,), smooth=2), Ask((1,), method="scorecam")]

    first, *others = EXPLAINER.run(BATCH, asks, deadline=0.0)

    assert isinstance(first, Outcome)
    for other in others:
        assert isinstance(other, GradcamError)
        assert other.status == 413


class Clock:
    """Time that runs out after so many looks at it."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def monotonic(self) -> float:
        self.looks -= 1
        return 0.0 if self.looks >= 0 else 2.0


@pytest.mark.parametrize("ask", [Ask((0, 1), flip=True), Ask((0, 1), smooth=3)])
@pytest.mark.parametrize("looks", range(8))
def test_time_that_runs_out_anywhere_gives_the_whole_answer_or_none(
    monkeypatch: pytest.MonkeyPatch, ask: Ask, looks: int
) -> None:
    expected = maps_of(EXPLAINER, BATCH[0], ask)
    clock = Clock(looks)
    for module in (forward, runner):
        monkeypatch.setattr(module, "time", clock)

    (outcome,) = EXPLAINER.run(BATCH[:1], [ask], deadline=1.0)

    if isinstance(outcome, TooLarge):
        return
    assert isinstance(outcome, Outcome)
    for found, whole in zip(outcome.maps, expected, strict=True):
        close(found.values, whole.values)
    assert looks > 1  # or no clock was looked at


def test_what_takes_least_is_finished_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asks = [Ask((1,), method="scorecam"), Ask((1,), flip=True), Ask((1,))]
    monkeypatch.setattr(runner, "time", Clock(2))

    scored, flipped, plain = EXPLAINER.run(BATCH, asks, deadline=1.0)

    assert isinstance(plain, Outcome)
    assert isinstance(flipped, Outcome)
    assert isinstance(scored, TooLarge)
