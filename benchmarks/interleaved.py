"""Timing in turns, so that a machine whose speed drifts favours nothing; finds the engine."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

import finding  # noqa: F401 - it finds the engine
import torch

_LEAST_SECONDS = 0.05
"""What a turn of many calls takes at least."""

_MOST_CALLS = 20

Opening = Callable[[], AbstractContextManager[Callable[[], object]]]
"""What readies a piece of work for one turn, and clears up after it."""


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes, the device's queue included."""
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def ratios(
    work: Callable[[], object], unit: Callable[[], object], rounds: int
) -> tuple[list[float], float]:
    """How long ``work`` takes over how long ``unit`` takes, in alternating turns.

    Returns:
        The ratio of every turn, and the median seconds of ``unit``.
    """
    for warm in (unit, work):
        seconds(warm)
    taken = in_turns({"unit": partial(seconds, unit), "work": partial(seconds, work)}, rounds)
    return quotients(taken["work"], taken["unit"]), statistics.median(taken["unit"])


def quotients(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """One number over another, round by round."""
    return [mine / theirs for mine, theirs in zip(over, under, strict=True)]


def in_turns(takes: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What measurements give, each taken once in every round, in the order of ``order_of``.

    Args:
        takes: By name, what measures and gives the number.
        rounds: How many.

    Returns:
        The numbers of every round, by name.
    """
    samples: dict[str, list[float]] = {name: [] for name in takes}
    for turn in range(rounds):
        for name in order_of(list(takes), turn):
            samples[name].append(takes[name]())
    return samples


def in_rotation(
    openings: Mapping[str, Opening], rounds: int
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """How long pieces of work take, one turn each in every round.

    Every second round goes through the one before it backwards, and after two another begins, so
    that none has always the same before it. Opening, closing and collecting garbage are not timed.
    Where one call is short a turn has several, and counts their mean.

    Args:
        openings: By name.
        rounds: How many.

    Returns:
        The seconds of a call in every round, and how many calls a turn has, both by name.
    """
    calls = {}
    for name, opening in openings.items():
        with opening() as work:
            seconds(work)
            gc.collect()  # some leave the graph of every call to the collector: gigabytes
            calls[name] = calls_of(seconds(work))
        gc.collect()

    def take(name: str) -> float:
        with openings[name]() as work:
            gc.collect()
            return _mean_seconds(work, calls[name])

    gc.collect()
    gc.freeze()  # what is there already need not be gone through before every turn
    try:
        samples = in_turns({name: partial(take, name) for name in openings}, rounds)
    finally:
        gc.unfreeze()
    return samples, calls


def calls_of(one: float) -> int:
    """How many calls a turn has, when one takes so many seconds."""
    return min(_MOST_CALLS, max(1, math.ceil(_LEAST_SECONDS / one)))


def order_of(names: Sequence[str], turn: int) -> list[str]:
    """Who comes when in a round."""
    start = turn // 2 % len(names)
    order = [*names[start:], *names[:start]]
    return order[::-1] if turn % 2 else order


def _mean_seconds(work: Callable[[], object], calls: int) -> float:
    def repeatedly() -> None:
        for _ in range(calls):
            work()

    return seconds(repeatedly) / calls
