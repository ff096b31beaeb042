"""Threads: how many a container allows, and that they do what one would."""

import os
import threading
import time
from pathlib import Path

import pytest
import torch

from gradcam.crew import Crew, count_cores, share_of_cores

HERE = len(os.sched_getaffinity(0))


def mounted(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return folder


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", HERE),
        ("100000 100000", 1),
        ("150000 100000", min(HERE, 2)),
        ("20000 100000", 1),
        ("900000000 100000", HERE),
        ("0 0", HERE),
        ("rubbish", HERE),
        ("", HERE),
    ],
)
def test_a_containers_quota_bounds_the_cores(tmp_path: Path, quota: str, cores: int) -> None:
    assert count_cores(mounted(tmp_path, cpu_dot_max=quota)) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", HERE), ("100000", 1), ("x", HERE)])
def test_control_groups_of_version_one(tmp_path: Path, quota: str, cores: int) -> None:
    mounted(tmp_path, cpu__cpu_dot_cfs_quota_us=quota, cpu__cpu_dot_cfs_period_us="100000")
    assert count_cores(tmp_path) == cores


def test_without_control_groups_it_is_the_cores_that_it_may_run_on(tmp_path: Path) -> None:
    assert count_cores(tmp_path) == HERE


@pytest.mark.parametrize(("workers", "threads"), [(0, 6), (1, 6), (2, 3), (4, 1), (1000, 1)])
def test_workers_share_the_cores_and_each_has_one(
    monkeypatch: pytest.MonkeyPatch, workers: int, threads: int
) -> None:
    monkeypatch.setattr("gradcam.crew.count_cores", lambda: 6)
    assert share_of_cores(workers) == threads


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_results_stand_in_the_order_of_the_items(threads: int) -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.02 if number == 0 else 0)
        return number * number

    assert Crew(threads).map(slow_first, range(6)) == [0, 1, 4, 9, 16, 25]


def test_items_are_worked_on_beside_each_other() -> None:
    together = threading.Barrier(3)
    # each waits for the two others, or is told that they did not come
    assert sorted(Crew(3).map(lambda _: together.wait(timeout=10), range(3))) == [0, 1, 2]


def test_a_single_item_needs_no_other_thread() -> None:
    assert Crew(2).map(lambda _: threading.current_thread(), [0]) == [threading.current_thread()]


@pytest.mark.parametrize("threads", [1, 3])
def test_what_the_first_item_raises_is_raised(threads: int) -> None:
    def fail(number: int) -> None:
        raise ValueError(number)

    with pytest.raises(ValueError, match=r"^0$"):
        Crew(threads).map(fail, range(4))


def test_where_no_thread_can_be_started_the_caller_does_the_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start, started = threading.Thread.start, []

    def refuse_the_third(thread: threading.Thread) -> None:
        started.append(thread)
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_the_third)
    crew = Crew(4)
    assert "can't start new thread" in caplog.text
    here = threading.current_thread()
    assert crew.map(lambda _: threading.current_thread(), range(4)) == [here] * 4
    assert not any(thread.is_alive() for thread in started)


def test_the_caller_computes_on_as_many_cores_as_before() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        crew = Crew(2)
        assert torch.get_num_threads() == 2
        crew.map(lambda _: torch.randn(300, 300) @ torch.randn(300, 300), range(4))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
