"""What a day at an autoscaled service came to, in numbers and minute by minute."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.autoscaled import Run

Floats = NDArray[np.float64]

LATE = 1.0
"""Seconds; an answer that takes longer counts as late."""

STEP = 60.0
"""Seconds of a point of the picture."""


@dataclass(frozen=True)
class Summary:
    """A day in a line.

    Attributes:
        name: Of the way to scale.
        requests: How many arrived.
        refused: Share of them that found a full queue.
        late: Share of them that were answered, but after more than ``LATE`` seconds.
        p50: The median latency, in seconds.
        p99: What 99 of 100 answers stay within.
        worst: The worst 99th percentile of a minute, in seconds.
        mean_replicas: Paid for, over the day.
        most_replicas: At any time.
        changes: How often the number was changed.
        replica_hours: Paid for.
    """

    name: str
    requests: int
    refused: float
    late: float
    p50: float
    p99: float
    worst: float
    mean_replicas: float
    most_replicas: int
    changes: int
    replica_hours: float


@dataclass(frozen=True)
class Minutes:
    """A day as lines of a picture, one point a minute.

    Attributes:
        hours: The middle of each minute, ``[M]``.
        arrived: Requests per second, ``[M]``.
        refused: Requests per second, ``[M]``.
        queue_p99: Seconds in the queue that 99 of 100 stay within; NaN without any, ``[M]``.
        latency_p99: Likewise to the answer, ``[M]``.
        replicas: Wanted at the end of each minute, ``[M]``.
        replica_hours: Since midnight, by the replicas wanted, ``[M]``.
    """

    hours: Floats
    arrived: Floats
    refused: Floats
    queue_p99: Floats
    latency_p99: Floats
    replicas: Floats
    replica_hours: Floats


def summarise(name: str, run: Run, hours: float) -> Summary:
    """A run's line.

    Args:
        name: Of the way to scale.
        run: The day.
        hours: How long it was.
    """
    served = run.served
    count = max(len(served.arrived), 1)
    late = int(np.count_nonzero(served.latencies > LATE))  # NaN, of the refused, is not greater
    wanted = [entry[1] for entry in run.history]
    changes = sum(one != other for one, other in itertools.pairwise(wanted))
    return Summary(
        name=name,
        requests=len(served.arrived),
        refused=served.refused / count,
        late=late / count,
        p50=served.quantile(0.5),
        p99=served.quantile(0.99),
        worst=float(np.nanmax(by_minute(run, hours).latency_p99)),
        mean_replicas=run.replica_hours / hours,
        most_replicas=max(wanted),
        changes=changes,
        replica_hours=run.replica_hours,
    )


def by_minute(run: Run, hours: float) -> Minutes:
    """A run's lines; see :class:`Minutes`."""
    served = run.served
    edges = np.arange(0, hours * 3600 + STEP / 2, STEP)
    places = np.searchsorted(served.arrived, edges)
    spans = list(itertools.pairwise(places))
    ends = edges[1:]
    times = np.array([entry[0] for entry in run.history])
    wanted = np.array([float(entry[1]) for entry in run.history])
    replicas = wanted[np.searchsorted(times, ends, side="right") - 1]
    return Minutes(
        hours=(ends - STEP / 2) / 3600,
        arrived=np.array([stop - start for start, stop in spans]) / STEP,
        refused=np.array([np.isnan(served.latencies[start:stop]).sum() for start, stop in spans])
        / STEP,
        queue_p99=np.array([_p99(served.waits[start:stop]) for start, stop in spans]),
        latency_p99=np.array([_p99(served.latencies[start:stop]) for start, stop in spans]),
        replicas=replicas,
        replica_hours=np.cumsum(replicas) * STEP / 3600,
    )


def table(summaries: Iterable[Summary]) -> str:
    """The lines as a table for a document."""
    rows = [
        "| scaled by | refused | late (> 1 s) | p50 ms | p99 ms | worst minute's p99 ms "
        "| replicas, mean | most | changes | replica-hours |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {one.name} | {one.refused:.2%} | {one.late:.2%} | {1000 * one.p50:.0f} "
        f"| {1000 * one.p99:.0f} | {1000 * one.worst:.0f} | {one.mean_replicas:.1f} "
        f"| {one.most_replicas} | {one.changes} | {one.replica_hours:.0f} |"
        for one in summaries
    ]
    return "\n".join(rows)


def _p99(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.quantile(known, 0.99)) if len(known) else float("nan")
