"""What the server benchmark makes of its samples: ratios, verdicts, tables, by hand."""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from load import Load

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

server_report, server_results, server_verdicts = (
    importlib.import_module(name) for name in ("server_report", "server_results", "server_verdicts")
)
Found, Sample = server_results.Found, server_results.Sample

ABOUT = {
    "machine": {"processor": "one"},
    "command": "python benchmarks/server.py",
    "date": "2026-01-01T00:00+00:00",
    "photographs": "one photograph",
    "batch_size": 8,
    "delay": 20,
}


def load(rate: float, size: int = 100, latencies: float = 0.5, failed: int = 0) -> Load:
    """Ten seconds of it."""
    count = round(10 * rate) + failed
    statuses = np.array([503] * failed + [200] * (count - failed), dtype=np.int64)
    return Load(10.0, np.full(count, latencies), statuses, size * count)


def turn(
    rates: Mapping[str, float | Load], model: str = "resnet18", clients: int = 16
) -> list[Any]:
    return [
        Sample(model, name, clients, 0, rate if isinstance(rate, Load) else load(rate))
        for name, rate in rates.items()
    ]


def found_of(*turns: list[Any], **more: Any) -> Any:
    return Found(ABOUT, closed=list(turns), **more)


def verdict(found: Any, what: str) -> str:
    (line,) = (one for one in server_verdicts.verdicts(found) if what in one)
    return str(line)


def test_a_ratio_is_taken_within_each_round() -> None:
    found = found_of(
        turn({"ours grid": 9, "ours predictions": 10}),
        turn({"ours grid": 4.5, "ours predictions": 5}),
    )

    assert found.ratios("resnet18", "ours grid", "ours predictions", 16) == pytest.approx(
        [0.9, 0.9]
    )
    assert found.ratios("resnet18", "ours grid", "ours predictions", 8) == []
    assert found.ratios("resnet18", "ours grid", "stock predictions", 16) == []


def test_a_round_in_which_the_other_answered_nothing_has_no_ratio() -> None:
    dead = turn({"ours grid": 9, "ours predictions": load(0, failed=3)})
    alive = turn({"ours grid": 8, "ours predictions": 10})

    found = found_of(dead, alive)

    assert found.ratios("resnet18", "ours grid", "ours predictions", 16) == pytest.approx([0.8])
    assert "0.80 [0.80–0.80]" in verdict(found, "resnet18: ours grid / ours predictions")
    assert verdict(found_of(dead), "resnet18: ours grid / ours pred").startswith("- not measured")


@pytest.mark.parametrize(("grid", "start"), [(9.0, "- met: "), (8.9, "- **not met**: ")])
def test_a_rate_is_judged_by_its_median(grid: float, start: str) -> None:
    rounds = [turn({"ours grid": rate, "ours predictions": 10}) for rate in (1.0, grid, 20.0)]

    line = verdict(found_of(*rounds), "resnet18: ours grid / ours predictions")

    assert line.startswith(start)
    assert "wanted at least 0.90" in line


def test_a_rate_is_judged_at_the_greatest_concurrency() -> None:
    both = turn({"ours grid": 10, "ours predictions": 10}, clients=1) + turn(
        {"ours grid": 5, "ours predictions": 10}
    )
    line = verdict(found_of(both), "resnet18: ours grid / ours predictions")
    assert "0.50 [0.50–0.50] with 16 clients" in line


def test_overlays_are_compared_with_overlays_and_the_bytes_are_told() -> None:
    found = found_of(
        turn(
            {
                "ours grid": load(50, size=1_700),
                "pytorch-grad-cam map": load(10, size=970_000),
                "ours overlay": load(40, size=70_000),
                "pytorch-grad-cam overlay": load(20, size=10_000),
            }
        )
    )

    assert "5.00 [5.00–5.00] with 16 clients, of 1,700 and 970,000 bytes" in verdict(
        found, "ours grid / pytorch-grad-cam map"
    )
    line = verdict(found, "ours overlay / pytorch-grad-cam overlay")
    assert line.startswith("- **not met**")
    assert "2.00 [2.00–2.00] with 16 clients, of 70,000 and 10,000 bytes" in line


def test_what_was_not_measured_is_neither_met_nor_not() -> None:
    for found in (found_of(), found_of(turn({"torch-cam map": 1}))):
        lines = server_verdicts.verdicts(found)
        told = [line for line in lines if not line.startswith("- not measured")]
        assert [line for line in told if "2xx" not in line] == []
    assert len(lines) == len(server_verdicts.CLAIMS) + 4


