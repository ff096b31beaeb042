"""How many threads a worker may keep busy, and those in which the requests of a batch are read."""

import logging
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch

logger = logging.getLogger(__name__)

_CGROUPS = Path("/sys/fs/cgroup")

T = TypeVar("T")
R = TypeVar("R")


def count_cores(cgroups: Path = _CGROUPS) -> int:
    """How many cores this process may keep busy: those it may run on, within a container's quota.

    torch and OpenMP know nothing of a quota. They start a thread for every core of the machine,
    which then spend most of their time waiting for each other.

    Args:
        cgroups: Where control groups are mounted, of version 2 or 1.
    """
    cores = len(os.sched_getaffinity(0))
    quota = _read_quota(cgroups)
    return cores if quota is None else max(1, min(cores, round(quota)))


def _read_quota(cgroups: Path) -> float | None:
    """The quota of CPU time in cores; ``None`` where there is none."""
    try:
        if (unified := cgroups / "cpu.max").exists():
            quota, period = unified.read_text(encoding="ascii").split()
        else:
            folder = cgroups / "cpu"
            quota, period = (
                (folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii")
                for name in ("quota", "period")
            )
        share = int(quota) / int(period)  # "max" is no number, and -1 no quota
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return share if share > 0 else None


def share_of_cores(workers: int) -> int:
    """Threads for each of several workers on this machine, at least one."""
    return max(1, count_cores() // max(1, workers))


class Crew:
    """Threads for work that holds no lock of Python's: decoding, resizing, drawing, encoding."""

    def __init__(self, threads: int = 1) -> None:
        """Starts them, so that none starts with the threads of torch's that the caller has.

        Args:
            threads: How many; one does everything in the caller's own, and so it is done where
                so many cannot be started.
        """
        self._pool: ThreadPoolExecutor | None = None
        if threads > 1:
            started = threading.Barrier(threads + 1)

            def begin() -> None:
                torch.set_num_threads(1)  # each is a core's work already
                started.wait()

            before = torch.get_num_threads()
            pool = ThreadPoolExecutor(threads, "gradcam", initializer=begin)
            try:
                for _ in range(threads):
                    pool.submit(int)
            except RuntimeError as error:  # such as beyond a container's limit of processes
                started.abort()
                pool.shutdown()
                logger.warning("gradcam: requests are read in one thread, for %s", error)
            else:
                started.wait()
                self._pool = pool
            torch.set_num_threads(before)

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Does work on each of several items; the results stand in the items' order.

        Raises:
            Exception: What the work raised on the first item in order on which it did.
        """
        listed = list(items)
        if self._pool is None or len(listed) < 2:
            return [work(item) for item in listed]
        return list(self._pool.map(work, listed))
