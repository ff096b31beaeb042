"""The most memory that a call holds at once."""

import gc
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

_CPU = 0  # the device type in a trace


def peak_mebibytes(run: Callable[[], object], device: torch.device) -> float:
    """The most memory that ``run`` holds at once beyond what is held before it.

    Of torch's own allocator on either kind of device, to the byte, so that a call's figure depends
    neither on what the process freed earlier nor on what the operating system took back. What
    others allocate is not counted: NumPy's arrays, OpenCV's, and the workspace that a library of
    kernels takes for itself.

    Args:
        run: What is measured; it is called once.
        device: Where it computes.

    Returns:
        Mebibytes.
    """
    gc.collect()  # what is given back meanwhile would hide as much
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        torch.cuda.synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    with _quiet(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        trace = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    return greatest_sum(_changes(trace["traceEvents"])) / 2**20


@contextmanager
def _quiet() -> Iterator[None]:
    """Drops what the profiler's library writes to standard error whenever it starts and stops."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def greatest_sum(changes: list[int]) -> int:
    """The greatest sum of any first few changes, and of none of them: 0."""
    held = greatest = 0
    for change in changes:
        held += change
        greatest = max(greatest, held)
    return greatest


def _changes(events: list[dict[str, Any]]) -> list[int]:
    """Bytes taken, and bytes given back below zero, in order."""
    found = [event for event in events if event.get("name") == "[memory]"]
    if not found:
        raise RuntimeError("the profiler's trace has no memory events, so there is no peak to tell")
    found.sort(key=lambda event: (event["ts"], event["args"]["Ev Idx"]))
    return [int(event["args"]["Bytes"]) for event in found if event["args"]["Device Type"] == _CPU]
