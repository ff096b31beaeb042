"""The dashboard's picture: every query of the dashboard is asked, and every panel is drawn."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from watching.board import Panel, Query, expanded, rate_interval, read_board
from watching.picture import draw
from watching.recording import Line, Recording, Sent, read, table, write
from watching.traffic import PARTS

from repository import ROOT

BOARD = ROOT / "kubernetes" / "components" / "monitoring" / "gradcam.json"
PANELS = read_board(BOARD)
SHOWN = [panel for panel in PANELS if panel.kind != "row"]
SENT = (
    Sent("quiet", 0.0, 30.0, 1, {200: 7, 415: 2}),
    Sent("a burst", 30.0, 60.0, 2, {200: 1000, 503: 5, 0: 1}),
)


def recorded(panels: list[Panel]) -> Recording:
    times = [float(time) for time in range(0, 61, 5)]
    values = [math.nan, *(1.5 + math.sin(time) for time in times[1:])]
    lines = {
        panel.title: (Line("one", times, values), Line("two", times, values)) for panel in panels
    }
    return Recording("python benchmarks/dashboard.py", 5, 5, 60.0, SENT, lines)


def test_every_panel_and_query_is_read() -> None:
    document = json.loads(BOARD.read_text(encoding="utf-8"))
    titles = [panel["title"] for panel in document["panels"]]
    assert [panel.title for panel in PANELS] == titles
    assert len(set(titles)) == len(titles)  # a recording goes by them
    asked = [target["expr"] for panel in document["panels"] for target in panel.get("targets", ())]
    assert [query.expression for panel in PANELS for query in panel.queries] == asked
    assert all(panel.queries for panel in SHOWN)


def test_every_query_can_be_asked_outside_of_grafana() -> None:
    known = {"__rate_interval": "20s", "namespace": "gradcam", "model": ".*"}
    for panel in SHOWN:
        for query in panel.queries:
            asked = expanded(query.expression, known)
            assert "$" not in asked
            assert 'namespace="gradcam"' in asked
    with pytest.raises(ValueError, match="a variable is left"):
        expanded("rate(x[$__interval])", known)


def test_a_series_is_called_by_its_labels() -> None:
    query = Query("", "{{api}} {{ outcome }} now")
    assert query.named({"api": "predictions", "outcome": "ok"}) == "predictions ok now"
    assert query.named({"api": "predictions"}) == "predictions  now"


def test_grafana_s_rate_interval() -> None:
    assert rate_interval(step=5, scrape=5) == 20  # four scrapes at least
    assert rate_interval(step=60, scrape=15) == 75


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    recording = recorded(SHOWN)
    write(recording, tmp_path / "a.json")
    again = read(tmp_path / "a.json")
    assert again.sent == recording.sent
    assert set(again.lines) == set(recording.lines)
    for title, lines in recording.lines.items():
        for one, other in zip(lines, again.lines[title], strict=True):
            assert (one.name, list(one.times)) == (other.name, list(other.times))
            np.testing.assert_array_equal(one.values, other.values)
    assert "| 1 quiet | 30 | 1 | 9 | 7 | 2 | 0 |" in table(again.sent)
    assert "| 2 a burst | 30 | 2 | 1,006 | 1,000 | 0 | 5 |" in table(again.sent)


def test_the_picture_names_panels_without_numbers(tmp_path: Path) -> None:
    whole = draw(PANELS, recorded(SHOWN), tmp_path / "whole.png")
    assert whole == []
    left = [panel.title for panel in SHOWN[:2]]
    part = draw(PANELS, recorded(SHOWN[2:]), tmp_path / "part.png")
    assert part == left
    pictures = [Image.open(tmp_path / f"{name}.png").convert("RGB") for name in ("whole", "part")]
    assert pictures[0].size == pictures[1].size
    assert pictures[0].width > 1000
    assert pictures[0].tobytes() != pictures[1].tobytes()


def test_the_parts_make_a_whole() -> None:
    assert sum(part.share for part in PARTS) == pytest.approx(1)
    assert {part.pods for part in PARTS} == {1, 2}
