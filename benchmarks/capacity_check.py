"""Holds the capacity model against the simulation, over a grid of replicas and loads.

Examples:
    python benchmarks/capacity_check.py
    python benchmarks/capacity_check.py --requests 50000 --balancing least --replicas 4

Every case is one replica at a share of its limit (or several, each with that load), requests that
arrive at random, and batches that all take exactly what the times say, but for --spread. Prints a
table: model / simulation, and the model's error in the mean latency and in the 99th percentile.
"""

import argparse
import math
import sys
from dataclasses import dataclass
from statistics import median

import numpy as np
from scaling.balancing import BALANCING
from scaling.capacity import Forecast, forecast
from scaling.replica import BatchTimes, Replica
from scaling.simulation import Served, serve

TIMES = {
    "4+4": BatchTimes(0.0044, 0.0039),
    "30+34": BatchTimes(0.030, 0.034),
    "10+1": BatchTimes(0.010, 0.001),
}
"""Milliseconds of a batch and of each request: a small network and a large one on two cores, and a
device that takes hardly longer for more."""

SHAPES = ((1, 1, 0.005), (1, 8, 0.005), (1, 8, 0.02), (2, 8, 0.005), (4, 8, 0.005), (4, 16, 0.02))
"""Workers, batch size and delay in seconds."""

SHARES = (0.3, 0.6, 0.8, 0.95)


@dataclass(frozen=True)
class Case:
    """What the model and the simulation say of the same."""

    name: str
    workers: int
    model: Forecast
    served: Served
    share: float

    @property
    def mean(self) -> float:
        """Mean simulated latency in seconds."""
        return float(np.nanmean(self.served.latencies))

    @property
    def mean_error(self) -> float:
        """Of the model's mean latency, as a share of the simulated."""
        return self.model.latency / self.mean - 1

    @property
    def p99_error(self) -> float:
        """Likewise of the 99th percentile."""
        return self.model.p99 / self.served.quantile(0.99) - 1


def check(replica: Replica, name: str, share: float, asked: argparse.Namespace) -> Case:
    """Simulates one case and asks the model."""
    rate = share * replica.limit
    generator = np.random.default_rng(asked.seed)
    count = asked.requests * asked.replicas
    arrivals = np.cumsum(generator.exponential(1 / rate / asked.replicas, count))
    served, _ = serve(
        replica,
        arrivals,
        replicas=asked.replicas,
        balancing=asked.balancing,
        spread=asked.spread,
        seed=asked.seed,
    )
    settled = served.between(0.05 * arrivals[-1], math.inf)  # they begin with nobody in the queue
    return Case(name, replica.workers, forecast(replica, rate), settled, share)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=200_000, help="of a replica in each case")
    parser.add_argument("--replicas", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--balancing", choices=BALANCING, default="random")
    parser.add_argument("--spread", type=float, default=0.0, help="of a batch's time, of its mean")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main() -> int:
    """Runs the command line."""
    asked = build_parser().parse_args()
    print(
        "| ms of a batch | workers | batch | delay ms | load | mean batch | mean ms | p99 ms "
        "| error of mean | of p99 |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    cases: list[Case] = []
    for name, times in TIMES.items():
        for workers, size, delay in SHAPES:
            replica = Replica(times, workers, size, delay, queue_size=500)
            for share in SHARES:
                case = check(replica, name, share, asked)
                cases.append(case)
                print(_row(case, replica), flush=True)
    print()
    for text, alone in (("one worker", True), ("several workers", False)):
        chosen = [case for case in cases if (case.workers == 1) == alone]
        print(
            f"{text}: {_errors([case.mean_error for case in chosen], 'mean latency')}; "
            f"{_errors([case.p99_error for case in chosen], 'p99')}"
        )
    return 0


def _errors(errors: list[float], of_what: str) -> str:
    sizes = sorted(abs(error) for error in errors)
    return f"{of_what} off by {median(sizes):.1%} (median), {sizes[-1]:.1%} at most"


def _row(case: Case, replica: Replica) -> str:
    model, p99 = case.model, case.served.quantile(0.99)
    return (
        f"| {case.name} | {replica.workers} | {replica.batch_size} | {1000 * replica.delay:.0f} "
        f"| {case.share:.0%} | {model.mean_size:.1f} | {1000 * model.latency:.1f} / "
        f"{1000 * case.mean:.1f} | {1000 * model.p99:.0f} / "
        f"{1000 * p99:.0f} | {case.mean_error:+.1%} | {case.p99_error:+.1%} |"
    )


if __name__ == "__main__":
    sys.exit(main())
