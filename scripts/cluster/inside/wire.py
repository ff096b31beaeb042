"""A picture to send, a request, and a page of metrics."""

import http.client
import random
import re
import struct
import zlib
from collections.abc import Mapping
from typing import NamedTuple

_SAMPLE = re.compile(r"(?P<name>[A-Za-z_:][\w:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Answer(NamedTuple):
    """Of a server.

    Attributes:
        status: The HTTP status.
        kind: Its content type.
        body: All of it.
    """

    status: int
    kind: str
    body: bytes


def picture(side: int = 64, seed: int = 0) -> bytes:
    """A PNG of coloured noise, which is a picture like any other to a classifier."""
    pixels = random.Random(seed).randbytes(side * side * 3)
    rows = b"".join(b"\0" + pixels[at : at + side * 3] for at in range(0, len(pixels), side * 3))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
        for tag, data in chunks
    )


def ask(
    host: str,
    port: int,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> Answer:
    """One request over a connection of its own: POST where there is a body, else GET.

    Raises:
        OSError: No connection, or silence for too long.
        http.client.HTTPException: What came is no answer.
    """
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET" if body is None else "POST", path, body, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers.get_content_type(), answer.read())
    finally:
        connection.close()


def total(page: str, name: str, **labels: str) -> float | None:
    """The sum of a metric's samples with these labels; ``None`` where there is none."""
    found = [
        float(match["value"])
        for match in map(_SAMPLE.match, page.splitlines())
        if match
        and match["name"] == name
        and labels.items() <= dict(_LABEL.findall(match["labels"] or "")).items()
    ]
    return sum(found) if found else None
