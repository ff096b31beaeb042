"""Goes through models, batches and targets, and measures every contender of the benchmark."""

import argparse
import datetime
import gc
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import torch
from agreement import Agreement, Oracle
from asked import CannotTakePart
from contenders import CONTENDERS, OURS, UNIT, Contender, usual_contenders
from engine_results import Results, Row, save
from engine_summary import over, summarise
from interleaved import in_rotation
from machine import describe, versions
from peak import peak_mebibytes
from saved import saved_mebibytes
from subjects import Subject, build_subject, noise, pictures_to_compare
from torch import Tensor

from gradcam.heap import keep_freed_memory

DEAR = "integrated-gradients"
"""Takes tens of forward passes."""

DEAR_MODELS = ("resnet18", "resnet50")
"""Where it takes part unless it is asked for everywhere, at batch 1."""


def measure(
    subject: Subject, batch: Tensor, targets: int, contenders: Sequence[Contender], rounds: int
) -> Row:
    """One row of the tables.

    Args:
        subject: The network.
        batch: ``[N, 3, H, W]`` on its device.
        targets: Classes of each picture.
        contenders: The bare forward pass among them.
        rounds: At least 2.
    """
    activation = len(batch) * subject.numbers
    openings: dict[str, Callable[[], AbstractContextManager[Callable[[], object]]]] = {}
    saved, peak, absent = {}, {}, {}
    for contender in contenders:
        name = contender.name
        try:
            # the first call may make what later ones find, so it comes before what is counted
            with contender.ready(subject, batch, targets) as turn:
                turn.run()
            with contender.ready(subject, batch, targets) as turn:
                saved[name] = saved_mebibytes(subject.network, turn.run, activation)
            with contender.ready(subject, batch, targets) as turn:
                peak[name] = peak_mebibytes(turn.run, batch.device)
            gc.collect()  # some leave the graph of every call to the collector: gigabytes
            openings[name] = _opening(contender, subject, batch, targets)
        except Exception as error:  # whatever another library raises is its answer
            if contender.kind in (OURS, UNIT):
                raise
            absent[name] = _reason(error)
            saved.pop(name, None)
    seconds, calls = in_rotation(openings, rounds)
    size = activation * batch.element_size() / 2**20
    return Row(
        *(subject.name, len(batch), targets, subject.layer.name, size),
        *(seconds, calls, saved, peak, absent),
    )


def _opening(
    contender: Contender, subject: Subject, batch: Tensor, targets: int
) -> Callable[[], AbstractContextManager[Callable[[], object]]]:
    @contextmanager
    def opened() -> Iterator[Callable[[], object]]:
        with contender.ready(subject, batch, targets) as turn:
            yield turn.run

    return opened


def _reason(error: Exception) -> str:
    if isinstance(error, CannotTakePart):
        return str(error)
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def run(arguments: argparse.Namespace, path: Path) -> Results:
    """Goes through the models, and writes the JSON after each model.

    Args:
        arguments: Of the command line.
        path: The JSON.
    """
    device = torch.device(arguments.device)
    chosen = [CONTENDERS[name] for name in arguments.only] if arguments.only else None
    chosen = usual_contenders() if chosen is None else chosen
    chosen = [one for one in CONTENDERS.values() if one in chosen or one.kind == UNIT]
    compared, shown = pictures_to_compare()
    results = _begin(chosen, device, arguments.rounds, shown)
    names = [one.name for one in chosen]
    # in a process for each network, the largest need not share memory with what others left behind
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        for name in arguments.models:
            measured = processes.submit(_measure_model, name, arguments, names, compared)
            found, rows = measured.result()
            results = replace(
                results,
                agreements=(*results.agreements, *found),
                rows=(*results.rows, *rows),
            )
            save(results, path, summarise(results))
    return results


def _measure_model(
    name: str, arguments: argparse.Namespace, chosen: Sequence[str], compared: Tensor
) -> tuple[list[Agreement], list[Row]]:
    """All rows of one network."""
    # as a worker does; else what one keeps for its backward pass its next turn finds in place,
    # while the others have theirs given back to the system and got anew, page by page
    keep_freed_memory()
    device = torch.device(arguments.device)
    batches = arguments.batch or ([1, 8, 32, 128] if device.type == "cuda" else [1, 8])
    contenders = [CONTENDERS[one] for one in chosen]
    missing = {one.name: "not installed" for one in contenders if not one.installed}
    there = [one for one in contenders if one.installed]
    print(f"{name}: maps by full autograd in float64, to compare with", flush=True)
    subject = build_subject(name, device)
    oracle = Oracle(subject, compared.to(device))
    agreements = [
        found
        for targets in arguments.targets
        for found in _agreements(subject, oracle, there, targets)
    ]
    rows = []
    for batch in batches:
        left = dict(missing)
        if not (arguments.integrated_everywhere or (name in DEAR_MODELS and batch == 1)):
            left |= {
                one.name: "takes tens of forward passes, and was not asked for here"
                for one in there
                if one.name == DEAR
            }
        asked = [one for one in contenders if one.name not in left]
        for targets in arguments.targets:
            print(
                f"{name}, batch {batch}, targets {targets}: {len(asked)} contenders, "
                f"{arguments.rounds} rounds",
                flush=True,
            )
            started = time.perf_counter()
            row = measure(subject, noise(batch).to(device), targets, asked, arguments.rounds)
            row = replace(row, absent=left | dict(row.absent))
            rows.append(row)
            print(_progress(row, time.perf_counter() - started), flush=True)
    return agreements, rows


def _begin(
    contenders: Sequence[Contender], device: torch.device, rounds: int, pictures: str
) -> Results:
    def told(one: Contender) -> Mapping[str, str | None]:
        version = versions([one.distribution])[one.distribution]
        return {"kind": one.kind, "what": one.what, "version": version}

    return Results(
        command=shlex.join(["python", "benchmarks/engine.py", *sys.argv[1:]]),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=describe(device),
        rounds=rounds,
        pictures=pictures,
        contenders={one.name: told(one) for one in contenders},
    )


def _agreements(
    subject: Subject, oracle: Oracle, contenders: Sequence[Contender], targets: int
) -> list[Agreement]:
    found = []
    for one in contenders:
        try:
            with one.ready(subject, oracle.pictures, targets) as turn:
                if turn.read is None:
                    continue
                answer = turn.read(turn.run())
        except Exception:  # the row says why
            if one.kind == OURS:
                raise
            continue
        found.append(oracle.judge(one.name, answer))
    return found


def _progress(row: Row, taken: float) -> str:
    forward = statistics.median(row.seconds["forward"]) * 1000
    ratios = ", ".join(
        f"{name} {over(row, name, 'forward').middle:.2f}"
        for name in row.seconds
        if name != "forward"
    )
    return (
        f"{row.model}, batch {row.batch}, targets {row.targets}: forward {forward:.1f} ms; "
        f"{ratios} ({taken:.0f} s)"
    )
