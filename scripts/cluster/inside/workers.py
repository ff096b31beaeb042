"""Kills a worker of this container, and watches whether that is noticed and mended."""

import contextlib
import http.client
import os
import signal
import time
from pathlib import Path
from typing import Any

from cluster.inside.wire import ask

_WORKER = b"model_service_worker.py"
_ENTRY = b"container.entrypoint"
_PAUSE = 0.1
_LATE = 10.0  # seconds after which nobody will notice any more


def main(arguments: list[str]) -> dict[str, Any]:
    """Arguments: the door's port, and seconds to wait at most.

    Returns:
        ``killed``: the process; null where there was no worker. ``noticed``, ``replaced`` and
        ``back``: seconds until the door said that it is not ready, until there was a new worker,
        and until the door was ready with it; null where that never came.

    Raises:
        RuntimeError: This is not inside the container, where all workers are its own.
    """
    if _ENTRY not in Path("/proc/1/cmdline").read_bytes():
        raise RuntimeError("process 1 is not the container's entry point; nothing is killed")
    door, limit = int(arguments[0]), float(arguments[1])
    before = workers()
    if not before:
        return {"killed": None, "noticed": None, "replaced": None, "back": None}
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    start = time.monotonic()
    noticed = replaced = back = None
    while back is None and (passed := time.monotonic() - start) < limit:
        ready = _ready(door)
        if noticed is None and not ready:
            noticed = passed
        if replaced is None and workers() - before:
            replaced = passed
        if ready and replaced is not None and (noticed is not None or passed > replaced + _LATE):
            back = passed
        time.sleep(_PAUSE)
    return {"killed": victim, "noticed": noticed, "replaced": replaced, "back": back}


def workers() -> set[int]:
    """The processes that hold a model."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                if _WORKER in (folder / "cmdline").read_bytes():
                    found.add(int(folder.name))
    return found


def _ready(port: int) -> bool:
    try:
        return ask("127.0.0.1", port, "/ready", timeout=5).status == 200
    except (OSError, http.client.HTTPException):
        return False
