"""What the metrics cost: a batch in this process, and a server with our metrics file or without.

Examples:
    python benchmarks/metrics_cost.py
    python benchmarks/metrics_cost.py --batch 8 32 --rounds 500 --no-server

In this process, with the demo model's archive: how long a worker takes to tell TorchServe what
happened to a batch of explanations, written to a pipe that another process reads, and to look up
how much memory it holds; beside them the whole walk of that batch. Then two servers with the demo
model, one with our metrics file and one with TorchServe's own, take turns in answering predictions
of a small picture, the request that costs least: the ratio of their rates is what lines on the way
to TorchServe and into its log cost, and the worker's part of it. Needs TorchServe.
"""

import argparse
import io
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from command_line import turns
from finding import ROOT
from interleaved import order_of
from spread import spread

sys.path.insert(1, str(ROOT / "scripts"))

import ts
import yaml
from photographs import read_photographs
from PIL import Image
from ts.context import Context
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl

import gradcam_handler
import model_packaging
from gradcam.measures import samples_of
from gradcam.memory import used_bytes
from load import Shot, closed_loop
from packaging_options import DEMO_ARCHITECTURE, PackagingOptions
from torchserve_process import TorchServe

OURS = ROOT / "metrics.yaml"
STOCK = Path(ts.__file__).parent / "configs" / "metrics.yaml"


def load_handler(archive: Path, folder: Path) -> tuple[gradcam_handler.GradCAMHandler, Any]:
    """The handler with its context, as a worker that was given our metrics file has them."""
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text(encoding="utf-8"))
    config = yaml.safe_load((folder / "model-config.yaml").read_text(encoding="utf-8"))
    metrics = MetricsCacheYamlImpl(str(OURS))
    metrics.initialize_cache()
    context = Context("demo", str(folder), manifest, 8, None, "0.12.0", True, metrics, config)
    handler = gradcam_handler.GradCAMHandler()
    handler.initialize(context)
    return handler, context


@contextmanager
def lines_to_a_pipe() -> Iterator[None]:
    """Sends TorchServe's lines where a worker's go: to a pipe, flushed one by one."""
    reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert reader.stdin is not None
    stream, logger = logging.StreamHandler(reader.stdin), logging.getLogger("ts")
    logger.addHandler(stream)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(stream)
        reader.stdin.close()
        reader.wait()


def in_process(archive: Path, batch: int, rounds: int) -> None:
    """Prints the milliseconds of a batch."""
    photographs, _ = read_photographs()
    requests: list[Any] = [
        ({"data": photographs[n % len(photographs)], "overlay": b"jpeg"}, {"explain": "True"})
        for n in range(batch)
    ]
    with tempfile.TemporaryDirectory() as folder, lines_to_a_pipe():
        handler, context = load_handler(archive, Path(folder))
        _, record = handler._service.answer_recorded(requests)
        works: dict[str, Callable[[], object]] = {
            "lines to TorchServe": lambda: gradcam_handler._count(
                record, context.model_name, handler._instruments
            ),
            "memory": lambda: used_bytes(handler._service._explainer.device),
            "the whole walk": lambda: handler._service.answer(requests),
        }
        for name, work in works.items():
            work()
            times = [_milliseconds(work) for _ in range(rounds)]
            what = f"{len(list(samples_of(record)))} lines" if "lines" in name else ""
            print(f"batch of {batch:2}: {name:20} {spread(times)} ms {what}", flush=True)


def on_a_server(store: Path, rounds: int, seconds: float) -> None:
    """Prints the answers a second, and their ratio in each round."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (90, 120, 30)).save(buffer, "PNG")
    rates: dict[str, list[float]] = {"ours": [], "TorchServe's": []}
    with tempfile.TemporaryDirectory() as logs:
        servers = {
            name: TorchServe(
                store,
                {"demo": "demo.mar"},
                log_dir=Path(logs) / str(number),
                config={"metrics_config": str(file)},
            )
            for number, (name, file) in enumerate(zip(rates, (OURS, STOCK), strict=True))
        }
        try:
            shots = {}
            for name, server in servers.items():
                server.start()
                server.wait_ready()
                url = f"{server.inference_url}/predictions/demo"
                shots[name] = [Shot(url, buffer.getvalue(), {"Content-Type": "image/png"})]
                closed_loop(shots[name], 16, seconds=seconds)  # Java compiles as it goes
            for turn in range(rounds):
                for name in order_of(list(servers), turn):
                    load = closed_loop(shots[name], 16, seconds=seconds)
                    assert not load.errors
                    rates[name].append(load.rate)
        finally:
            for server in servers.values():
                server.stop()
    for name, found in rates.items():
        print(f"metrics file {name:13}: {statistics.median(found):6.0f} predictions a second")
    both = [ours / other for ours, other in zip(*rates.values(), strict=True)]
    print(f"ours over TorchServe's   : {spread(both)}")


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8], help="default: 1 8")
    parser.add_argument("--rounds", type=turns, default=200, help="default: %(default)s")
    parser.add_argument("--no-server", dest="server", action="store_false")
    parser.add_argument("--turns", type=turns, default=12, help="of each server (default: 12)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a turn (default: 4)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line."""
    told = build_parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        model_packaging.package(PackagingOptions(DEMO_ARCHITECTURE, export_path=store))
        for batch in told.batch:
            in_process(store / "demo.mar", batch, told.rounds)
        if told.server:
            on_a_server(store, told.turns, told.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
