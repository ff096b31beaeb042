"""What maps cost, as a multiple of the same network's bare forward pass."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradcam import Ask, Explainer, GradcamError


@dataclass(frozen=True)
class Price:
    """The median of the ratios within a round, and their quartiles."""

    median: float
    low: float
    high: float


def measure_prices(
    explainer: Explainer,
    batch: Tensor,
    asks: Mapping[str, Ask],
    rounds: int,
    tell: Callable[[str], None],
) -> tuple[float, dict[str, Price]]:
    """Times explanations of a batch, each as a multiple of the forward pass in its own round.

    In every round the bare forward pass and all asks take turns, so that a machine whose speed
    drifts favours none of them.

    Args:
        explainer: The network.
        batch: ``[N, 3, H, W]``.
        asks: By any name.
        rounds: How many.
        tell: Is called after every round.

    Returns:
        The forward pass's median in milliseconds, and the prices by name.
    """

    def forward() -> None:
        with torch.inference_mode():
            explainer.network(batch)

    works = [lambda ask=ask: _explain(explainer, batch, ask) for ask in asks.values()]
    for work in (forward, *works):
        work()  # the first call of anything is slower
    turns = []
    for number in range(rounds):
        turns.append([_seconds(work) for work in (forward, *works)])
        tell(f"prices, round {number + 1}")
    bare = statistics.median(turn[0] for turn in turns) * 1000
    found = {
        name: _price([turn[column] / turn[0] for turn in turns])
        for column, name in enumerate(asks, start=1)
    }
    return bare, found


def _explain(explainer: Explainer, batch: Tensor, ask: Ask) -> None:
    for outcome in explainer.run(batch, [ask] * len(batch)):
        if isinstance(outcome, GradcamError):
            raise outcome


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _price(ratios: Sequence[float]) -> Price:
    if len(ratios) == 1:
        return Price(ratios[0], ratios[0], ratios[0])
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Price(middle, low, high)
