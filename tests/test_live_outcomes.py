"""Refused, failed, answered: told apart by the log of a real door."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np

from doors import AUTHORISED, Door, Upstream, door
from local_ports import HOST

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

outcomes = importlib.import_module("live_outcomes")
_NOBODY = f"{HOST}:1"


def test_a_full_queue_refuses_and_a_lost_replica_fails() -> None:
    with Upstream("a") as a, Upstream("b") as b:
        with door(UPSTREAMS=f"{a.address},{b.address}") as both:
            answers = [_ask(both, number, want) for number, want in enumerate((200, 503, 500))]
            asked = _read(both)
        assert asked == {0: ("200",), 1: ("503", "503"), 2: ("500",)}
        with door(UPSTREAMS=f"{_NOBODY},{a.address}") as one:
            answers += [_ask(one, number, want) for number, want in ((3, 503), (4, 200), (5, 200))]
            asked |= _read(one)
        assert sorted(asked[3]) == ["502", "503"]
        assert ("502", "200") in (asked[4], asked[5])  # the one with fewest connections goes first
        with door(UPSTREAMS=f"{_NOBODY},{HOST}:2") as none:
            answers.append(_ask(none, 6, 200))
            asked |= _read(none)
        assert asked[6] == ("502", "502")
    assert answers == [200, 503, 500, 503, 200, 200, 503]
    both, one = outcomes.halves(np.arange(8.0), np.array([*answers, 0]), np.arange(8) < 3, asked)
    assert (both.replicas, both.refused, both.failed) == (2, 1, 1)
    assert both.failures() == ["1 × 500 (500 from replicas)"]
    assert (one.replicas, one.refused, one.failed) == (1, 1, 2)
    assert one.failures() == [
        "1 × 503 (502, then 502 from replicas)",
        "1 × no answer (not in the log)",
    ]
    assert one.repeated == [asked[4], asked[5]].count(("502", "200"))
    assert both.repeated == 0
    json.dumps([one.refused, one.failed, one.repeated])  # as the benchmark writes them


def test_latencies_are_of_what_was_answered() -> None:
    statuses = np.array([200, 503, 200, 0])
    _, half = outcomes.halves(np.array([1.0, 9.0, 3.0, 60.0]), statuses, np.zeros(4, bool), {})
    assert half.quantile(0.5) == 2.0
    empty, _ = outcomes.halves(np.array([1.0]), np.array([200]), np.zeros(1, bool), {})
    assert np.isnan(empty.quantile(0.5))


def _ask(opened: Door, number: int, want: int) -> int:
    headers = {**AUTHORISED, "X-Want": str(want), "X-Request-Id": f"run-{number}"}
    status: int = opened.ask.send("POST", "/explanations/demo", b"x", headers).status
    opened.logged(f"run-{number}")  # its line follows its answer
    return status


def _read(opened: Door) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = outcomes.read_asked(
        opened.settings.run_dir / "access.log", "run-"
    )
    return found
