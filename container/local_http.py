"""HTTP to this container's own ports, past any proxy that the environment names."""

import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Answer:
    """A status and a body."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


class Silent(Exception):  # noqa: N818 - nothing was answered; the sentence says why
    """Nobody answered: refused, broken off, or too late."""


def ask(
    address: str | Path,
    path: str,
    timeout: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Sends one request on a connection of its own: POST if there is a body, GET if not.

    Args:
        address: ``host:port``, or a Unix socket.
        path: With its slash.
        timeout: Seconds of silence.
        body: What to send.
        headers: Beside ``Host`` and ``Content-Length``.

    Raises:
        Silent: There was no answer.
    """
    if isinstance(address, Path):
        connection: http.client.HTTPConnection = _UnixConnection(address, timeout)
    else:
        connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request("GET" if body is None else "POST", path, body, dict(headers or {}))
        reply = connection.getresponse()
        return Answer(reply.status, reply.read())
    except (OSError, http.client.HTTPException) as error:
        raise Silent(f"{address}{path} gives no answer: {error or type(error).__name__}") from error
    finally:
        connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
