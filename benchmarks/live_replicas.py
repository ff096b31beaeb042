"""Two replicas behind the door on this machine, one of which is killed under load.

Examples:
    python benchmarks/live_replicas.py model_store/demo.mar
    python benchmarks/live_replicas.py model_store/demo.mar --share 0.4 --keep /tmp/logs

Two TorchServes and the container's nginx listen on loopback. First it is measured what a batch
takes: one client for each replica gives batches of one, many clients give full ones. Then requests
arrive at random at a share of what both can do, and half way every process of one replica is killed
(SIGKILL). At the end it is measured what the replica that is left can do by itself.

Printed are requests, refusals, failures and latencies before and after, beside what the capacity
model and the simulation make of the measured times. Refused is what a full queue did not take (503,
with Retry-After); failed is everything else that was not answered. Clients, nginx and replicas
share the cores, which neither of the two knows of. The exit status is 1 if any request failed, and
3 if none did but some were refused.
"""

import argparse
import json
import math
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from finding import ROOT
from live_outcomes import Half, halves, read_asked
from live_service import MODEL, Door, door, kill, replicas
from scaling.capacity import forecast
from scaling.replica import BatchTimes, Replica
from scaling.simulation import serve

sys.path.insert(1, str(ROOT / "handlers"))

from debian_tools import find_program
from load import Load, Shot, closed_loop, open_loop, poisson_arrivals
from sample_photographs import sample_photographs
from served_config import read_config, rewrite
from torchserve_process import TorchServe
from tuning import Setup, configured

_CLIENTS = 200  # one replica's queue and batch hold 108: the door refuses, no client is short
_PATIENCE = 120.0  # seconds; a full queue of a slow replica takes some
_IDS = "live-"
_SIMULATED = 100_000  # requests, more than a live run has, so that the percentile is not chance


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
        try:
            with replicas(store, folder) as servers, door(servers, store, folder, nginx) as opened:
                return _run(servers[0], opened, asked)
        finally:
            if asked.keep:
                _keep(folder, asked.keep)


def _run(victim: TorchServe, opened: Door, asked: argparse.Namespace) -> int:
    shots = [
        Shot(f"{opened.url}/explanations/{MODEL}", picture, {"Content-Type": "image/jpeg"})
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
    load = _killed(shots, rate, victim, asked)
    left = closed_loop(shots, 2 * asked.batch_size, seconds=asked.measure)
    print(
        f"the replica that is left does {left.rate:.1f}/s by itself; {rate:.1f}/s is "
        f"{100 * rate / left.rate if left.rate else math.inf:.0f}% of that"
    )
    before = poisson_arrivals(rate, asked.seconds, asked.seed) < asked.seconds / 2
    found = halves(load.latencies, load.statuses, before, read_asked(opened.access_log, _IDS))
    for half in found:
        for failure in half.failures():
            print(f"failed, {half.name}: {failure}")
    for reason, count in load.reasons.items():
        print(f"no answer: {count} × {reason}")
    print(_table(found, replica, rate, asked.seed))
    print(f"asked of a second replica and answered: {sum(half.repeated for half in found)}")
    if asked.out:
        _write(asked.out, times, rate, left.rate, found)
    if any(half.failed for half in found):
        return 1
    return 3 if any(half.refused for half in found) else 0


def _keep(folder: Path, kept: Path) -> None:
    for log in sorted(folder.rglob("*.log")):
        copy = kept / log.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, copy)


def _write(path: Path, times: BatchTimes, rate: float, left: float, found: Sequence[Half]) -> None:
    document = {
        "command": ["python", "benchmarks/live_replicas.py", *sys.argv[1:]],
        "batch_seconds": [times.fixed, times.per_request],
        "rate": rate,
        "limit_of_one_left": left,
        "halves": [
            {
                "name": half.name,
                "refused": half.refused,
                "failed": half.failed,
                "repeated": half.repeated,
                "latencies": half.latencies.tolist(),
                "statuses": half.statuses.tolist(),
            }
            for half in found
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
        return open_loop(
            shots, rate, asked.seconds, asked.seed, clients=_CLIENTS, timeout=_PATIENCE, ids=_IDS
        )
    finally:
        timer.cancel()


def _table(found: Sequence[Half], replica: Replica, rate: float, seed: int) -> str:
    lines = [
        "| | requests | refused | failed | p50 ms | p99 ms "
        "| model: p50 | p99 | simulation: p50 | p99 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for half in found:
        model = forecast(replica, rate / half.replicas)
        generator = np.random.default_rng(seed)
        arrivals = np.cumsum(generator.exponential(1 / rate, _SIMULATED))
        simulated, _ = serve(replica, arrivals, replicas=half.replicas, balancing="least")
        lines.append(
            f"| {half.name} | {len(half.latencies)} | {half.refused} | {half.failed} "
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
        default=0.3,
        help="of what both replicas can do; one must carry it, with room for the load that others "
        "put on the machine (default: %(default)s)",
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
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for all logs of the run")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON of all latencies")
    return parser


if __name__ == "__main__":
    sys.exit(main())
