"""The Grafana dashboard's panels, drawn from real numbers.

Examples:
    python benchmarks/dashboard.py
    python benchmarks/dashboard.py --minutes 12 --out run/benchmarks/short
    python benchmarks/dashboard.py --draw run/benchmarks/dashboard/dashboard.json

Starts the container's entry point (nginx, TorchServe and the agent) with the demo model, and a
Prometheus that reads it every five seconds; sends known traffic; and asks Prometheus every query of
kubernetes/components/monitoring/gradcam.json, as Grafana would. What came back goes into
dashboard.json, and dashboard.png shows it, panel by panel. In the burst a second container starts,
as an autoscaler would start a pod, and in the last part it ends. Each has a core of its own, as far
as there are enough, so that two can do more than one. All of it listens on loopback.

Grafana itself is not needed. Prometheus and nginx are those on the path, or Debian's packages,
unpacked into run/tools. Loads are shares of what one container answers, which is measured first.
The exit status is 1 if a panel has nothing to show.
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from finding import ROOT

sys.path.insert(1, str(ROOT))
sys.path.insert(1, str(ROOT / "scripts"))

from watching.board import Panel, read_board
from watching.picture import draw
from watching.pods import Pod, pod
from watching.prometheus_server import Prometheus
from watching.recording import Recording, Sent, ask_all, read, table, write
from watching.traffic import PARTS, Part, warming

import model_packaging
from debian_tools import find_program
from load import closed_loop, open_loop
from packaging_options import DEMO_ARCHITECTURE, PackagingOptions

BOARD = ROOT / "kubernetes" / "components" / "monitoring" / "gradcam.json"
_STEP = 5  # seconds between two points of a curve


@dataclass
class _Service:
    """The pods that serve, as Prometheus and the clients know them."""

    store: Path
    folder: Path
    nginx: Path
    prometheus: Prometheus
    stack: contextlib.ExitStack
    pods: list[Pod] = field(default_factory=list)

    def start(self) -> Pod:
        """Starts one more; it is read from now on."""
        name = f"gradcam-{len(self.pods) + 1}"
        cores = sorted(os.sched_getaffinity(0))
        core = cores[len(self.pods) % len(cores)]
        started = self.stack.enter_context(
            pod(name, self.store, self.folder / name, self.nginx, core)
        )
        self.pods.append(started)
        self._tell()
        return started

    def end_last(self) -> None:
        """Ends the youngest; it is read until it is gone."""
        self.pods[-1].end()
        self.pods.pop()
        self._tell()

    def _tell(self) -> None:
        self.prometheus.read({one.name: one.metrics for one in self.pods})


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line."""
    told = build_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    panels = read_board(BOARD)
    if told.draw:
        recording = read(told.draw)
    else:
        recording = _record(panels, told)
        write(recording, told.out / "dashboard.json")
    print(table(recording.sent))
    empty = draw(panels, recording, told.out / "dashboard.png")
    for title in empty:
        print(f"{title}: no data")
    return 1 if empty else 0


def _record(panels: Sequence[Panel], told: argparse.Namespace) -> Recording:
    with tempfile.TemporaryDirectory(prefix="dash-", dir="/tmp") as name:
        folder = Path(name)
        store = folder / "store"
        model_packaging.package(PackagingOptions(DEMO_ARCHITECTURE, export_path=store))
        prometheus = Prometheus(find_program("prometheus"), folder / "prometheus", told.scrape)
        with prometheus, contextlib.ExitStack() as stack:
            service = _Service(store, folder, find_program("nginx"), prometheus, stack)
            first = service.start()
            first.wait_ready()
            closed_loop(warming(first.door), 16, seconds=5)
            rate = closed_loop(warming(first.door), 16, seconds=10).rate
            print(f"one container answers {rate:.1f} explanations a second", flush=True)
            time.sleep(2 * told.scrape)
            begin = time.time()
            sent = tuple(_all_parts(service, rate, told.minutes * 60, begin))
            end = time.time()
            lines = ask_all(prometheus, panels, begin, end, _STEP, told.scrape)
    command = " ".join(["python", "benchmarks/dashboard.py", *sys.argv[1:]])
    return Recording(command, told.scrape, _STEP, end - begin, sent, lines)


def _all_parts(service: _Service, rate: float, seconds: float, begin: float) -> Iterator[Sent]:
    waiting: Pod | None = None
    for number, part in enumerate(PARTS):
        following = PARTS[min(number + 1, len(PARTS) - 1)]
        with ThreadPoolExecutor(1) as aside:
            if waiting is not None:
                waiting.wait_ready()
                waiting = None
            elif following.pods > len(service.pods):
                waiting = service.start()
            asked = service.pods[: part.pods]
            if part.pods < len(service.pods) and waiting is None:
                aside.submit(service.end_last)
            since = time.time() - begin
            statuses = _send(part, asked, part.load * rate, part.share * seconds, seed=number)
        sent = Sent(part.name, since, time.time() - begin, len(asked), statuses)
        print(f"{sent.end:4.0f} s: {part.name}: {dict(statuses)}", flush=True)
        yield sent


def _send(part: Part, pods: Sequence[Pod], rate: float, seconds: float, seed: int) -> Counter[int]:
    """Sends a part's requests to all pods alike, and counts the answers by status."""
    statuses = Counter[int]()
    with ThreadPoolExecutor(len(pods)) as pool:
        runs = [
            pool.submit(
                open_loop,
                part.shots(one.door),
                rate / len(pods),
                seconds,
                seed + 100 * number,
                clients=part.clients,
            )
            for number, one in enumerate(pods)
        ]
        for run in runs:
            statuses.update(run.result().statuses.tolist())
    return statuses


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=15, help="how long (default: %(default)s)")
    parser.add_argument(
        "--scrape", type=int, default=5, help="seconds between scrapes (default: %(default)s)"
    )
    parser.add_argument(
        "--draw", type=Path, metavar="FILE", help="only draw a recording that was made before"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "run/benchmarks/dashboard",
        metavar="FOLDER",
        help="default: run/benchmarks/dashboard",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
