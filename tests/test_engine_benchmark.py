"""The engine benchmark's arithmetic, by hand: turns, memory, ratios and verdicts."""

import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

agreement, engine_results, engine_summary, engine_tables, interleaved, peak, saved = (
    importlib.import_module(name)
    for name in (
        *("agreement", "engine_results", "engine_summary", "engine_tables"),
        *("interleaved", "peak", "saved"),
    )
)
KINDS = {"forward": "unit", "ours": "ours", "slow": "peer", "near": "peer", "other": "by hand"}
CPU = torch.device("cpu")


def row(ours: float, model: str = "resnet18", batch: int = 8, targets: int = 1, **more: Any) -> Any:
    """Five rounds, two on a machine at half its speed; the best peer takes 1.1."""
    taken = {"forward": 1.0, "ours": ours, "slow": 3.0, "near": 1.1, "other": 0.95}
    known = {
        "layer": "layer4",
        "activation": 2.0,
        "seconds": {name: [s, 2 * s, s, 2 * s, s] for name, s in taken.items()},
        "calls": dict.fromkeys(taken, 1),
        "saved": dict.fromkeys(taken, 0.5),
        "peak": dict.fromkeys(taken, 9.0),
        "absent": {},
    }
    return engine_results.Row(model, batch, targets, **(known | more))


def results(*rows: Any, rounds: int = 5) -> Any:
    contenders = {name: {"kind": kind, "what": "", "version": None} for name, kind in KINDS.items()}
    machine = importlib.import_module("machine").describe(CPU)
    return engine_results.Results("", "", machine, rounds, "noise", contenders, rows)


def all_rows(ours: float, **more: Any) -> list[Any]:
    """What the limits are about."""
    every = itertools.product(engine_summary.MODELS, (1, 8), (1, 5))
    return [row(ours, model, batch, targets, **more) for model, batch, targets in every]


def met(found: Any, start: str) -> Any:
    (verdict,) = (one for one in engine_summary.verdicts(found) if one.text.startswith(start))
    return verdict.met


def test_every_second_round_goes_backwards_and_then_another_begins() -> None:
    orders = [interleaved.order_of("abc", turn) for turn in range(7)]

    assert ["".join(order) for order in orders] == ["abc", "cba", "bca", "acb", "cab", "bac", "abc"]


def test_short_work_has_several_calls_in_a_turn() -> None:
    assert [interleaved.calls_of(one) for one in (1.0, 0.05, 0.02, 1e-9)] == [1, 1, 3, 20]


def test_every_turn_is_opened_worked_and_closed() -> None:
    log: list[str] = []

    def opening(name: str) -> Callable[[], Any]:
        @contextmanager
        def opened() -> Iterator[Callable[[], object]]:
            log.append(f"open {name}")
            yield lambda: log.append(name)
            log.append(f"close {name}")

        return opened

    samples, calls = interleaved.in_rotation({"a": opening("a"), "b": opening("b")}, 3)

    assert {name: len(found) for name, found in samples.items()} == {"a": 3, "b": 3}
    assert [entry for entry in log if entry.startswith("open")] == [
        f"open {name}" for name in "ab" + "ab" + "ba" + "ba"
    ]
    # two before the rounds, to learn how many calls a turn has
    assert log.count("a") == 2 + 3 * calls["a"]


def test_the_peak_is_the_most_that_is_held_at_once() -> None:
    assert peak.greatest_sum([3, 4, -4, 2, -5]) == 7
    assert peak.greatest_sum([-3, 1]) == 0

    def run() -> None:
        first = torch.empty(2**18)  # of four bytes each: 1 MiB
        del first
        second, third = torch.empty(2**17), torch.empty(2**18)
        del second, third

    assert peak.peak_mebibytes(run, CPU) == 1.5


def test_saved_is_what_backward_needs_beyond_parameters_and_one_activation() -> None:
    network = nn.Linear(2**18, 1)
    picture = torch.ones(1, 2**18, requires_grad=True)

    # exp keeps its result, of 1 MiB; the linear layer keeps that too, and its own weight
    def run() -> object:
        return network(picture.exp())

    assert saved.saved_mebibytes(network, run, 5) == 1
    assert saved.saved_mebibytes(network, run, 2**18) == 0


