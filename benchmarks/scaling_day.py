"""A day of requests at an autoscaled service, simulated once for each way to scale it.

Examples:
    python benchmarks/scaling_day.py
    python benchmarks/scaling_day.py --tuning run/tuning/tuning.json --workers 2 --peak 2000
    python benchmarks/scaling_day.py --ways shipped processor --working-processor 0.3 --start 120

Requests arrive at random, ten times as many in the afternoon as in the night, and a burst comes at
six in the morning. The autoscaler is Kubernetes's, with its tolerance, windows and policies; every
15 seconds it asks Prometheus, which scrapes as often. Replicas take a while to start, and drain
before they end. The ways:

  shipped      what kubernetes/components/autoscale-keda looks at, and how fast it follows
  requests     the same, but requests per second instead of workers at work
  in service   as shipped, but every request of a batch counts as a busy worker
  slower       the shipped signals, at most twice as many in a minute
  default pace the shipped signals at the pace of Kubernetes's defaults, down as well
  processor    utilisation of the processor alone
  raw counter  TorchServe's example: the counter of queue time, not its rate
  fixed        as many replicas as the capacity model asks for at the peak

Prints a table and writes day.json and day.png. The same seed gives the same numbers.
"""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from scaling.arguments import add_replica, replica_of
from scaling.autoscaled import Setup, run
from scaling.balancing import BALANCING
from scaling.capacity import highest_rate, replicas_needed
from scaling.cluster import Lifetimes
from scaling.day import Day
from scaling.hpa import SHIPPED, SLOWER, Behaviour
from scaling.picture import draw
from scaling.signals import Targets
from scaling.summary import Minutes, Summary, by_minute, summarise, table

ROOT = Path(__file__).resolve().parent.parent
WAYS = {
    "shipped": ("workers", SHIPPED),
    "requests": ("requests", SHIPPED),
    "in service": ("in service", SHIPPED),
    "slower": ("workers", SLOWER),
    "default pace": ("workers", Behaviour(least=SHIPPED.least)),
    "processor": ("processor", SHIPPED),
    "raw counter": ("raw counter", SHIPPED),
    "fixed": ("nothing", SHIPPED),
}
"""Signal and behaviour by the name of the option."""


def main() -> int:
    """Runs the command line."""
    arguments = build_parser().parse_args()
    try:
        setup = _setup(arguments)
        fixed = replicas_needed(setup.replica, setup.day.peak, arguments.limit / 1000)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if fixed is None and "fixed" in arguments.ways:
        print(f"error: no number of replicas keeps {arguments.limit} ms", file=sys.stderr)
        return 2
    summaries: list[Summary] = []
    days: dict[str, Minutes] = {}
    for name in arguments.ways:
        signal, behaviour = WAYS[name]
        least = arguments.min or behaviour.least
        behaviour = dataclasses.replace(behaviour, least=least, most=arguments.max)
        first = fixed if name == "fixed" and fixed else least
        if name == "fixed":
            behaviour = dataclasses.replace(behaviour, most=max(first, arguments.max))
        begun = time.perf_counter()
        day = run(
            dataclasses.replace(setup, behaviour=behaviour), signal, first, _progress(name, begun)
        )
        summaries.append(summarise(name, day, setup.day.hours))
        days[name] = by_minute(day, setup.day.hours)
        print(f"\r{name}: {time.perf_counter() - begun:.0f} s          ", file=sys.stderr)
    arguments.out.mkdir(parents=True, exist_ok=True)
    document = {
        "command": ["python", "benchmarks/scaling_day.py", *sys.argv[1:]],
        "setup": dataclasses.asdict(setup),
        "fixed": fixed,
        "ways": [dataclasses.asdict(one) for one in summaries],
    }
    (arguments.out / "day.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    burst = (arguments.burst_at - 0.05, arguments.burst_at + arguments.burst_minutes / 60 + 0.4)
    draw(days, burst, arguments.out / "day.png")
    print(f"{summaries[0].requests:,} requests; a replica's limit is {setup.replica.limit:.1f}/s\n")
    print(table(summaries))
    return 0


def _setup(arguments: argparse.Namespace) -> Setup:
    replica = replica_of(arguments)
    return Setup(
        replica=replica,
        day=Day(
            peak=arguments.peak,
            fold=arguments.fold,
            peak_at=arguments.peak_at,
            burst=arguments.burst,
            burst_at=arguments.burst_at,
            burst_minutes=arguments.burst_minutes,
            hours=arguments.hours,
        ),
        targets=Targets(
            busy=arguments.busy,
            rate=arguments.requests * highest_rate(replica, arguments.limit / 1000),
            queue_seconds=arguments.queue_seconds,
            pending=arguments.pending,
            processor=arguments.processor,
        ),
        lifetimes=Lifetimes(arguments.start, arguments.drain),
        balancing=arguments.balancing,
        window=arguments.window,
        working_processor=arguments.working_processor,
        spread=arguments.spread,
        seed=arguments.seed,
    )


def _progress(name: str, begun: float) -> Callable[[float], None] | None:
    if not sys.stderr.isatty():
        return None

    def tell(share: float) -> None:
        passed = time.perf_counter() - begun
        print(f"\r{name}: {share:.0%}, {passed:.0f} s", end="", file=sys.stderr, flush=True)

    return tell


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_replica(parser)
    day = parser.add_argument_group("the day")
    defaults, targets, lifetimes = Day(), Targets(), Lifetimes()

    def number(group: argparse._ArgumentGroup, option: str, default: float, text: str) -> None:
        help_text = f"{text} (default: %(default)g)"
        group.add_argument(option, type=float, default=default, metavar="N", help=help_text)

    number(day, "--peak", defaults.peak, "requests per second at the busiest moment")
    number(day, "--fold", defaults.fold, "how many times the quietest moment's rate that is")
    number(day, "--peak-at", defaults.peak_at, "hour of the busiest moment")
    number(day, "--burst", defaults.burst, "requests per second that come on top, at once")
    number(day, "--burst-at", defaults.burst_at, "hour of it")
    number(day, "--burst-minutes", defaults.burst_minutes, "how long it lasts")
    number(day, "--hours", defaults.hours, "where the day ends")
    scaling = parser.add_argument_group("scaling")
    scaling.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="default: all")
    scaling.add_argument("--min", type=int, help="replicas (default: the way's own)")
    scaling.add_argument("--max", type=int, default=20, help="replicas (default: %(default)s)")
    number(scaling, "--limit", 1000, "of the p99 in ms, for fixed and requests")
    number(scaling, "--busy", targets.busy, "target: share of the workers at work")
    number(scaling, "--requests", 0.8, "target: share of the rate whose p99 is within the limit")
    number(scaling, "--queue-seconds", targets.queue_seconds, "target: mean seconds in the queue")
    number(scaling, "--pending", targets.pending, "target: requests in a replica's queue")
    number(scaling, "--processor", targets.processor, "target: share of the processor")
    number(scaling, "--window", 120, "seconds over which rates are taken")
    number(scaling, "--start", lifetimes.start, "seconds from wanting a replica to having it")
    number(scaling, "--drain", lifetimes.drain, "seconds that an ending replica stays at least")
    number(scaling, "--working-processor", 1, "share of its processor that a busy worker uses")
    scaling.add_argument(
        "--balancing", choices=BALANCING, default="random", help="default: %(default)s"
    )
    number(parser.add_argument_group("chance"), "--spread", 0.1, "of a batch's time, of its mean")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "run/benchmarks/scaling",
        metavar="FOLDER",
        help="default: run/benchmarks/scaling",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
