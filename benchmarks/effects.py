"""What a choice in serving does to answers: to the maps, and to the best class."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import finding  # noqa: F401 - it finds the engine
import torch
from torch import Tensor

from gradcam import Ask, Explainer, Outcome

BATCH = 8


@dataclass(frozen=True)
class Effect:
    """How answers differ from those that the choice was made over.

    Attributes:
        cosines: Of each picture, between the two maps of one class, signed as they are before the
            ReLU; -1…1.
        same: Of each picture, whether the best class is the same.
    """

    cosines: tuple[float, ...]
    same: tuple[bool, ...]

    def __str__(self) -> str:
        low, middle = min(self.cosines), statistics.median(self.cosines)
        return (
            f"cosine of the map at least {low:.4f} (median {middle:.4f}), "
            f"best class the same for {sum(self.same)} of {len(self.same)}"
        )


def effect(chosen: Explainer, over: Explainer, pictures: Tensor, others: Tensor) -> Effect:
    """Explains pictures both ways.

    Args:
        chosen: The explainer with the choice.
        over: The one without.
        pictures: What the first is given, ``[N, 3, H, W]``.
        others: What the second is given of the same photographs.
    """
    plain = explain(over, others)
    found = explain(chosen, pictures)
    same = [mine.maps[0].index == theirs.maps[0].index for mine, theirs in _both(found, plain)]
    if not all(same):  # maps of two classes are not to be compared
        found = explain(chosen, pictures, [outcome.maps[0].index for outcome in plain])
    maps = [(mine.maps[0].values, theirs.maps[0].values) for mine, theirs in _both(found, plain)]
    return Effect(tuple(cosine(*pair) for pair in maps), tuple(same))


def explain(
    explainer: Explainer, pictures: Tensor, classes: Sequence[int] | None = None
) -> list[Outcome]:
    """Explains pictures in whole batches, each for its best class or for the one given.

    Raises:
        GradcamError: A picture's numbers are not finite.
    """
    count = len(pictures)
    outcomes: list[Outcome] = []
    for start in range(0, count, BATCH):
        # of the size that is measured, and compiled for: the last is filled from the beginning
        rows = [row % count for row in range(start, start + BATCH)]
        asks = [Ask() if classes is None else Ask(targets=(classes[row],)) for row in rows]
        for outcome in explainer.run(pictures[rows], asks):
            if not isinstance(outcome, Outcome):
                raise outcome
            outcomes.append(outcome)
    return outcomes[:count]


def cosine(one: Tensor, other: Tensor) -> float:
    """Of two maps ``[h, w]``; 0 where one is zero everywhere."""
    flat = (one.flatten().double(), other.flatten().double())
    return float(torch.cosine_similarity(*flat, dim=0))


def _both(found: Sequence[Outcome], plain: Sequence[Outcome]) -> list[tuple[Outcome, Outcome]]:
    return list(zip(found, plain, strict=True))
