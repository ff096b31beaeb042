"""One client of a server under load: a connection that stays open, and requests over it.

The clients are threads that share the cores with the server, where both run on one machine. So they
use ``http.client``, which requests and urllib3 are layers over, and leave answers unread but for
their length.

A kept connection that the server has closed meanwhile is replaced, as every client with a pool
does. nginx closes one on which nothing came for ``client_header_timeout``, and where arrivals are
rare, some clients wait for longer than that before their first. From the first byte of a request
on, one that gets no answer has failed.
"""

import http.client
import select
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

NO_ANSWER = 0
"""In the place of a status: the connection was refused, broken or silent for too long."""

_PAUSE = 0.1  # seconds after that, so that a server that is down is not asked in a busy loop


@dataclass(frozen=True)
class Shot:
    """One request, sent with POST.

    Attributes:
        url: ``http://host:port/path``.
        body: The bytes.
        headers: Beside ``Content-Length`` and ``Host``.
    """

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Sent(NamedTuple):
    """What came of one request.

    Attributes:
        number: Its place among all.
        latency: Seconds.
        status: Of its answer, or ``NO_ANSWER``.
        received: Bytes of the answer's body.
        reason: What came in place of an answer, as the name of an exception.
    """

    number: int
    latency: float
    status: int
    received: int
    reason: str = ""


class Client:
    """One client's connection, which stays open between requests as far as the server lets it."""

    def __init__(self, host: str, shots: Sequence[Shot], timeout: float, ids: str = "") -> None:
        """Connects to nobody yet.

        Args:
            host: Of all shots, with the port.
            shots: What to send, by a request's number in turn.
            timeout: Seconds of silence after which a request counts as not answered.
            ids: Sent with the request's number after it as ``X-Request-Id``; empty for none.
        """
        self._requests = [(_path(shot.url), shot.body, dict(shot.headers)) for shot in shots]
        self._ids = ids
        self._http = http.client.HTTPConnection(host, timeout=timeout)

    def open(self) -> None:
        """Connects, so that no request's latency includes that; a failure shows when sending."""
        try:
            self._http.connect()
        except OSError:
            self._http.close()

    def send(self, number: int, since: float) -> Sent:
        """Sends one request and reads its answer; the latency counts from ``since``."""
        path, body, headers = self._requests[number % len(self._requests)]
        if self._ids:
            headers = {**headers, "X-Request-Id": f"{self._ids}{number}"}
        if self._is_over():
            self._http.close()  # the request then connects anew
        try:
            self._http.request("POST", path, body, headers)
            answer = self._http.getresponse()
            status, received = answer.status, len(answer.read())
            return Sent(number, time.perf_counter() - since, status, received)
        except (OSError, http.client.HTTPException) as error:
            latency = time.perf_counter() - since
            self._http.close()
            time.sleep(_PAUSE)
            return Sent(number, latency, NO_ANSWER, 0, type(error).__name__)

    def close(self) -> None:
        """Ends the connection."""
        self._http.close()

    def _is_over(self) -> bool:
        """Whether the server has closed it: between answers there is nothing else to read."""
        if self._http.sock is None:
            return False
        watched = select.poll()  # select.select() takes no more than 1024 files
        watched.register(self._http.sock, select.POLLIN)
        return bool(watched.poll(0))


def only_host(shots: Sequence[Shot]) -> str:
    """Where all of them go.

    Raises:
        ValueError: To several hosts, or there are none.
    """
    hosts = {urlsplit(shot.url).netloc for shot in shots}
    if len(hosts) != 1:
        raise ValueError(f"shots go to one host, not to {len(hosts)}")
    return hosts.pop()


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
