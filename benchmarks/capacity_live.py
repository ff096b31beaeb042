"""Holds the capacity model against a live TorchServe, as benchmarks/server.py measured it.

Example:
    python benchmarks/server.py
    python benchmarks/capacity_live.py run/benchmarks/server/server.json

Of each model and each way to ask for which requests also arrived at random, what a batch takes is
read off the closed loops: a lone client's median latency less the batch delay gives a batch of one,
and the rate of the most clients gives full batches. Nothing is fitted to what is then compared: the
latencies under random arrivals at shares of that rate. Clients and server share the machine, which
the model does not know of.
"""

import argparse
import sys
from pathlib import Path
from statistics import median

from finding import ROOT

sys.path.insert(1, str(ROOT / "scripts"))

from scaling.capacity import Forecast, forecast
from scaling.replica import BatchTimes, Replica
from server_results import Found, Sample


def replica_of(found: Found, model: str, contender: str, delay: float, batch_size: int) -> Replica:
    """What the only worker of an archive can do."""
    alone = median(load.p50 for load in found.loads(model, contender, min(found.concurrencies)))
    rate = median(load.rate for load in found.loads(model, contender, max(found.concurrencies)))
    times = BatchTimes.fitted({1: alone - delay, batch_size: batch_size / rate})
    return Replica(times, 1, batch_size, delay)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="the server.json of benchmarks/server.py")
    parser.add_argument("--delay", type=float, default=20, help="ms (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=8, help="default: %(default)s")
    return parser


def main() -> int:
    """Runs the command line."""
    arguments = build_parser().parse_args()
    found = Found.read(arguments.results)
    if min(found.concurrencies) != 1 or max(found.concurrencies) < 2 * arguments.batch_size:
        print(
            f"error: closed loops of one client and of {2 * arguments.batch_size} are needed, and "
            f"there are those of {', '.join(map(str, sorted(found.concurrencies)))}",
            file=sys.stderr,
        )
        return 2
    print(
        "| model, asked for | ms of a batch | arrivals/s | requests | mean ms | p50 ms | p99 ms |\n"
        "|---|---|---|---|---|---|---|"
    )
    for model, contender in dict.fromkeys((one.model, one.contender) for one in found.open):
        replica = replica_of(found, model, contender, arguments.delay / 1000, arguments.batch_size)
        for sample in found.open:
            if (sample.model, sample.contender) == (model, contender):
                print(_row(sample, replica))
    return 0


def _row(sample: Sample, replica: Replica) -> str:
    times, load = replica.times, sample.load
    rate = len(load.latencies) / load.seconds
    said: Forecast = forecast(replica, rate)
    return (
        f"| {sample.model}, {sample.contender} | {1000 * times.fixed:.0f} + "
        f"{1000 * times.per_request:.1f} × b | {rate:.1f} ({rate / replica.limit:.0%}) "
        f"| {len(load.latencies)} | {1000 * said.latency:.0f} / {1000 * load.latencies.mean():.0f} "
        f"| {1000 * said.p50:.0f} / {1000 * load.p50:.0f} "
        f"| {1000 * said.p99:.0f} / {1000 * load.p99:.0f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
