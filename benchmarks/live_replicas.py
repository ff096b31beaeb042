"""Two replicas behind the door on this machine, one of which is killed under load.

Examples:
    python benchmarks/live_replicas.py model_store/demo.mar
    python benchmarks/live_replicas.py model_store/demo.mar --share 0.3 --seconds 60

Two TorchServes and the container's nginx listen on loopback. First it is measured what a batch
takes: one client for each replica gives batches of one, many clients give full ones. Then requests
arrive at random at a share of what both can do, and half way every process of one replica is killed
(SIGKILL). Printed are requests, failures and latencies before and after, beside what the capacity
model and the simulation make of the measured times. Clients, nginx and replicas share the cores,
which neither of the two knows of. The exit status is 1 if any request failed.
"""

import argparse
import json
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from finding import ROOT
from live_service import MODEL, door, kill, replicas
from scaling.capacity import forecast
from scaling.replica import BatchTimes, Replica
from scaling.simulation import serve

sys.path.insert(1, str(ROOT / "handlers"))

from debian_tools import find_program
from load import Load, Shot, closed_loop, open_loop, poisson_arrivals
from sample_photographs import sample_photographs
from torchserve_process import TorchServe
from tune import read_config, rewrite
from tuning import Setup, configured

_SIMULATED = 100_000  # requests, more than a live run has, so that the percentile is not chance


@dataclass(frozen=True)
class Half:
    """The requests that arrived before the kill, or after it."""

    name: str
    latencies: Any
    statuses: Any
    replicas: int

    @property
    def failed(self) -> int:
        """Requests without a 2xx."""
        return int(np.count_nonzero(self.statuses // 100 != 2))

    def quantile(self, share: float) -> float:
        """The latency in seconds that this share stays within."""
        return float(np.quantile(self.latencies, share)) if len(self.latencies) else float("nan")


def main() -> int:
    """Runs the command line."""
    asked = build_parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped too
    with tempfile.TemporaryDirectory(prefix="live-", dir="/tmp") as name:
        folder = Path(name)
        store = folder / "store"
        store.mkdir()
        setup = Setup("fp32", 1, asked.threads, asked.batch_size, asked.delay)
        rewrite(asked.archive, configured(read_config(asked.archive), setup), store / "demo.mar")
        nginx = asked.nginx or find_program("nginx")
        with replicas(store, folder) as servers, door(servers, store, folder, nginx) as url:
            shots = [
                Shot(f"{url}/explanations/{MODEL}", picture, {"Content-Type": "image/jpeg"})
                for picture in sample_photographs()
            ]
            times = _measured(shots, asked)
            replica = Replica(times, 1, asked.batch_size, asked.delay / 1000)
            rate = asked.share * 2 * replica.limit
            print(
                f"a batch of b takes {1000 * times.fixed:.1f} ms + {1000 * times.per_request:.1f} "
                f"ms × b; the limit of both is {2 * replica.limit:.1f}/s; sent are {rate:.1f}/s",
                flush=True,
            )
            load = _killed(shots, rate, servers[0], asked)
    halves = _halves(load, rate, asked)
    for half in halves:
        for status in np.unique(half.statuses[half.statuses // 100 != 2]).tolist():
            count = int(np.count_nonzero(half.statuses == status))
            print(f"{half.name}: {count} × {status or 'no answer'}")
    print(_table(halves, replica, rate, asked.seed))
    if asked.out:
        _write(asked.out, times, rate, halves)
    return 1 if any(half.failed for half in halves) else 0


def _write(path: Path, times: BatchTimes, rate: float, halves: Sequence[Half]) -> None:
    document = {
        "command": ["python", "benchmarks/live_replicas.py", *sys.argv[1:]],
        "batch_seconds": [times.fixed, times.per_request],
        "rate": rate,
        "halves": [
            {"name": half.name, "failed": half.failed, "latencies": half.latencies.tolist()}
            for half in halves
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def _measured(shots: Sequence[Shot], asked: argparse.Namespace) -> BatchTimes:
    """What a batch takes while both replicas work; never less than its share for a request."""
    many = 4 * asked.batch_size  # of each replica one batch is at work, and the next is full
    closed_loop(shots, many, requests=2 * many)
    lone = closed_loop(shots, 2, seconds=asked.measure)
    full = closed_loop(shots, many, seconds=asked.measure)
    if lone.errors or full.errors:
        raise SystemExit("error: requests failed before anything was killed")
    print(f"two clients: median {1000 * lone.p50:.1f} ms; {many} clients: {full.rate:.1f}/s")
    one, most = lone.p50 - asked.delay / 1000, 2 * asked.batch_size / full.rate
    if one * asked.batch_size <= most:  # a disturbed measurement, or batches that gain nothing
        return BatchTimes(0.0, most / asked.batch_size)
    return BatchTimes.fitted({1: one, asked.batch_size: most})


def _killed(
    shots: Sequence[Shot], rate: float, victim: TorchServe, asked: argparse.Namespace
) -> Load:
    """Random arrivals, half way through which a replica loses all its processes at once."""

    def end() -> None:
        kill(victim)
        print("killed one of two replicas", flush=True)

    timer = threading.Timer(asked.seconds / 2, end)
    timer.start()
    try:
        return open_loop(shots, rate, asked.seconds, seed=asked.seed, clients=200, timeout=60)
    finally:
        timer.cancel()


def _halves(load: Load, rate: float, asked: argparse.Namespace) -> list[Half]:
    arrived = poisson_arrivals(rate, asked.seconds, asked.seed)
    before = arrived < asked.seconds / 2
    return [
        Half("two replicas", load.latencies[before], load.statuses[before], 2),
        Half("one was killed", load.latencies[~before], load.statuses[~before], 1),
    ]


def _table(halves: Sequence[Half], replica: Replica, rate: float, seed: int) -> str:
    lines = [
        "| | requests | failed | p50 ms | p99 ms | model: p50 | p99 | simulation: p50 | p99 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for half in halves:
        model = forecast(replica, rate / half.replicas)
        generator = np.random.default_rng(seed)
        arrivals = np.cumsum(generator.exponential(1 / rate, _SIMULATED))
        simulated, _ = serve(replica, arrivals, replicas=half.replicas, balancing="least")
        lines.append(
            f"| {half.name} | {len(half.latencies)} | {half.failed} "
            f"| {1000 * half.quantile(0.5):.0f} | {1000 * half.quantile(0.99):.0f} "
            f"| {1000 * model.p50:.0f} | {1000 * model.p99:.0f} "
            f"| {1000 * simulated.quantile(0.5):.0f} | {1000 * simulated.quantile(0.99):.0f} |"
        )
    return "\n".join(lines)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path, help="an archive that package_model.py made")
    parser.add_argument(
        "--share",
        type=float,
        default=0.4,
        help="of what both replicas can do; one must carry it (default: %(default)s)",
    )
    parser.add_argument("--seconds", type=float, default=60, help="default: %(default)s")
    parser.add_argument(
        "--measure", type=float, default=8, help="seconds of each measurement before"
    )
    parser.add_argument("--threads", type=int, default=1, help="of a replica's only worker")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--delay", type=int, default=5, metavar="MS", help="maxBatchDelay")
    parser.add_argument("--nginx", type=Path, help="the program (default: found or fetched)")
    parser.add_argument("--seed", type=int, default=0, help="of the arrivals")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON of all latencies")
    return parser


if __name__ == "__main__":
    sys.exit(main())
