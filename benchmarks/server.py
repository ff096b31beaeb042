"""A live TorchServe under load: our handler, TorchServe's own, and two that others would write.

All of them serve the same seeded random weights with the same batch settings, one worker each, from
one server, and are sent the same photographs of 500×375 pixels. They take turns, so that a machine
whose speed drifts favours none, and rates are compared within a round. The clients share the cores
with the server. Before that all are asked about the same eight photographs, and unless those of one
model and precision name the same best classes, with maps of one shape, nothing is measured.

Writes server.json, with every latency, and server.png; prints tables and what they show.
"""

import argparse
import datetime
import shlex
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "handlers"))

import torch
from machine import describe
from photographs import read_photographs
from server_answers import DisagreementError, ask, compare
from server_archives import PEERS, Batching, package_ours, package_peer, precision_of
from server_arguments import SOAK, contenders_of, read_arguments
from server_contenders import OURS, Contender, ours
from server_measure import Bench, closed_rounds, lone_client, open_loops, soak
from server_plot import draw
from server_report import report
from server_results import Found, Resident, pooled

from torchserve_process import TorchServe

COMPARED = 8
"""Photographs of which all must say the same before any is timed."""


def main(given: Sequence[str] | None = None) -> int:
    """Runs the command line."""
    arguments = read_arguments(__doc__, given)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped too
    out: Path = arguments.out
    if arguments.draw:
        found, out = Found.read(arguments.draw), arguments.draw.parent
    else:
        out.mkdir(parents=True, exist_ok=True)
        command = ["python", "benchmarks/server.py", *(sys.argv[1:] if given is None else given)]
        try:
            found = measure(arguments, shlex.join(command), out)
        except DisagreementError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    draw(found, out / "server.png")
    print(report(found))
    return 0


def measure(arguments: argparse.Namespace, command: str, out: Path) -> Found:
    """Packages, serves and measures; what is found so far is written after every step."""
    photographs, source = read_photographs()
    about = {
        "machine": describe(torch.device("cpu")),
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "photographs": source,
        "batch_size": arguments.batch_size,
        "delay": arguments.delay,
    }
    found = Found(about)
    contenders = contenders_of(arguments)
    named = {one.name: one for one in (one for some in contenders.values() for one in some)}
    opened = {
        model: [named[name] for name in arguments.open_contenders if named[name] in some]
        for model, some in contenders.items()
    }
    with tempfile.TemporaryDirectory(prefix="server-benchmark-") as folder:
        store = Path(folder)
        _package(store, contenders, arguments)
        archives = {path.stem: path.name for path in sorted(store.glob("*.mar"))}
        with TorchServe(store, archives, log_dir=out / "logs") as server:
            _tell(f"waiting for {len(archives)} workers")
            server.wait_ready(timeout=900)
            bench = Bench(server, photographs, arguments.batch_size, _tell)
            measured = [(one, model) for model, some in contenders.items() for one in some]
            for one, model in measured:
                bench.warm_up(one, model)
            found = replace(
                found, about={**about, "answers": _compared(bench, contenders, arguments)}
            )
            served = dict.fromkeys(one.archive(model) for one, model in measured)
            before = {name: bench.resident(name) for name in served}
            for turn in closed_rounds(
                bench, contenders, arguments.concurrency, arguments.rounds, arguments.seconds
            ):
                found = replace(found, closed=[*found.closed, turn])
                found.write(out / "server.json")
            for sample in open_loops(bench, opened, arguments.open, arguments.open_seconds, found):
                found = replace(found, open=[*found.open, sample])
                found.write(out / "server.json")
            residents = [Resident(name, before[name], bench.resident(name)) for name in served]
            found = replace(found, residents=residents)
            if arguments.delays:
                loads = lone_client(
                    bench,
                    {
                        delay: bench.shots(ours(_delayed(delay))[0], arguments.models[0])
                        for delay in arguments.delays
                    },
                    arguments.rounds,
                    arguments.seconds,
                )
                delays = {delay: pooled(turns) for delay, turns in loads.items()}
                found = replace(found, delays=delays)
            found.write(out / "server.json")
            if arguments.soak:
                for requests, mebibytes in soak(
                    bench, arguments.soak_model, SOAK, arguments.soak, arguments.batch_size
                ):
                    found = replace(found, soak={**found.soak, requests: mebibytes})
                    found.write(out / "server.json")
    return found


def _package(
    store: Path, contenders: Mapping[str, Sequence[Contender]], arguments: argparse.Namespace
) -> None:
    batching = Batching(arguments.batch_size, arguments.delay)
    for model, some in contenders.items():
        mine = package_ours(store, f"{model}-{OURS}", model, batching)
        for name, line in arguments.variant.items():
            package_ours(store, f"{model}-{name}", model, batching, shlex.split(line))
        for handler in dict.fromkeys(one.handler for one in some if one.handler in PEERS):
            _tell(f"packaging {model} for {handler}")
            package_peer(store, f"{model}-{handler}", model, handler, mine, batching)
    for delay in arguments.delays:
        model = arguments.models[0]
        lone = Batching(arguments.batch_size, delay)
        package_ours(store, f"{model}-{_delayed(delay)}", model, lone)
    if arguments.soak:
        package_ours(store, f"{arguments.soak_model}-{SOAK}", arguments.soak_model, batching)


def _compared(
    bench: Bench, contenders: Mapping[str, Sequence[Contender]], arguments: argparse.Namespace
) -> list[str]:
    """Sentences on how far all contenders of a model say the same of the same photographs.

    Raises:
        DisagreementError: Two of the same precision do not.
    """
    lower = [
        name
        for name, line in arguments.variant.items()
        if precision_of(shlex.split(line)) != "fp32"
    ]
    sentences: list[str] = []
    for model, some in contenders.items():
        said = [(one, [ask(shot) for shot in bench.shots(one, model)[:COMPARED]]) for one in some]
        sentences += compare(model, said, lower)
    for sentence in sentences:
        _tell(sentence)
    return sentences


def _delayed(delay: int) -> str:
    return f"delay{delay}"


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
