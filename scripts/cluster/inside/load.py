"""A steady load that waits for nobody, and an account of every request that was not answered.

Half of the requests come over connections that are kept, half over new ones, because a pod that
goes may lose either in its own way. A kept connection that the server has closed before a request
is written is replaced, as every client with a pool does; from the first byte on, a request that
gets no answer is lost.
"""

import collections
import http.client
import json
import select
import statistics
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from cluster.inside.wire import picture

_TOLD_EVERY = 5.0  # seconds
_MOST_TOLD = 20  # of the lost


class Sent(NamedTuple):
    """One request.

    Attributes:
        at: Seconds since the start at which it was due.
        kept: Whether over a kept connection.
        status: Of the answer; 0 where there was none.
        seconds: From when it was due to the last byte of the answer.
        error: What came in place of an answer.
    """

    at: float
    kept: bool
    status: int
    seconds: float
    error: str


class Target(NamedTuple):
    """Where requests go, and what with."""

    host: str
    port: int
    path: str
    headers: dict[str, str]
    timeout: float


class Connections:
    """Kept connections, each used by one request at a time."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._idle: collections.deque[http.client.HTTPConnection] = collections.deque()
        self._lock = threading.Lock()
        self.renewed = 0

    def take(self) -> http.client.HTTPConnection:
        """One that the server has not closed, or a new one."""
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if not _closed(connection):
                    return connection
                connection.close()
                self.renewed += 1
        return self.new()

    def new(self) -> http.client.HTTPConnection:
        """Not yet connected."""
        return http.client.HTTPConnection(
            self._target.host, self._target.port, timeout=self._target.timeout
        )

    def give(self, connection: http.client.HTTPConnection) -> None:
        """Back, for the next request."""
        with self._lock:
            self._idle.append(connection)


def main(arguments: list[str]) -> dict[str, Any]:
    """Arguments: target (JSON), requests per second, a file whose appearance ends it, seconds."""
    told = json.loads(arguments[0])
    target = Target(told["host"], told["port"], told["path"], told["headers"], told["timeout"])
    stop = Path(arguments[2])
    stop.unlink(missing_ok=True)
    start = time.monotonic()
    sent, renewed = send(target, float(arguments[1]), float(arguments[3]), stop)
    return account(sent, renewed, time.monotonic() - start)


def send(target: Target, rate: float, seconds: float, stop: Path) -> tuple[list[Sent], int]:
    """Sends at this rate until the file is there or the time is over; awaits what is under way.

    Returns:
        All requests in their order, and how many kept connections were found closed.
    """
    connections, body = Connections(target), picture()
    start, last_told = time.monotonic(), 0.0
    runs: list[Future[Sent]] = []
    with ThreadPoolExecutor(64) as pool:
        while not stop.exists() and (at := len(runs) / rate) < seconds:
            wait = start + at - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            kept = len(runs) % 2 == 0
            runs.append(pool.submit(_one, target, connections, body, start, at, kept))
            if at - last_told >= _TOLD_EVERY or len(runs) == 1:
                last_told = at
                done = [run.result() for run in runs if run.done()]
                lost = sum(one.status != 200 for one in done)
                print(f"{at:.0f} s: {len(runs)} sent, {len(done)} ended, {lost} lost", flush=True)
    return [run.result() for run in runs], connections.renewed


def account(sent: list[Sent], renewed: int, seconds: float) -> dict[str, Any]:
    """What came of it: how many by status, the lost in detail, latencies in seconds."""
    lost = [one for one in sent if one.status != 200]
    latencies = sorted(one.seconds for one in sent if one.status == 200)
    return {
        "seconds": seconds,
        "sent": len(sent),
        "kept": sum(one.kept for one in sent),
        "statuses": dict(collections.Counter(str(one.status) for one in sent)),
        "lost": [one._asdict() for one in lost[:_MOST_TOLD]],
        "renewed": renewed,
        "median": statistics.median(latencies) if latencies else None,
        "slowest": latencies[-1] if latencies else None,
    }


def _one(
    target: Target,
    connections: Connections,
    body: bytes,
    start: float,
    at: float,
    kept: bool,
) -> Sent:
    connection = connections.take() if kept else connections.new()
    status, error = 0, ""
    try:
        connection.request("POST", target.path, body, target.headers)
        answer = connection.getresponse()
        begins = answer.read()[:200]
        status = answer.status
        if status != 200:
            error = begins.decode("utf-8", "replace")
        if kept and not answer.will_close:
            connections.give(connection)
        else:
            connection.close()
    except (OSError, http.client.HTTPException) as failure:
        connection.close()
        error = f"{type(failure).__name__}: {failure}"
    return Sent(at, kept, status, time.monotonic() - start - at, error)


def _closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has closed it: an idle connection has nothing else to read."""
    if connection.sock is None:
        return True
    return bool(select.select([connection.sock], [], [], 0)[0])
