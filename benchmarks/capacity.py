"""What a number of replicas makes of a load, and how many a load needs, by the capacity model.

Examples:
    python benchmarks/capacity.py --rate 100 --limit 1000
    python benchmarks/capacity.py --tuning run/tuning/tuning.json --workers 2 --rate 2000
    python benchmarks/capacity.py --measured 1=12 8=40 --rate 50000 --limit 250 --replicas 1000

The first table is of one replica, at shares of its limit; the second of the replicas that answer
99 of 100 requests in time. What a batch takes is measured by scripts/tune.py; docs/scaling.md says
how, and what the model leaves out.
"""

import argparse
import sys

from scaling.arguments import add_replica, replica_of
from scaling.capacity import forecast, highest_rate, replicas_needed
from scaling.replica import Replica

_SHARES = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_replica(parser)
    parser.add_argument("--rate", type=float, help="requests per second of all replicas")
    parser.add_argument(
        "--limit", type=float, default=1000, metavar="MS", help="of the p99 (default: %(default)s)"
    )
    parser.add_argument("--replicas", type=int, help="also say what so many replicas make of it")
    return parser


def main() -> int:
    """Runs the command line."""
    arguments = build_parser().parse_args()
    try:
        replica = replica_of(arguments)
        print(_of_one(replica, arguments.limit / 1000))
        if arguments.rate is not None:
            print(_of_all(replica, arguments.rate, arguments.limit / 1000, arguments.replicas))
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _of_one(replica: Replica, limit: float) -> str:
    times = replica.times
    lines = [
        f"A batch of b takes {1000 * times.fixed:.1f} ms + {1000 * times.per_request:.1f} ms × b. "
        f"One replica's limit: {replica.limit:.1f} requests per second.",
        "",
        "| utilisation | requests/s | workers busy | mean batch | refused | wait ms | p50 ms "
        "| p99 ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for share in _SHARES:
        one = forecast(replica, share * replica.limit)
        lines.append(
            f"| {share:.0%} | {one.rate:.1f} | {one.busy:.0%} | {one.mean_size:.1f} "
            f"| {one.refused:.2%} | {1000 * one.wait:.0f} | {1000 * one.p50:.0f} "
            f"| {1000 * one.p99:.0f} |"
        )
    highest = highest_rate(replica, limit)
    share = highest / replica.limit
    lines += [
        "",
        f"p99 within {1000 * limit:.0f} ms: up to {highest:.1f} requests/s ({share:.0%}).",
    ]
    return "\n".join(lines)


def _of_all(replica: Replica, rate: float, limit: float, replicas: int | None) -> str:
    needed = replicas_needed(replica, rate, limit)
    if needed is None:
        return f"\nNo number of replicas answers within {1000 * limit:.0f} ms."
    lines = ["", f"{rate:g} requests per second within {1000 * limit:.0f} ms: {needed} replicas."]
    for count in dict.fromkeys(count for count in (needed, replicas) if count):
        one = forecast(replica, rate / count)
        lines.append(
            f"{count} replicas: utilisation {one.utilisation:.0%}, workers busy {one.busy:.0%}, "
            f"p50 {1000 * one.p50:.0f} ms, p99 {1000 * one.p99:.0f} ms, refused {one.refused:.2%}."
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
