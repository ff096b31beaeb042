"""What a contender of the engine benchmark does in its turn, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


class CannotTakePart(Exception):  # noqa: N818 - it is an answer rather than an error
    """Why a contender cannot be asked this; the message goes into the table."""


@dataclass(frozen=True)
class Answer:
    """The maps of a batch.

    Attributes:
        indices: ``[N, K]``, the classes.
        maps: ``[N, K, h, w]`` on the CPU, as raw as the contender gives them.
    """

    indices: Tensor
    maps: Tensor


@dataclass(frozen=True)
class Turn:
    """What is timed.

    Attributes:
        run: Asks; its maps are on the CPU when it returns.
        read: What ``run`` returned as an answer; ``None`` where it is no class activation map.
    """

    run: Callable[[], Any]
    read: Callable[[Any], Answer] | None = None
