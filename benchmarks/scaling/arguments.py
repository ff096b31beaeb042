"""The options that say what a replica can do, for all commands about scaling."""

import argparse
import json
from pathlib import Path

from scaling.replica import BatchTimes, Replica

MEASURED = {1: 0.074, 8: 0.400}
"""Seconds of a batch of resnet50 on two cores; docs/scaling.md says where they come from."""


def add_replica(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a replica."""
    group = parser.add_argument_group("a replica")
    times = group.add_mutually_exclusive_group()
    times.add_argument(
        "--measured",
        nargs="+",
        type=_measured,
        metavar="SIZE=MS",
        help="milliseconds of batches of two sizes or more (default: "
        + " ".join(f"{size}={1000 * seconds:g}" for size, seconds in MEASURED.items())
        + ")",
    )
    times.add_argument(
        "--tuning", type=Path, metavar="FILE", help="or the tuning.json that scripts/tune.py wrote"
    )
    group.add_argument("--workers", type=int, default=1, help="default: %(default)s")
    group.add_argument("--batch-size", type=int, default=8, help="default: %(default)s")
    group.add_argument(
        "--delay", type=float, default=20, metavar="MS", help="maxBatchDelay (default: %(default)s)"
    )
    group.add_argument("--queue", type=int, default=100, help="jobQueueSize (default: %(default)s)")


def replica_of(arguments: argparse.Namespace) -> Replica:
    """The replica that was asked for.

    Raises:
        ValueError: There is no such replica; the message says why.
        OSError: The tuning cannot be read.
    """
    if arguments.tuning:
        times = tuned(json.loads(arguments.tuning.read_text(encoding="utf-8")), arguments.workers)
    else:
        times = dict(arguments.measured or MEASURED.items())
    return Replica(
        BatchTimes.fitted(times),
        arguments.workers,
        arguments.batch_size,
        arguments.delay / 1000,
        arguments.queue,
    )


def tuned(document: list[dict[str, object]], workers: int) -> dict[int, float]:
    """Seconds of batches by their size, from the rates that ``scripts/tune.py`` found.

    It loads each setup with twice as many clients as its batches hold, so that batches are full and
    a worker gives ``batch size / seconds of a batch`` answers per second. Of the precisions the one
    with the most sizes is taken.

    Args:
        document: What it wrote.
        workers: Only setups with so many.

    Raises:
        ValueError: No two sizes of batches were measured with so many workers.
    """
    found: dict[object, dict[int, float]] = {}
    for measured in document:
        if "reason" in measured:  # it could not be served
            continue
        setup = measured["setup"]
        assert isinstance(setup, dict)
        rate = measured["rate"]
        assert isinstance(rate, float)
        if setup["workers"] == workers and rate > 0:
            size = setup["batch_size"]
            found.setdefault(setup["precision"], {})[size] = workers * size / rate
    best = max(found.values(), key=len, default={})
    if len(best) < 2:
        raise ValueError(
            f"the tuning has fewer than two sizes of batches with {workers} workers; choose "
            "another number with --workers, or give --measured"
        )
    return best


def _measured(text: str) -> tuple[int, float]:
    size, _, milliseconds = text.partition("=")
    try:
        return int(size), float(milliseconds) / 1000
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 8=302") from None