@pytest.mark.parametrize(("size", "start"), [(1_000, "- met"), (1_010, "- **not met**")])
def test_a_grid_is_a_hundredth_of_the_stock_explanation(size: int, start: str) -> None:
    stock = {"stock explanations": load(1, size=100_000)}
    found = found_of(turn({"ours grid": load(9, size=size), **stock}))
    assert verdict(found, "resnet18: bytes of ours grid").startswith(start)


@pytest.mark.parametrize(("end", "start"), [(115.9, "- met"), (116.0, "- **not met**")])
def test_memory_may_grow_by_less_than_16_mebibytes(end: float, start: str) -> None:
    soak = {0: 50.0, 2_000: 100.0, 11_000: 117.0, 20_000: end}

    line = verdict(found_of(soak=soak), "memory of the worker")

    assert line.startswith(start)
    assert "at most +17.0 in between" in line
    shorter = verdict(found_of(soak={0: 50.0, 2_000: 100.0}), "memory of the worker")
    assert shorter.startswith("- not measured")


@pytest.mark.parametrize(("late", "start"), [(5.0, "- met"), (5.1, "- **not met**")])
def test_the_tail_is_judged_at_seventy_per_cent(late: float, start: str) -> None:
    slow = Load(1.0, np.array([1.0] * 9 + [late] * 9 + [1.0] * 82), np.full(100, 200), 1)
    calm = Sample("resnet18", "ours grid", 0, 0.3, load(1))

    found = found_of(open=[calm, Sample("resnet18", "ours grid", 0, 0.7, slow)])

    assert verdict(found, "p99 / p50 at 70%").startswith(start)
    assert verdict(found_of(open=[calm]), "p99 / p50 at 70%").startswith("- not measured")


def test_every_request_counts_that_was_not_answered_with_a_2xx() -> None:
    closed = turn({"ours grid": load(1, failed=2)})
    arrivals = Sample("resnet18", "ours grid", 0, 0.7, load(1, failed=3))

    found = found_of(closed, open=[arrivals], delays={5: load(1, failed=1)})

    assert "6 of 36" in verdict(found, "2xx")
    assert verdict(found, "2xx").startswith("- **not met**")
    assert verdict(found_of(turn({"ours grid": 1})), "2xx").startswith("- met")


def test_several_runs_are_one() -> None:
    one = server_results.pooled([load(1, size=10), load(2, size=40, failed=10)])
    assert (one.seconds, len(one.latencies), one.errors) == (20.0, 40, 10)
    assert one.bytes_per_answer == pytest.approx((10 * 10 + 30 * 40) / 40)


def test_samples_come_back_as_they_were_written(tmp_path: Path) -> None:
    resident = server_results.Resident("resnet18-ours", 100.5, 101.0)
    found = found_of(
        turn({"ours grid": load(3, failed=1), "ours predictions": 4}),
        open=[Sample("resnet18", "ours grid", 0, 0.7, load(2))],
        delays={1: load(1)},
        soak={0: 10.0, 1000: 11.5},
        residents=[resident],
    )

    found.write(tmp_path / "server.json")
    again = Found.read(tmp_path / "server.json")

    assert server_report.report(again) == server_report.report(found)
    assert again.soak == found.soak
    assert again.residents == [resident]
    assert again.about == ABOUT
    loads = again.loads("resnet18", "ours grid", 16)
    assert loads[0].statuses.tolist() == found.closed[0][0].load.statuses.tolist()
    assert (loads[0].seconds, loads[0].received) == (10.0, 3100)


def test_the_tables_hold_rate_ratios_latencies_and_bytes() -> None:
    found = found_of(turn({"ours grid": load(9, size=1_700), "ours predictions": 10}))

    report = server_report.report(found)

    assert "of fewer than 5 rounds medians [minimum–maximum]" in report
    assert (
        "| 16 | ours grid | 9.0 [9.0–9.0] | 0.90 [0.90–0.90] |  | 500 | 500 | 500 | 0 | 1,700 |"
    ) in report
    assert "Poisson" not in report
    assert "- Answers were not compared." in report
    compared = replace(found, about={**ABOUT, "answers": ["all the same"]})
    assert "- all the same\n" in server_report.report(compared)
    delayed = replace(found, delays={5: load(1, latencies=0.02)})
    assert "| 5 | 20 | 20 | 20 | 0 |" in server_report.report(delayed)
