"""Finds how to serve an archive on this machine, and writes it as model-config.yaml.

Serves the archive with one setup after the other in a TorchServe of its own, on this machine and
nowhere else, and loads it: precision, workers and threads, the size of a batch, and how long a
batch waits. Taken is the setup with the most answers per second of those whose 95th percentile
under full load is within --limit. A precision below fp32 changes answers a little (see
docs/performance.md), so only the archive's own is tried, or those that are named. A setup that
cannot be served, for want of memory say, is told with its reason, and the others are tried all the
same. A setup takes about a quarter of a minute, and longer where a model loads slowly; what was
found so far is in tuning.json after each, so nothing is lost when you stop it.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from load import Shot, closed_loop
from repository import ROOT
from sample_photographs import sample_photographs
from served_config import CONFIG, own_precision, read_config, rewrite
from torchserve_process import TorchServe, TorchServeError
from tuning import (
    BATCH_SIZES,
    DELAYS,
    PRECISIONS,
    Choices,
    Measured,
    Refused,
    Setup,
    best,
    configured,
    search,
)

_ASKED = {
    "predictions": ("predictions", {}),
    "grid": ("explanations", {}),
    "overlay": ("explanations", {"X-Explain-Overlay": "jpeg"}),
}
_EXAMPLES = """
examples:
  python scripts/tune.py model_store/demo.mar
  python scripts/tune.py model_store/demo.mar --limit 200 --batch-sizes 4 8 --delays 5
  python scripts/tune.py model_store/resnet50.mar --precision fp32 bf16 --limit 500
  python scripts/tune.py model_store/demo.mar --picture photo.jpg --ask overlay --tuned demo.mar
