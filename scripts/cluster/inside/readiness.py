"""Watches a starting container: does it say that it is ready before a canary was answered?"""

import http.client
import json
import time
from typing import Any

from cluster.inside.wire import ask, total

_PAUSE = 0.05


def main(arguments: list[str]) -> dict[str, Any]:
    """Asks readiness and metrics in turn until it is ready; arguments: ports (JSON), seconds.

    Returns:
        ``not_ready``: how often it said so, or nothing, before. ``canaries``: explanations answered
        when it first said that it is ready; null where it never did, or the metrics did not tell.
        ``seconds``: until then.
    """
    door, metrics = json.loads(arguments[0])
    start = time.monotonic()
    refused = 0
    while time.monotonic() - start < float(arguments[1]):
        if _status(door) != 200:
            refused += 1
            time.sleep(_PAUSE)
            continue
        # the count is read after the answer, so that a canary in between would count; what is
        # looked for is a container that is ready for long before any
        return {
            "not_ready": refused,
            "canaries": explanations(_page(metrics)),
            "seconds": time.monotonic() - start,
        }
    return {"not_ready": refused, "canaries": None, "seconds": time.monotonic() - start}


def explanations(page: str) -> float | None:
    """How many explanations were answered; ``None`` where the page does not say."""
    return total(page, "gradcam_requests_total", api="explanations", outcome="ok")


def _status(port: int) -> int:
    try:
        return ask("127.0.0.1", port, "/ready", timeout=5).status
    except (OSError, http.client.HTTPException):
        return 0


def _page(port: int) -> str:
    try:
        return ask("127.0.0.1", port, "/metrics", timeout=10).body.decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""
