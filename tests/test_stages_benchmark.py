"""The stages benchmark: stages without their parts, the table, and every work once."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from load import Load

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

stages, report, served = (
    importlib.import_module(name) for name in ("stages", "stages_report", "served")
)


def samples(**more: list[float]) -> dict[str, list[float]]:
    """Two rounds, in seconds of a batch."""
    return {
        report.FORWARD: [0.08, 0.16],
        report.GRADIENT: [0.10, 0.17],
        report.EVIDENCE: [0.003, 0.002],
        report.SERIALISE: [0.001, 0.002],
        report.DOCUMENT: [0.006, 0.008],
        report.ALONE: [0.07, 0.14],
        report.PREDICTIONS: [0.1, 0.2],
        report.GRID: [0.11, 0.24],
        report.OVERLAY: [0.14, 0.28],
        **more,
    }


def test_a_stage_is_told_without_what_it_contains() -> None:
    found = report.parted(samples())

    assert found[report.GRADIENT] == pytest.approx([0.02, 0.01])
    assert found[report.DOCUMENT] == pytest.approx([0.002, 0.004])
    assert found[report.FORWARD] == [0.08, 0.16]
    assert not [name for name in found if "TorchServe" in name]


def test_torchserve_s_share_is_what_it_takes_beyond_the_walk() -> None:
    more = {report.SERVED + report.GRID: [0.15, 0.25], report.SERVED + report.OVERLAY: [0.13, 0.3]}

    found = report.parted(samples(**more))

    assert found[report.TORCHSERVE + report.GRID] == pytest.approx([0.04, 0.01])
    # what runs beside the walk can make it the shorter of the two
    assert found[report.TORCHSERVE + report.OVERLAY] == pytest.approx([-0.01, 0.02])
    assert report.TORCHSERVE + report.PREDICTIONS not in found


def test_the_table_holds_milliseconds_of_a_picture_and_ratios_of_a_round() -> None:
    more = {report.SERVED + report.GRID: [0.15, 0.25]}
    rows = [
        report.Row("resnet18", 8, report.parted(samples(**more))),
        report.Row("resnet50", 2, report.parted(samples())),
    ]

    lines = report.table(rows).splitlines()

    assert lines[0] == "| ms a picture | resnet18, batch 8 | resnet50, batch 2 |"
    assert "| forward | 15.00 | 60.00 |" in lines
    assert "| evidence | 0.31 | 1.25 |" in lines
    assert "| TorchServe itself: explanations, grid | 3.12 |  |" in lines
    assert "| **explanations, grid over predictions** | 1.15 | 1.15 |" in lines
    assert "| **explanations, JPEG overlay over the forward pass alone** | 2.00 | 2.00 |" in lines
    assert not [line for line in lines if "without a graph" in line]


def test_the_plot_has_what_was_measured(tmp_path: Path) -> None:
    every = {name: [0.01, 0.02] for name in report.STAGES}
    rows = [report.Row("resnet18", 8, every), report.Row("resnet50", 8, {"decode": [0.1, 0.1]})]
    report.draw(rows, tmp_path / "stages.png")
    assert (tmp_path / "stages.png").read_bytes().startswith(b"\x89PNG")


def test_a_batch_takes_its_part_of_a_run() -> None:
    load = Load(6.0, np.full(96, 0.5), np.full(96, 200), 1)
    assert served.seconds_of_a_batch(load, 8) == 0.5
    broken = Load(6.0, np.full(96, 0.5), np.array([503] + [200] * 95), 1)
    with pytest.raises(RuntimeError, match="1 of 96 requests were not answered"):
        served.seconds_of_a_batch(broken, 8)


def test_every_stage_works_and_the_parts_of_a_document_are_in_it() -> None:
    works: dict[str, Any] = stages.works_of("resnet18", 2, torch.device("cpu"), {})

    assert set(report.STAGES) - set(works) == {report.TORCHSERVE + report.GRID}
    bodies = works[report.DOCUMENT]()
    assert works[report.SERIALISE]() == bodies
    documents = [json.loads(body)["explanations"][0]["evidence"] for body in bodies]
    told = [evidence.maximum for evidence in works[report.EVIDENCE]()]
    assert told == pytest.approx([one["max"] for one in documents], rel=1e-5)
    assert all(response.status == 200 for response in works[report.OVERLAY]())


def test_without_torchserve_nothing_is_served() -> None:
    arguments = stages.build_parser().parse_args([])
    with stages.serving("resnet18", 8, {}, arguments) as measured:
        assert measured == {}
