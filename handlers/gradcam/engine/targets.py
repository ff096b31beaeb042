"""What to explain: targets, and the classes that they mean for one picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Top:
    """The ``count`` classes with the greatest logits, whichever they are."""

    count: int


@dataclass(frozen=True)
class Difference:
    """Why ``index`` rather than ``versus``: the difference of two classes' logits.

    Raises:
        ValueError: Both are the same class.
    """

    index: int
    versus: int

    def __post_init__(self) -> None:
        if self.index == self.versus:
            raise ValueError(f"class {self.index} does not differ from itself")


Target = int | Top | Difference
"""A class index, the best few of the picture's own, or one class against another."""


@dataclass(frozen=True)
class Goal:
    """What one map explains: the logit of ``index``, less that of ``versus`` where there is one."""

    index: int
    versus: int | None = None


def greatest(logits: Tensor, count: int) -> list[int]:
    """The class indices of the greatest logits, best first, of equals the lower index.

    Args:
        logits: ``[C]``.
        count: Cut at the number of classes.
    """
    order: list[int] = torch.sort(logits, descending=True, stable=True).indices.tolist()
    return order[:count]


def resolve_targets(targets: Sequence[Target], logits: Tensor) -> tuple[Goal, ...]:
    """Turns targets into goals for one picture, in order, duplicates once.

    Args:
        targets: Class indices, :class:`Top` and :class:`Difference`.
        logits: ``[C]``, of that picture.

    Raises:
        ValueError: There is no such class.
    """
    goals: dict[Goal, None] = {}
    for target in targets:
        if isinstance(target, Top):
            goals.update(dict.fromkeys(map(Goal, greatest(logits, target.count))))
            continue
        goal = Goal(target) if isinstance(target, int) else Goal(target.index, target.versus)
        for index in (goal.index, goal.versus):
            if index is not None and not 0 <= index < logits.numel():
                raise ValueError(f"there is no class {index}; there are {logits.numel()}")
        goals[goal] = None
    return tuple(goals)


def objectives(goals: Sequence[Goal], classes: int) -> Tensor:
    """The goals as rows of coefficients: ``objectives(goals, C) @ logits`` is what each explains.

    (A derivative wants the rows as gradients of the logits rather than that product, in which a
    logit that is not finite would spoil the goals that do not ask for it.)

    Args:
        goals: ``K`` of them.
        classes: How many logits there are.

    Returns:
        ``[K, classes]``, float32: 1 at a goal's own class, -1 at the class it is set against.
    """
    rows = torch.zeros(len(goals), classes)
    for row, goal in zip(rows, goals, strict=True):
        row[goal.index] = 1
        if goal.versus is not None:
            row[goal.versus] = -1
    return rows


def count_maps(targets: Sequence[Target], classes: int) -> int:
    """How many maps targets may mean for one picture."""
    return sum(min(target.count, classes) if isinstance(target, Top) else 1 for target in targets)
