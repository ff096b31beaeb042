"""Which setups are tried, which is taken, and that an archive gets it and nothing else."""

import json
import signal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import tune
from gradcam.engine import arranging
from gradcam.settings import read_settings
from live.archives import package_demo
from served_config import own_precision, read_config, rewrite
from torchserve_process import TorchServeError
from tuning import (
    PRECISIONS,
    Choices,
    Measured,
    Refused,
    Setup,
    best,
    configured,
    divisions,
    search,
)

PLAIN = Setup("fp32", 1, 2, 8, 5)


def measured(setup: Setup = PLAIN, rate: float = 10, busy: float = 0.5, **more: float) -> Measured:
    return Measured(
        setup, rate, busy, lone=more.get("lone", 0.1), errors=int(more.get("errors", 0))
    )


@pytest.mark.parametrize(
    ("cores", "workers"),
    [
        (1, [1]),
        (2, [1, 2]),
        (6, [1, 2, 6]),
        (7, [1, 7]),
        (12, [1, 2, 4, 12]),
        (96, [1, 2, 4, 8, 16, 32, 96]),
    ],
)
def test_workers_share_the_cores(cores: int, workers: list[int]) -> None:
    assert divisions(cores) == workers


def test_no_division_leaves_a_core_idle() -> None:
    for cores in range(1, 200):
        tried = search(Choices(cores, ("fp32",)), measured, 1.0)
        assert all(one.setup.workers * one.setup.threads == cores for one in tried)


def test_the_highest_rate_within_the_limit_is_taken() -> None:
    slow, fast, late, wrong = (
        measured(rate=10),
        measured(rate=20),
        measured(rate=90, busy=2.0),
        measured(rate=99, errors=1),
    )
    assert best([slow, fast, late, wrong], 1.0) is fast


def test_of_rates_that_are_nearly_equal_the_shorter_wait_is_taken() -> None:
    waits, answers = measured(rate=100, lone=0.2), measured(rate=98, lone=0.1)
    assert best([waits, answers, measured(rate=90, lone=0.01)], 1.0) is answers


def test_where_nothing_is_in_time_the_shortest_wait_is_taken() -> None:
    assert best([measured(busy=3), late := measured(busy=2)], 1.0) is late
    assert best([], 1.0) is None
    assert best([Refused(PLAIN, "no memory")], 1.0) is None


def of(score: Callable[[Setup], float]) -> Callable[[Setup], Measured]:
    return lambda setup: measured(setup, rate=score(setup))


def test_what_is_best_so_far_is_what_the_next_vary() -> None:
    def score(setup: Setup) -> float:
        return (
            (100 if setup.precision == "bf16" else 0)
            + (10 if setup.workers == 2 else 0)
            + (5 if setup.batch_size == 4 else 0)
            + (20 if setup.delay == 20 else 0)
        )

    found = list(search(Choices(4, ("fp32", "bf16")), of(score), 1.0))
    tried = [one.setup for one in found]

    assert best(found, 1.0) == measured(Setup("bf16", 2, 2, 4, 20), rate=135)
    assert len(set(tried)) == len(tried) == 6 + 4 + 2


def test_a_setup_that_cannot_be_served_is_passed_over() -> None:
    def measure(setup: Setup) -> Measured | Refused:
        if setup.workers == 4 or setup.batch_size > 8:
            return Refused(setup, "no memory")
        return measured(setup, rate=setup.workers)

    found = list(search(Choices(4, ("fp32",)), measure, 1.0))
    refused = [one.setup for one in found if isinstance(one, Refused)]

    assert refused == [Setup("fp32", 4, 1, 8, 5), Setup("fp32", 2, 2, 16, 5)]
    leader = best(found, 1.0)
    assert leader is not None
    assert leader.setup.workers == 2
    assert {one.setup.delay for one in found} == {1, 5, 20}


def test_where_nothing_can_be_served_no_more_is_tried_than_the_divisions() -> None:
    def refuse(setup: Setup) -> Refused:
        return Refused(setup, "no memory")

    found = list(search(Choices(2, ("fp32", "bf16")), refuse, 1.0))
    assert len(found) == 4


def test_only_named_sizes_and_delays_are_tried_and_no_more_setups_than_announced() -> None:
    choices = Choices(4, ("fp32",), batch_sizes=(3, 4), delays=(50,))
    found = list(search(choices, of(lambda setup: setup.batch_size), 1.0))

    assert {(one.setup.batch_size, one.setup.delay) for one in found} == {(3, 50), (4, 50)}
    assert found[0].setup.batch_size == 4  # the nearest to 8
    assert len(found) == choices.most == 4


