"""The capacity model: what a number of replicas makes of a load, and how many a load needs.

One worker is solved as a bulk queue (``bulk_queue.py``). Of several workers of a replica, if all
work, another is free a ``workers``-th of a batch's time after the last one was taken; how often
they all do is Erlang's formula. So many servers follow from one in the approximation of Allen and
Cunneen (A. O. Allen, "Probability, Statistics, and Queueing Theory with Computer Science
Applications", 2nd edition, Academic Press 1990), after A. M. Lee and P. A. Longton ("Queueing
processes associated with airline passenger check-in", Operational Research Quarterly 10, 1959,
56-71), there of requests, here of batches.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from scaling.bulk_queue import BulkQueue, Cycle, Floats, solve
from scaling.bulk_waits import waits
from scaling.poisson import erlang_c
from scaling.replica import Replica

REFUSED_AT_MOST = 0.001
"""Share of the requests that a number of replicas may refuse and still be enough."""

_ROUNDS = 12
_ALMOST = 1 - 1e-9
_STEPS = 18  # of the bisection: the rate is then known to 1 part in 250,000


@dataclass(frozen=True)
class Forecast:
    """What the model says of one replica, and so of all alike.

    Attributes:
        rate: Requests per second that arrive at it.
        utilisation: That over its limit; above 1 the queue is full and requests are refused.
        busy: Share of the time in which a worker works, 0 to 1: with batches far above
            ``utilisation``, as small batches take the worker nearly as long as large ones.
        mean_size: Requests of a batch.
        refused: Share of the requests that find the queue full.
        wait: Mean seconds until a request's batch begins.
        latency: Mean seconds until a request is answered.
        p50: The median of that.
        p99: What 99 of 100 requests stay within.
    """

    rate: float
    utilisation: float
    busy: float
    mean_size: float
    refused: float
    wait: float
    latency: float
    p50: float
    p99: float


def forecast(replica: Replica, rate: float) -> Forecast:
    """Forecasts one replica at which requests arrive at random.

    Args:
        replica: What it can do.
        rate: Requests per second, above 0.

    Raises:
        ValueError: ``rate`` is not above 0.
    """
    if rate <= 0:
        raise ValueError(f"a rate is above 0 requests per second, and {rate} is not")
    times = np.array([replica.times.of(size) for size in range(1, replica.batch_size + 1)])
    queue, cycle = _settled(replica, rate, times)
    sample = waits(queue, cycle)
    weights = sample.weights / sample.weights.sum()
    latencies = sample.seconds + times[sample.sizes - 1]
    p50, p99 = _quantiles(latencies, weights, (0.5, 0.99))
    return Forecast(
        rate=rate,
        utilisation=rate / replica.limit,
        busy=float(cycle.sizes @ times) / cycle.seconds / replica.workers,
        mean_size=cycle.mean_size,
        refused=max(0.0, 1 - cycle.mean_size / cycle.seconds / rate),
        wait=float(sample.seconds @ weights),
        latency=float(latencies @ weights),
        p50=p50,
        p99=p99,
    )


def highest_rate(replica: Replica, p99: float) -> float:
    """The most requests per second of one replica whose 99th percentile stays within a limit.

    Args:
        replica: What it can do.
        p99: Seconds.

    Returns:
        Requests per second; 0 where even a lone request takes longer.
    """
    low, high = 0.0, replica.limit
    for _ in range(_STEPS):
        middle = (low + high) / 2
        found = forecast(replica, middle)
        if found.p99 <= p99 and found.refused <= REFUSED_AT_MOST:
            low = middle
        else:
            high = middle
    return low


def replicas_needed(replica: Replica, rate: float, p99: float) -> int | None:
    """How many replicas answer a load in time, if it is spread over them at random.

    Args:
        replica: What each can do.
        rate: Requests per second of all.
        p99: Seconds within which 99 of 100 are to be answered.

    Returns:
        The number; none where no number is enough.
    """
    each = highest_rate(replica, p99)
    return math.ceil(rate / each) if each > 0 else None


def _settled(replica: Replica, rate: float, times: Floats) -> tuple[BulkQueue, Cycle]:
    """The queue whose batches find all workers busy as often as so busy workers are."""
    workers = replica.workers
    queue = BulkQueue(rate, times / workers, replica.delay, replica.queue_size)
    cycle = solve(queue)
    for _ in range(_ROUNDS if workers > 1 else 0):
        working = min(float(cycle.sizes @ times) / cycle.seconds, workers * _ALMOST)
        # of the batches, those that take the last free worker, or that one has to wait for
        last = erlang_c(workers, working) * workers / working
        leaving = cycle.leaving.sum()
        alone = min(max((last - leaving) / (1 - leaving), 0.0), 1.0) if leaving < 1 else 1.0
        queue = replace(queue, blocks=(queue.blocks + alone) / 2)
        cycle = solve(queue)
    return queue, cycle


def _quantiles(values: Floats, weights: Floats, shares: tuple[float, ...]) -> list[float]:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    places = np.searchsorted(reached, np.array(shares) * reached[-1])
    return [float(values[order[place]]) for place in places]
