"""The line that says how far a long run is."""

import pytest

from progress import Progress


def test_a_log_gets_the_last_step_and_not_every_one(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(100)
    for number in range(100):
        progress.step(f"step {number}")
    assert capsys.readouterr().err == "100/100  0 s left  step 99\n"


def test_a_terminal_gets_one_line_that_is_overwritten(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    progress = Progress(2)
    progress.step("a long description")
    progress.step("short")
    first, second = capsys.readouterr().err.removesuffix("\n").removeprefix("\r").split("\r")
    assert first.startswith("1/2")
    assert second.startswith("2/2")
    assert len(first) == len(second)  # nothing of the first is left over