def test_a_ratio_is_taken_within_each_round() -> None:
    assert engine_summary.over(row(1.2), "ours", "forward").middle == pytest.approx(1.2)
    uneven = row(1, seconds={"forward": [1.0, 2.0, 4.0], "ours": [1.5, 3.0, 4.0]})
    assert engine_summary.over(uneven, "ours", "forward").middle == 1.5


def test_the_best_peer_is_neither_ours_nor_one_by_hand() -> None:
    found = results(row(1.0))

    assert engine_summary.best_peer(found, found.rows[0]) == "near"
    assert engine_summary.ranks(found, found.rows[0]) == ["other", "ours", "near", "slow"]


def test_a_geometric_mean() -> None:
    spreads = [engine_summary.Spread(1, 2, 4), engine_summary.Spread(1, 8, 9)]

    assert engine_summary.geometric(spreads).middle == pytest.approx(4)
    assert "[" not in str(engine_summary.geometric(spreads))
    two = row(1.0, seconds={"forward": [1.0, 2.0], "ours": [1.0, 2.0]})
    narrow = engine_summary.over(two, "ours", "forward")
    assert str(engine_summary.geometric([*spreads, narrow])) == "2.52 [1.00–3.30]"
    assert engine_summary.geometric([]) is None


@pytest.mark.parametrize(
    ("ours", "mean", "worst", "ahead", "best"),
    [
        (1.09, True, True, True, True),
        (1.12, False, True, False, True),  # 1.018 times the best
        (1.31, False, False, False, False),
    ],
)
def test_limits_of_time(ours: float, mean: bool, worst: bool, ahead: bool, best: bool) -> None:
    found = results(*all_rows(ours))

    assert met(found, "explanation over forward") is mean
    assert met(found, "the dearest") is worst
    assert met(found, "ours over near") is ahead
    assert met(found, "ours over slow") is True
    assert met(found, "ours over other") is None
    assert met(found, "ours over the best peer") is best


@pytest.mark.parametrize(
    ("mebibytes", "resnets", "densenet"), [(1.0, True, True), (2.3, False, False)]
)
def test_limits_of_memory(mebibytes: float, resnets: bool, densenet: bool) -> None:
    found = results(*all_rows(1, saved={"ours": mebibytes}))

    for text, expected in (("resnets", resnets), ("densenets", densenet)):
        (verdict,) = (one for one in engine_summary.verdicts(found) if f", {text} up" in one.text)
        assert verdict.met is expected


def test_a_part_of_the_models_can_miss_a_limit_but_not_keep_it() -> None:
    assert {one.met for one in engine_summary.verdicts(results(row(1.0)))} == {None}
    assert met(results(row(1.2)), "ours over the best peer") is False


def test_too_few_rounds_are_told_and_not_judged() -> None:
    few = results(*all_rows(1.31), rounds=4)
    assert met(few, "explanation over forward") is None
    assert met(few, "ours over near") is None
    assert (
        sum("not judged: under 5 rounds" in one.text for one in engine_summary.verdicts(few)) == 5
    )
    assert not any("not judged" in one.text for one in engine_summary.verdicts(results(row(1.0))))


def test_what_takes_less_than_a_part_of_it_shows_a_disturbed_run() -> None:
    def told(*rows: Any) -> list[str]:
        found = engine_summary.verdicts(results(*rows))
        return [one.text for one in found if "busy" in one.text]

    assert told(row(1.0), row(0.91)) == []
    (text,) = told(row(1.0), row(0.89, "vgg19"))
    assert text.endswith("worth little: vgg19, batch 8, one target, ours")


def test_maps_are_compared_after_the_relu_and_over_their_maximum() -> None:
    exact = torch.tensor([[-5.0, 1.0], [2.0, 4.0]])

    assert agreement.distance(10 * exact.clamp(min=0), exact) == 0
    assert agreement.distance(torch.tensor([[0.0, 1.0], [3.0, 4.0]]), exact) == 0.25


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    one = agreement.Agreement("resnet18", 1, "ours", 1e-6, 2, 2, 0)
    found = results(row(1.0))
    found = importlib.import_module("dataclasses").replace(found, agreements=(one,))

    engine_results.save(found, tmp_path / "engine.json", engine_summary.summarise(found))

    again = engine_results.load(tmp_path / "engine.json")
    assert again == found
    assert "| resnet18 | 1 | 2 of 2 | 1.0e-06 |" in engine_tables.tables(again)
