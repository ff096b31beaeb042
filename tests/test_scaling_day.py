"""A simulated day: replicas that come and go, what each signal does with a burst, the commands."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scaling.autoscaled import Run, Setup, run
from scaling.cluster import Cluster, Lifetimes
from scaling.day import HOUR, Day
from scaling.hpa import SHIPPED
from scaling.pod import Pod
from scaling.replica import BatchTimes, Replica
from scaling.simulation import Simulation
from scaling.summary import by_minute, summarise

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
SLOW = Replica(BatchTimes(0.03, 0.034), delay=0.02)
MORNING = Day(peak=40, burst=60, burst_at=0.25, burst_minutes=10, hours=1.5)
SETUP = Setup(SLOW, MORNING, behaviour=SHIPPED)


def wanted(found: Run) -> list[int]:
    return [replicas for _, replicas, _ in found.history]


def test_the_peak_is_ten_times_the_night_and_the_burst_comes_on_top() -> None:
    day = Day(peak=50, burst=30, burst_at=6, burst_minutes=10)
    assert day.rate(15 * HOUR) == pytest.approx(50)
    assert day.rate(3 * HOUR) == pytest.approx(5)
    assert day.rate(6 * HOUR) - day.rate(6 * HOUR - 1e-6) == pytest.approx(30, abs=0.01)
    arrivals = day.arrivals(seed=0)
    expected = sum(60 * day.rate(60 * minute + 30) for minute in range(24 * 60))
    assert len(arrivals) == pytest.approx(expected, abs=4 * expected**0.5)
    assert (np.diff(arrivals) >= 0).all()
    assert np.array_equal(arrivals, day.arrivals(seed=0))


def test_replicas_start_after_a_while_and_are_paid_until_they_have_drained() -> None:
    slow = Replica(BatchTimes(0.0, 25.0), batch_size=1, delay=0)
    simulation = Simulation(slow, np.array([5.0, 45.0, 45.1, 45.2]), "turns", 0, seed=0)
    gone: list[Pod] = []
    cluster = Cluster(simulation, Lifetimes(start=30, drain=10), gone.append)
    cluster.start_at_once(1)
    simulation.events.at(10, lambda now: cluster.scale_to(now, 4))
    simulation.events.at(20, lambda now: cluster.scale_to(now, 3))  # one that was starting
    simulation.events.at(50, lambda now: cluster.scale_to(now, 1))  # two at work since 45
    served = simulation.run()
    assert served.refused == 0
    assert cluster.history == [
        (0, 1, 1),
        (10, 4, 1),
        (20, 3, 1),
        (40, 3, 2),
        (40, 3, 3),
        (50, 1, 1),
    ]
    assert len(gone) == 2
    # one for 100 s, one from 10 to 20, two from 10 until 70 and 70.1, which is seen at 70 and 71
    assert cluster.pod_seconds(100) == pytest.approx(100 + 10 + 60 + 61, abs=1)


def test_the_shipped_signals_follow_a_burst_up_and_down() -> None:
    found = run(SETUP, "workers", first=2)
    assert max(wanted(found)) >= 4
    assert wanted(found)[-1] == 2
    assert all(entry[1] >= 2 for entry in found.history)
    answered = ~np.isnan(found.served.latencies)
    assert answered.sum() + found.served.refused == len(found.served.arrived)


def test_the_raw_counter_goes_up_and_never_down() -> None:
    found = run(SETUP, "raw counter", first=2)
    assert wanted(found) == sorted(wanted(found))
    assert wanted(found)[-1] == SHIPPED.most
    before_the_burst = [entry[1] for entry in found.history if entry[0] < MORNING.burst_at * HOUR]
    assert before_the_burst[-1] == SHIPPED.most


def test_the_processor_says_nothing_where_a_gpu_works() -> None:
    found = run(replace(SETUP, working_processor=0.3), "processor", first=2)
    assert wanted(found) == [2]
    shipped = run(replace(SETUP, working_processor=0.3), "workers", first=2)
    assert shipped.served.refused < 0.5 * found.served.refused


def test_a_burst_is_refused_for_as_long_as_replicas_take_to_start() -> None:
    refused = [
        run(replace(SETUP, lifetimes=Lifetimes(start=start)), "workers", first=2).served.refused
        for start in (5, 30, 120)
    ]
    assert refused[0] < refused[1] < refused[2]


def test_a_summary_counts_what_happened() -> None:
    found = run(SETUP, "nothing", first=2)
    line = summarise("fixed", found, MORNING.hours)
    assert (line.most_replicas, line.changes) == (2, 0)
    assert line.replica_hours == pytest.approx(2 * 1.5)
    assert line.refused == found.served.refused / line.requests > 0.1
    minutes = by_minute(found, MORNING.hours)
    assert 60 * minutes.arrived.sum() == pytest.approx(line.requests)
    assert 60 * minutes.refused.sum() == pytest.approx(found.served.refused)
    assert minutes.replica_hours[-1] == pytest.approx(3)
    assert line.worst == np.nanmax(minutes.latency_p99)


def command(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_writes_the_same_twice(tmp_path: Path) -> None:
    options = ["--hours", "0.5", "--burst-at", "0.1", "--peak", "40", "--burst", "50"]
    options += ["--ways", "shipped", "fixed", "--seed", "3"]
    documents = []
    for name in ("one", "two"):
        done = command("scaling_day.py", *options, "--out", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
        assert "| shipped |" in done.stdout
        assert (tmp_path / name / "day.png").read_bytes().startswith(b"\x89PNG")
        document = json.loads((tmp_path / name / "day.json").read_text(encoding="utf-8"))
        documents.append([document["ways"], document["fixed"]])
    assert documents[0] == documents[1]
    (shipped, _), fixed = documents[0]
    assert shipped["requests"] > 10_000
    assert fixed >= 2


def test_the_capacity_command_answers_or_says_why_not() -> None:
    done = command("capacity.py", "--measured", "1=8", "8=36", "--rate", "1000", "--limit", "100")
    assert done.returncode == 0, done.stderr
    assert "One replica's limit: 222.2 requests per second." in done.stdout
    assert "1000 requests per second within 100 ms:" in done.stdout
    wrong = command("capacity.py", "--measured", "8=36")
    assert wrong.returncode == 2
    assert "two sizes" in wrong.stderr
