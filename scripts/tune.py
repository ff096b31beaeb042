"""Finds how to serve an archive on this machine, and writes it as model-config.yaml.

Serves the archive with one setup after the other in a TorchServe of its own, on this machine and
nowhere else, and loads it: precision, workers and threads, the size of a batch, and how long a
batch waits. Taken is the setup with the most answers per second of those whose 95th percentile
under full load is within --limit. Precisions below fp32 change answers a little (see
docs/performance.md), so only those that are named are tried. A setup that cannot be served, for
want of memory say, is told with its reason, and the others are tried all the same.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from load import Shot, closed_loop
from repository import ROOT
from sample_photographs import sample_photographs
from torchserve_process import TorchServe, TorchServeError
from tuning import Measured, Refused, Setup, best, configured, search

sys.path.insert(0, str(ROOT / "handlers"))

from gradcam.arranging import PRECISIONS
from gradcam.crew import count_cores

_CONFIG = "model-config.yaml"
_ASKED = {
    "predictions": ("predictions", {}),
    "grid": ("explanations", {}),
    "overlay": ("explanations", {"X-Explain-Overlay": "jpeg"}),
}
_EXAMPLES = """
examples:
  python scripts/tune.py model_store/demo.mar
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
        print(f"error: {arguments.archive} is not an archive of ours: {error}", file=sys.stderr)
        return 2
    cores = arguments.cores or count_cores()
    pictures = [arguments.picture.read_bytes()] if arguments.picture else sample_photographs()
    print(f"{cores} cores; at most {arguments.limit} ms for 95 of 100 answers", flush=True)

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
    for one in search(cores, arguments.precision, measure, limit):
        found.append(one)
        print(_line(one, limit), flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    tried = [asdict(one) for one in found]
    (arguments.out / "tuning.json").write_text(json.dumps(tried, indent=1), encoding="utf-8")
    chosen = best(found, limit)
    if chosen is None:
        print("error: no setup could be served", file=sys.stderr)
        return 1
    tuned = configured(config, chosen.setup)
    text = yaml.safe_dump(tuned, sort_keys=False, allow_unicode=True)
    (arguments.out / _CONFIG).write_text(text, encoding="utf-8")
    print(f"\nchosen: {_line(chosen, limit)}\nwritten: {arguments.out / _CONFIG}")
    if arguments.tuned:
        rewrite(arguments.archive, tuned, arguments.tuned)
        print(f"written: {arguments.tuned}")
    if not chosen.within(limit):
        print(f"No setup answered within {arguments.limit} ms; this one waits least.")
    return 0


def read_config(archive: Path) -> Any:
    """The ``model-config.yaml`` of an archive.

    Raises:
        KeyError: It is none of ours.
    """
    with zipfile.ZipFile(archive) as opened:
        config = yaml.safe_load(opened.read(_CONFIG))
    if "gradcam" not in config.get("handler", {}):
        raise KeyError("handler: gradcam")
    return config


def rewrite(archive: Path, config: Any, path: Path) -> None:
    """Writes an archive with another ``model-config.yaml``."""
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(unfinished, "w") as target:
        for entry in source.infolist():
            if entry.filename == _CONFIG:
                target.writestr(entry, text)
                continue
            with source.open(entry) as old, target.open(entry, "w") as new:
                shutil.copyfileobj(old, new, 1 << 20)
    unfinished.replace(path)


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
    parser.add_argument("archive", type=Path, help="an archive that package_model.py made")
    parser.add_argument(
        "--limit", type=float, default=1000, metavar="MS", help="default: %(default)s"
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=PRECISIONS,
        default=["fp32"],
        help="those that may be taken (default: fp32)",
    )
    parser.add_argument(
        "--ask", choices=_ASKED, default="grid", help="what clients ask for (default: grid)"
    )
    parser.add_argument("--picture", type=Path, help="default: four photographs of 500×375 pixels")
    parser.add_argument("--cores", type=int, help="default: those that this process may use")
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


if __name__ == "__main__":
    sys.exit(main())
