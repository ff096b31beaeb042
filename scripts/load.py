"""Load on an HTTP server: clients that wait for their answers, or arrivals that wait for nobody.

shots = [Shot("http://127.0.0.1:8080/predictions/demo", jpeg, {"Content-Type": "image/jpeg"})]
closed_loop(shots, concurrency=8, seconds=5).rate
open_loop(shots, rate=20, seconds=30, seed=0).p99
"""

import collections
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from load_client import NO_ANSWER, Client, Sent, Shot, only_host

__all__ = ["NO_ANSWER", "Load", "Shot", "closed_loop", "open_loop", "poisson_arrivals"]


@dataclass(frozen=True)
class Load:
    """What a run found.

    Attributes:
        seconds: From the start to the last answer.
        latencies: Of all requests in their order, in seconds, ``[N]`` float64.
        statuses: Of their answers, ``[N]`` int64; ``NO_ANSWER`` where there was none.
        received: Bytes of all answers' bodies.
        reasons: What came in place of answers, as names of exceptions, and how often.
    """

    seconds: float
    latencies: NDArray[np.float64]
    statuses: NDArray[np.int64]
    received: int
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """Requests that were not answered with a 2xx."""
        return int(np.count_nonzero(self.statuses // 100 != 2))

    @property
    def rate(self) -> float:
        """Answers with a 2xx per second."""
        return (len(self.statuses) - self.errors) / self.seconds

    @property
    def bytes_per_answer(self) -> float:
        """The mean over all answers, of any status; NaN if there was none."""
        answers = int(np.count_nonzero(self.statuses != NO_ANSWER))
        return self.received / answers if answers else float("nan")

    @property
    def p50(self) -> float:
        """The median latency in seconds, errors included, as in all of these; NaN if of nothing."""
        return self.quantile(0.5)

    @property
    def p95(self) -> float:
        """The latency that 95 % of the requests stay within."""
        return self.quantile(0.95)

    @property
    def p99(self) -> float:
        """The latency that 99 % of the requests stay within."""
        return self.quantile(0.99)

    def quantile(self, share: float) -> float:
        """The latency in seconds that this share of the requests (0 to 1) stays within."""
        return float(np.quantile(self.latencies, share)) if len(self.latencies) else float("nan")


def closed_loop(
    shots: Sequence[Shot],
    concurrency: int,
    *,
    seconds: float | None = None,
    requests: int | None = None,
    timeout: float = 120.0,
) -> Load:
    """Clients that each send the next request when their last one is answered.

    Args:
        shots: What to send, in turn and over again; all to the same host.
        concurrency: How many clients, each with one connection that is kept alive.
        seconds: When to send no more; what is under way is awaited.
        requests: Or how many to send in all.
        timeout: Seconds of silence after which a request counts as not answered.

    Raises:
        ValueError: Not exactly one of ``seconds`` and ``requests``, or shots at several hosts.
    """
    if (seconds is None) == (requests is None):
        raise ValueError("give either seconds or requests")
    numbers = _Numbers(requests)

    def client(connection: Client, start: float) -> list[Sent]:
        sent = []
        for number in numbers:
            now = time.perf_counter()
            if seconds is not None and now - start >= seconds:
                break
            sent.append(connection.send(number, since=now))
        return sent

    return _run(shots, concurrency, timeout, "", client)


def open_loop(
    shots: Sequence[Shot],
    rate: float,
    seconds: float,
    seed: int,
    *,
    clients: int = 64,
    timeout: float = 120.0,
    ids: str = "",
) -> Load:
    """Poisson arrivals that come whether or not the ones before are answered.

    A latency counts from the moment at which the request was due, so that it includes the wait for
    a free client when all of them wait for answers. What is under way at the end is awaited.

    Args:
        shots: What to send, in turn and over again; all to the same host.
        rate: Mean arrivals per second.
        seconds: How long requests arrive.
        seed: Of the arrivals' times.
        clients: How many requests may be under way at once.
        timeout: Seconds of silence after which a request counts as not answered.
        ids: Sent with a request's number after it as ``X-Request-Id``; empty for none.

    Raises:
        ValueError: Shots at several hosts, or none.
    """
    arrivals = poisson_arrivals(rate, seconds, seed).tolist()
    numbers = _Numbers(len(arrivals))

    def client(connection: Client, start: float) -> list[Sent]:
        sent = []
        for number in numbers:
            due = start + arrivals[number]
            if (wait := due - time.perf_counter()) > 0:
                time.sleep(wait)
            sent.append(connection.send(number, since=due))
        return sent

    return _run(shots, clients, timeout, ids, client)


def poisson_arrivals(rate: float, seconds: float, seed: int) -> NDArray[np.float64]:
    """The times of a Poisson process in ascending order, ``[N]``, each below ``seconds``."""
    generator = np.random.default_rng(seed)
    # given how many there are, they lie independently and evenly
    return np.sort(generator.uniform(0, seconds, generator.poisson(rate * seconds)))


class _Numbers:
    """0, 1, 2 and so on, each given to one of the threads that draw from it."""

    def __init__(self, limit: int | None) -> None:
        self._numbers: Iterator[int] = itertools.count() if limit is None else iter(range(limit))
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        with self._lock:
            return next(self._numbers)


def _run(
    shots: Sequence[Shot],
    clients: int,
    timeout: float,
    ids: str,
    client: Callable[[Client, float], list[Sent]],
) -> Load:
    """Runs the clients side by side, all connected before the first of them sends."""
    host = only_host(shots)
    connections = [Client(host, shots, timeout, ids) for _ in range(clients)]
    try:
        for connection in connections:
            connection.open()
        with ThreadPoolExecutor(clients) as pool:
            start = time.perf_counter()
            runs = [pool.submit(client, connection, start) for connection in connections]
            sent = sorted(one for run in runs for one in run.result())
            seconds = time.perf_counter() - start
    finally:
        for connection in connections:
            connection.close()
    return Load(
        seconds,
        np.array([one.latency for one in sent], dtype=np.float64),
        np.array([one.status for one in sent], dtype=np.int64),
        sum(one.received for one in sent),
        collections.Counter(one.reason for one in sent if one.reason),
    )
