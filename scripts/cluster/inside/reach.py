"""Which ports of which addresses take a connection from here."""

import json
import socket
from typing import Any

_SECONDS = 3.0  # a policy drops packets without a word; nothing on a cluster's network takes longer


def main(arguments: list[str]) -> dict[str, Any]:
    """Tries each ``[host, port]`` of a JSON list.

    Returns:
        ``reached``: for each, ``open``, or why not, as the system says it.
    """
    return {"reached": [_tried(host, port) for host, port in json.loads(arguments[0])]}


def _tried(host: str, port: int) -> str:
    try:
        with socket.create_connection((host, port), timeout=_SECONDS):
            return "open"
    except OSError as error:
        return (error.strerror or str(error)).lower()