@pytest.mark.parametrize("cores", [1, 2, 4, 12])
def test_what_is_announced_is_what_is_tried_where_all_can_be_served(cores: int) -> None:
    choices = Choices(cores, ("fp32", "bf16"))
    assert len(list(search(choices, measured, 1.0))) == choices.most


def test_an_archives_own_precision_is_what_it_says_or_the_handlers_default() -> None:
    named = {"handler": {"gradcam": {"execution": {"precision": "bf16"}}}}
    left = {"handler": {"gradcam": {"architecture": "resnet18", "num_classes": 3}}}
    assert own_precision(named) == "bf16"
    assert own_precision(left) == read_settings(left).execution.precision
    assert tuple(arranging.PRECISIONS) == PRECISIONS


@pytest.fixture
def tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[set[int]], int]:
    """Runs the command on two cores, where so many workers cannot be served."""
    package_demo(tmp_path)
    line = ["tune.py", str(tmp_path / "demo.mar"), "--cores=2", f"--out={tmp_path / 'out'}"]
    monkeypatch.setattr(sys, "argv", line)
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def run(refused: set[int]) -> int:
        def serve(_archive: Path, _config: object, setup: Setup, *_: object) -> Measured:
            if setup.workers in refused:
                raise TorchServeError("the worker died while loading: MemoryError")
            return measured(setup)

        monkeypatch.setattr(tune, "serve", serve)
        return tune.main()

    return run


def test_the_command_tells_what_was_refused_and_writes_the_rest(
    tuned: Callable[[set[int]], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tuned({2}) == 0

    printed = capsys.readouterr().out
    assert (
        "fp32, 2 × 1 threads, batches of 8 that wait 5 ms: refused: "
        "the worker died while loading: MemoryError"
    ) in printed
    assert "chosen: fp32, 1 × 2 threads" in printed
    assert yaml.safe_load((tmp_path / "out/model-config.yaml").read_text())["maxWorkers"] == 1
    tried = json.loads((tmp_path / "out/tuning.json").read_text())
    assert [one["setup"]["workers"] for one in tried if "reason" in one] == [2]


def test_the_command_fails_where_nothing_can_be_served(
    tuned: Callable[[set[int]], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tuned({1, 2}) == 1

    assert capsys.readouterr().err == "error: no setup could be served\n"
    assert not (tmp_path / "out/model-config.yaml").exists()
    assert len(json.loads((tmp_path / "out/tuning.json").read_text())) == 2


def test_a_configuration_keeps_what_is_not_tuned() -> None:
    config = {
        "batchSize": 1,
        "responseTimeout": 120,
        "handler": {
            "gradcam": {
                "architecture": "resnet18",
                "num_classes": 3,
                "layer": "layer3",
                "execution": {"channels_last": False, "threads": 9},
            }
        },
    }
    tuned = configured(config, Setup("bf16", 2, 1, 4, 20))
    assert (tuned["minWorkers"], tuned["maxWorkers"]) == (2, 2)
    assert (tuned["batchSize"], tuned["maxBatchDelay"], tuned["responseTimeout"]) == (4, 20, 120)
    settings = read_settings(tuned)
    assert settings.layer == ("layer3",)
    assert (settings.execution.precision, settings.execution.threads) == ("bf16", 1)
    assert settings.execution.channels_last is False
    assert config["batchSize"] == 1


def test_an_archive_gets_the_new_configuration_and_nothing_else(tmp_path: Path) -> None:
    package_demo(tmp_path)
    archive = tmp_path / "demo.mar"
    tuned = configured(read_config(archive), Setup("bf16", 2, 1, 4, 20))
    rewrite(archive, tuned, tmp_path / "tuned.mar")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(tmp_path / "tuned.mar") as new:
        assert new.namelist() == old.namelist()
        for name in old.namelist():
            if name == "model-config.yaml":
                assert yaml.safe_load(new.read(name)) == tuned
            else:
                assert new.read(name) == old.read(name)
        assert json.loads(new.read("MAR-INF/MANIFEST.json"))["model"]["handler"]


def test_what_is_no_archive_of_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.mar"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model-config.yaml", "batchSize: 3\n")
    with pytest.raises(KeyError):
        read_config(path)


def test_a_file_that_is_not_there_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tune.py", "nowhere.mar"])
    with pytest.raises(SystemExit) as refusal:
        tune.main()
    assert refusal.value.code == 2
    assert "there is no file nowhere.mar" in capsys.readouterr().err


def test_what_was_found_is_written_after_each_setup(
    tuned: Callable[[set[int]], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(found: object, _limit: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tuning.best", stop)  # after the divisions, before anything is varied
    with pytest.raises(KeyboardInterrupt):
        tuned(set())
    tried = json.loads((tmp_path / "out/tuning.json").read_text())
    assert [one["setup"]["workers"] for one in tried] == [1, 2]
