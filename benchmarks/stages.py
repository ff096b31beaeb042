"""Where the time of an explanation goes, from the bytes of a JPEG to those of the answer.

Examples:
    python benchmarks/stages.py
    python benchmarks/stages.py resnet50 --execution precision=bf16 --batch 8
    python benchmarks/stages.py resnet18 --torchserve --rounds 9
    python benchmarks/stages.py resnet50 --device cuda --batch 1 32 --rounds 30

All stages of one batch take their turn in every round, in this process and without a server, each
alone: so much of it as the worker does in several threads at once (reading and writing) is timed in
one. What follows is the whole walk of a batch as the worker does it, with as many threads as cores:
predictions, explanations with the grid, and with a JPEG overlay. On a CUDA device the same is asked
of recorded graphs and of the general way. Photographs are those of the folder photos/ in
GRADCAM_TEST_DATA, else scikit-image's, else one of the documents', at 500×375 pixels. Prints a
table, and writes stages.json and, with matplotlib, stages.png. Beside this repository it needs
torch, torchvision and OpenCV.

With --torchserve a live TorchServe has its turns too: it serves the same network in batches of the
same size to twice as many clients, and what a picture takes there beyond the walk of the same round
is TorchServe's own share: sockets, queue, frontend, the way to the worker, and the clients, which
share the cores. What of it runs beside the worker's work costs nothing, and is not in the share.
That needs TorchServe, and what packages archives.
"""

import argparse
import importlib.util
import json
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from command_line import NETWORKS, networks_parser
from finding import ROOT
from interleaved import in_turns, seconds
from machine import describe

sys.path.insert(1, str(ROOT / "scripts"))

from photographs import read_photographs
from stages_report import (
    ALONE,
    DOCUMENT,
    EVIDENCE,
    FORWARD,
    GRADIENT,
    GRID,
    OVERLAY,
    PREDICTIONS,
    SERIALISE,
    Row,
    draw,
    parted,
    table,
)

from gradcam import Ask, Explainer, Outcome, freeze
from gradcam.answer import drawing
from gradcam.answer.document import ModelCard, grid_of, to_json
from gradcam.answer.evidence import weigh
from gradcam.answer.writer import Writer
from gradcam.crew import count_cores
from gradcam.geometry import plan_view
from gradcam.heap import keep_freed_memory
from gradcam.labels import parse_class_names
from gradcam.networks import build_network
from gradcam.pictures import render
from gradcam.pictures.picture import decode_picture
from gradcam.pictures.preprocess import normalise, show
from gradcam.request.options import Vocabulary, parse_options
from gradcam.request.subject import Subject
from gradcam.service import Service, make_explainer
from gradcam.settings import Settings, read_settings


def measure(
    architecture: str,
    batch: int,
    device: torch.device,
    execution: Mapping[str, Any],
    rounds: int,
    served: Mapping[str, Callable[[], float]],
) -> Row:
    """Times every stage and every walk once in each round.

    Args:
        architecture: Torchvision's.
        batch: Pictures.
        device: Where the network runs.
        execution: How it does, as in the settings.
        rounds: How many.
        served: By name, what measures a batch in a live server and gives its seconds.
    """
    works = works_of(architecture, batch, device, execution)
    for work in works.values():
        seconds(work)
    takes = {name: partial(seconds, work) for name, work in works.items()}
    return Row(architecture, batch, parted(in_turns({**takes, **served}, rounds)))


