"""How long the requests of a bulk queue wait: what it means to arrive at each moment of a cycle."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.bulk_queue import BulkQueue, Cycle, Floats
from scaling.gathering import outcomes
from scaling.poisson import poisson_masses

_INSTANTS = 24
"""Points of a batch's time at which arrivals are looked at."""

_GATHERING_INSTANTS = 12
_LEAST = 1e-9
"""Weights below are left out."""


@dataclass(frozen=True)
class Waits:
    """The requests of a cycle, as a weighted sample.

    Attributes:
        weights: How many such requests there are in a cycle, ``[N]``; their sum is the batch's
            mean size.
        seconds: How long they wait until their batch begins, ``[N]``.
        sizes: Of the batch that they are then in, ``[N]``.
    """

    weights: Floats
    seconds: Floats
    sizes: NDArray[np.int64]


def waits(queue: BulkQueue, cycle: Cycle) -> Waits:
    """What all accepted requests wait, in the stationary cycle of a queue."""
    return _joined([*_turns(queue, *_blocked(queue, cycle)), _welcomed(queue, cycle)])


def _blocked(queue: BulkQueue, cycle: Cycle) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Requests that come while the server works.

    Returns:
        Weights, how many requests are before each, and seconds until the server is free, ``[N]``.
    """
    size, capacity = queue.batch_size, queue.queue_size
    weights, remaining = [], []
    for members in range(1, size + 1):
        left = np.zeros(capacity)  # who finds the queue full is refused
        left[0] = cycle.alone[members - 1] * queue.blocks
        if members == size:
            left[1 : len(cycle.leaving)] = cycle.leaving[1:]
        time = float(queue.blocking[members - 1])
        for instant in ((np.arange(_INSTANTS) + 0.5) / _INSTANTS * time).tolist():
            came = poisson_masses(queue.rate * instant, capacity)
            before = np.convolve(left, came)[:capacity]
            weights.append(before * queue.rate * time / _INSTANTS)
            remaining.append(np.full(capacity, time - instant))
    every = np.concatenate(weights)
    kept = np.flatnonzero(every > _LEAST)
    return every[kept], kept % capacity, np.concatenate(remaining)[kept]


def _turns(
    queue: BulkQueue, weights: Floats, position: NDArray[np.int64], remaining: Floats
) -> list[Waits]:
    """They wait for the server, and then for the batches before theirs."""
    size = queue.batch_size
    batches, ahead = np.divmod(position, size)
    until = remaining + batches * queue.blocking[-1]
    parts = []
    unfilled = np.ones(len(position))
    for members in range(1, size):
        behind = members - 1 - ahead
        mass = np.where(behind >= 0, _mass(queue.rate * until, np.maximum(behind, 0)), 0)
        unfilled -= mass
        kept = np.flatnonzero(weights * mass > _LEAST)
        share, begun = weights[kept] * mass[kept], until[kept]
        for way in outcomes(members, size, queue.rate, queue.delay):
            sizes = np.full(len(kept), way.size)
            parts.append(Waits(share * way.probability, begun + way.seconds, sizes))
    full = np.full(len(position), size)
    return [*parts, Waits(weights * np.maximum(unfilled, 0), until, full)]


def _welcomed(queue: BulkQueue, cycle: Cycle) -> Waits:
    """Requests that find the server waiting for a first request, or gathering."""
    size, rate, delay = queue.batch_size, queue.rate, queue.delay
    rows = [
        (cycle.idle * way.probability, way.seconds, way.size)
        for way in outcomes(1, size, rate, delay)
    ]
    slices = delay / _GATHERING_INSTANTS
    for instant in ((np.arange(_GATHERING_INSTANTS) + 0.5) * slices).tolist():
        came = poisson_masses(rate * instant, size)
        for first in range(1, size):
            for more in range(size - first):
                weight = cycle.gathers[first] * came[more] * rate * slices
                ways = outcomes(first + more + 1, size, rate, delay - instant)
                rows += [(weight * way.probability, way.seconds, way.size) for way in ways]
    weights, seconds, sizes = zip(*rows, strict=True)
    return Waits(np.array(weights), np.array(seconds), np.array(sizes))


def _mass(mean: Floats, count: NDArray[np.int64]) -> Floats:
    """Poisson probabilities, for each mean its own count."""
    factorials = np.cumprod(np.concatenate([[1.0], np.arange(1.0, count.max(initial=0) + 1)]))
    masses: Floats = np.exp(-mean) * mean**count / factorials[count]
    return masses


def _joined(parts: list[Waits]) -> Waits:
    return Waits(
        np.concatenate([part.weights for part in parts]),
        np.concatenate([part.seconds for part in parts]),
        np.concatenate([part.sizes for part in parts]),
    )