"""


def main() -> int:
    """Runs the command line."""
    arguments = build_parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped too
    try:
        config = read_config(arguments.archive)
    except (OSError, zipfile.BadZipFile, KeyError, yaml.YAMLError) as error:
        print(
            f"error: {arguments.archive} is not an archive of ours: {error}; "
            "scripts/package_model.py makes one",
            file=sys.stderr,
        )
        return 2
    choices = Choices(
        arguments.cores or _count_cores(),
        tuple(arguments.precision or [own_precision(config)]),
        tuple(arguments.batch_sizes),
        tuple(arguments.delays),
    )
    pictures = [arguments.picture.read_bytes()] if arguments.picture else sample_photographs()
    print(
        f"{choices.cores} cores, {' and '.join(choices.precisions)}; "
        f"at most {choices.most} setups, and {arguments.limit:g} ms for 95 of 100 answers",
        flush=True,
    )

    def measure(setup: Setup) -> Measured | Refused:
        try:
            return serve(
                *(arguments.archive, config, setup, pictures, arguments.ask, arguments.seconds),
                arguments.out / "logs" / setup.folder,
            )
        except TorchServeError as error:
            return Refused(setup, str(error))

    found = []
    limit = arguments.limit / 1000
    arguments.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    for one in search(choices, measure, limit):
        found.append(one)
        tried = [asdict(each) for each in found]
        (arguments.out / "tuning.json").write_text(json.dumps(tried, indent=1), encoding="utf-8")
        taken = time.monotonic() - started
        left = taken / len(found) * (choices.most - len(found))
        print(
            f"[{len(found)} of at most {choices.most}, {taken:.0f} s, at most {left:.0f} s to go] "
            f"{_line(one, limit)}",
            flush=True,
        )
    chosen = best(found, limit)
    if chosen is None:
        print("error: no setup could be served", file=sys.stderr)
        return 1
    tuned = configured(config, chosen.setup)
    text = yaml.safe_dump(tuned, sort_keys=False, allow_unicode=True)
    (arguments.out / CONFIG).write_text(text, encoding="utf-8")
    print(f"\nchosen: {_line(chosen, limit)}\nwritten: {arguments.out / CONFIG}")
    if arguments.tuned:
        rewrite(arguments.archive, tuned, arguments.tuned)
        print(f"written: {arguments.tuned}")
    if not chosen.within(limit):
        print(f"No setup answered within {arguments.limit} ms; this one waits least.")
    return 0


def serve(
    archive: Path,
    config: Any,
    setup: Setup,
    pictures: Sequence[bytes],
    asked: str,
    seconds: float,
    logs: Path,
) -> Measured:
    """Serves an archive with a setup, and loads it with one client and with many.

    Args:
        archive: Of ours.
        config: Its configuration.
        setup: What to change in it.
        pictures: JPEGs to send.
        asked: What clients ask for; one of ``--ask``.
        seconds: Of full load.
        logs: The folder for the server's logs, which tell more of a setup that cannot be served.

    Raises:
        TorchServeError: It cannot be served so; the message says why.
    """
    with tempfile.TemporaryDirectory(prefix="tune-") as folder:
        store = Path(folder)
        rewrite(archive, configured(config, setup), store / "tuned.mar")
        with TorchServe(store, {"tuned": "tuned.mar"}, log_dir=logs) as server:
            server.wait_ready(timeout=600)
            verb, headers = _ASKED[asked]
            url = f"{server.inference_url}/{verb}/tuned"
            jpeg = {"Content-Type": "image/jpeg", **headers}
            shots = [Shot(url, picture, jpeg) for picture in pictures]
            clients = 2 * setup.batch_size * setup.workers  # one batch runs, the next is full
            closed_loop(shots, clients, requests=clients)
            lone = closed_loop(shots, 1, seconds=seconds / 2)
            full = closed_loop(shots, clients, seconds=seconds)
    return Measured(setup, full.rate, full.p95, lone.p50, lone.errors + full.errors)


def _line(measured: Measured | Refused, limit: float) -> str:
    if isinstance(measured, Refused):
        return f"{measured.setup}: refused: {measured.reason}"
    late = "" if measured.within(limit) else "  (beyond the limit)"
    wrong = f", {measured.errors} ERRORS" if measured.errors else ""
    return (
        f"{measured.setup}: {measured.rate:.1f}/s, p95 {measured.busy * 1000:.0f} ms, "
        f"alone {measured.lone * 1000:.0f} ms{wrong}{late}"
    )


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=_archive, help="an archive that package_model.py made")
    parser.add_argument(
        "--limit",
        type=float,
        default=1000,
        metavar="MS",
        help="milliseconds in which 95 of 100 answers must come (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=PRECISIONS,
        help="those that may be taken (default: the archive's own)",
    )
    for name, default, what in (
        ("--batch-sizes", BATCH_SIZES, "requests that a batch holds at most"),
        ("--delays", DELAYS, "milliseconds that a batch waits for more"),
    ):
        parser.add_argument(
            name,
            nargs="+",
            type=_count,
            default=default,
            metavar="N",
            help=f"{what} (default: {' '.join(map(str, default))})",
        )
    parser.add_argument(
        "--ask", choices=_ASKED, default="grid", help="what clients ask for (default: grid)"
    )
    parser.add_argument("--picture", type=_file, help="default: four photographs of 500×375 pixels")
    parser.add_argument("--cores", type=_count, help="default: those that this process may use")
    parser.add_argument(
        "--seconds", type=float, default=6, help="of full load for each setup (default: 6)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "run" / "tuning",
        metavar="FOLDER",
        help="default: run/tuning",
    )
    parser.add_argument(
        "--tuned", type=Path, metavar="FILE.mar", help="write the archive with the new settings too"
    )
    return parser


def _archive(text: str) -> Path:
    try:
        return _file(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"{error}; scripts/package_model.py makes archives, ./scripts/serve.sh the demo model's"
        ) from error


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return path


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def _count_cores() -> int:
    # torch takes seconds to import, which what is wrong with the command line need not wait for
    sys.path.insert(0, str(ROOT / "handlers"))
    from gradcam.crew import count_cores  # noqa: PLC0415

    return count_cores()


if __name__ == "__main__":
    sys.exit(main())
