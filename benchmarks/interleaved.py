"""Timing in turns, so that a machine whose speed drifts favours nothing; finds the engine."""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "handlers"))


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes, the device's queue included."""
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def quartiles(ratios: Sequence[float]) -> str:
    """Median and quartiles, for the table."""
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:5.2f} ({low:.2f}–{high:.2f})"


def ratios(
    work: Callable[[], object], unit: Callable[[], object], rounds: int
) -> tuple[list[float], float]:
    """How long ``work`` takes over how long ``unit`` takes, in alternating turns.

    Returns:
        The ratio of every turn, and the median seconds of ``unit``.
    """
    for warm in (unit, work):
        seconds(warm)
    turns = [(seconds(unit), seconds(work)) for _ in range(rounds)]
    return [both[1] / both[0] for both in turns], statistics.median(both[0] for both in turns)