def works_of(
    architecture: str, batch: int, device: torch.device, execution: Mapping[str, Any]
) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    settings = read_settings(
        {"handler": {"gradcam": {**_section(architecture), "execution": dict(execution)}}}
    )
    explainer = _explainer(architecture, settings, device)
    classes = parse_class_names({}, settings.num_classes)
    card = ModelCard(architecture, "1", architecture, "0")
    cycle = read_photographs()[0]
    files = [cycle[number % len(cycle)] for number in range(batch)]
    preprocessing = settings.preprocessing
    decoded = [decode_picture(data, 10**8, 10**8) for data in files]
    views = [plan_view(picture.frame, preprocessing) for picture in decoded]
    shown = [show(*both, preprocessing.interpolation) for both in zip(decoded, views, strict=True)]
    ready = normalise(shown, preprocessing, device, explainer.dtype)
    outcomes = explainer.run(ready, [Ask()] * batch)
    sound = [outcome for outcome in outcomes if isinstance(outcome, Outcome)]
    assert len(sound) == batch
    default = explainer.layers.default
    assert default is not None
    vocabulary = Vocabulary(classes, explainer.layers, (default,), settings.method, 16)
    subjects = [
        Subject(picture.width, picture.height, view, picture.pixels, parse_options({}, vocabulary))
        for picture, view in zip(decoded, views, strict=True)
    ]
    writer = Writer(card, classes, settings.limits)
    grids = [grid_of(outcome.maps[0]) for outcome in sound]
    pairs = list(zip(subjects, grids, strict=True))
    laid = [drawing.overlay(*pair) for pair in pairs]

    def write(subject: Subject, outcome: Outcome) -> bytes:
        return writer.explanations([subject], [outcome], wrapped=False).body

    documents = [json.loads(write(*pair)) for pair in zip(subjects, sound, strict=True)]
    service = Service(explainer, settings, classes, card, count_cores())
    service.warm_up(batch)

    def walk(*, explain: bool, **options: str) -> Callable[[], object]:
        requests = [
            (
                {"data": data, **{key: value.encode() for key, value in options.items()}},
                {"explain": str(explain)},
            )
            for data in files
        ]
        assert all(response.status == 200 for response in service.answer(requests))
        return lambda: service.answer(requests)

    def bare() -> None:
        with torch.inference_mode():
            explainer.network(ready)

    works: dict[str, Callable[[], object]] = {
        "decode": lambda: [decode_picture(data, 10**8, 10**8) for data in files],
        "resize": lambda: [
            show(*both, preprocessing.interpolation) for both in zip(decoded, views, strict=True)
        ],
        "transfer, normalise": lambda: normalise(shown, preprocessing, device, explainer.dtype),
        FORWARD: lambda: explainer.run(ready, [None] * batch),
        GRADIENT: lambda: explainer.run(ready, [Ask()] * batch),
        EVIDENCE: lambda: [
            weigh(outcome.maps[0].values, view.region, view.part.region)
            for outcome, view in zip(sound, views, strict=True)
        ],
        SERIALISE: lambda: [to_json(document) for document in documents],
        DOCUMENT: lambda: [write(*pair) for pair in zip(subjects, sound, strict=True)],
        "overlay": lambda: [drawing.overlay(*pair) for pair in pairs],
        "encode": lambda: [render.encode(pixels, "jpeg") for pixels in laid],
        ALONE: bare,
        PREDICTIONS: walk(explain=False),
        GRID: walk(explain=True),
        OVERLAY: walk(explain=True, overlay="jpeg"),
    }
    if device.type == "cuda":
        eager = _explainer(architecture, settings, device)
        works["explanation without a graph"] = lambda: eager.run(ready, [Ask()] * batch)
        works["explanation from a graph"] = works[GRADIENT]  # the service warmed it up
    return works


def serving(
    architecture: str, batch: int, execution: Mapping[str, Any], arguments: argparse.Namespace
) -> AbstractContextManager[Mapping[str, Callable[[], float]]]:
    """What measures batches in a live TorchServe; nothing unless it is asked for."""
    if not arguments.torchserve:
        return nullcontext({})
    from served import serve  # noqa: PLC0415 - a bare GPU machine has no TorchServe

    return serve(architecture, batch, execution, read_photographs()[0], arguments.out / "logs")


def _section(architecture: str) -> dict[str, Any]:
    return {"architecture": architecture, "num_classes": 1000}


def _explainer(architecture: str, settings: Settings, device: torch.device) -> Explainer:
    torch.manual_seed(0)
    network = freeze(build_network(architecture, settings.num_classes).eval()).to(device)
    return make_explainer(network, settings)


def _setting(text: str) -> tuple[str, Any]:
    """A key and a value; packaging reads the value as YAML, which a bare GPU machine may lack."""
    key, _, value = text.partition("=")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = networks_parser(__doc__, NETWORKS, rounds=15)
    parser.add_argument("--batch", nargs="+", type=int, default=[8], help="default: 8")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument(
        "--execution",
        action="append",
        default=[],
        type=_setting,
        metavar="KEY=VALUE",
        help="how the device computes, such as precision=bf16; may be repeated",
    )
    parser.add_argument(
        "--torchserve", action="store_true", help="measure TorchServe's own share too"
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "run/benchmarks/stages", metavar="FOLDER"
    )
    return parser


def main() -> int:
    """Runs the command line."""
    parser = build_parser()
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a server is stopped too
    device = torch.device(arguments.device)
    execution = dict(arguments.execution)
    about = describe(device)
    keep_freed_memory()  # as a worker does
    if arguments.torchserve:
        if importlib.util.find_spec("ts") is None:
            parser.error("--torchserve needs TorchServe, which is not installed")
        if (device.type == "cuda") != torch.cuda.is_available():
            parser.error("--torchserve serves on a GPU where there is one: --device must be that")
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for architecture in arguments.architectures:
        for batch in arguments.batch:
            with serving(architecture, batch, execution, arguments) as served:
                rows.append(
                    measure(architecture, batch, device, execution, arguments.rounds, served)
                )
            print(f"{architecture}, batch {batch}: done", file=sys.stderr, flush=True)
    document = {
        "machine": about,
        "command": ["python", "benchmarks/stages.py", *sys.argv[1:]],
        "rows": [
            {"architecture": row.architecture, "batch": row.batch, "seconds": dict(row.seconds)}
            for row in rows
        ],
    }
    (arguments.out / "stages.json").write_text(json.dumps(document), encoding="utf-8")
    print(table(rows))
    draw(rows, arguments.out / "stages.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
