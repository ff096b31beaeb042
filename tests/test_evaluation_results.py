"""Numbers with their spread, the table, the document's part."""

import json
import math
from pathlib import Path

import pytest
from scipy import stats

from evaluation.report import BEGIN, END, markdown, table, write_into
from evaluation.results import Comparison, Row, interval, leaders

GOOD = (0.9, 0.8, 0.7, 0.9, 0.8)


def comparison() -> Comparison:
    return Comparison(
        model={"name": "m", "layer": "last", "layers": ["first", "last"]},
        data={"drawn": 6, "right": 5},
        settings={
            "probability": 0.8,
            "probability_blank": 0.1,
            "probability_blurred": 0.2,
            "mosaics": 4,
            "mosaic_side": 2,
            "mosaic_scaled": False,
            "no_mosaics": "",
            "forgetting": 3,
        },
        rows=[
            Row("a", "last", {"road": GOOD, "deletion": (0.3,) * 5}),
            Row("b", "last", {"road": (0.1,) * 5, "deletion": (0.2,) * 5}),
            Row("a", "first", {"road": (0.25,) * 5, "deletion": (0.9,) * 5}, {"deletion": (1.0,)}),
            Row("random", "", {"road": (-0.1, 0.1, 0.0, 0.0, 0.0)}),
        ],
        stages=["head"],
        skipped=[("b", "first", "cannot be")],
    )


def test_an_interval_is_the_normal_one() -> None:
    low, high = stats.norm.interval(0.95, scale=stats.sem(GOOD))
    assert interval(GOOD) == pytest.approx((high - low) / 2, rel=1e-4)
    assert interval((1.0,)) == 0.0


def test_leaders_are_told_from_the_rest_picture_by_picture() -> None:
    alternating = [0.1, 0.9] * 10
    rows = [
        Row("best", "x", {"road": alternating}),
        # always a little worse: far within the spread of each, and yet no chance
        Row("behind", "x", {"road": [value - 0.01 for value in alternating]}),
        Row("alike", "x", {"road": alternating[::-1]}),
        Row("rounded", "x", {"road": [value - 1e-7 for value in alternating]}),
        Row("missing", "x", {}),
    ]
    assert leaders(rows, "road") == ["best", "alike", "rounded"]
    assert leaders(rows, "insertion") == []


def test_where_lower_is_better_the_least_leads() -> None:
    assert leaders(comparison().methods, "deletion") == ["b"]
    assert leaders(comparison().methods, "road") == ["a"]


def test_the_table_has_a_line_for_everyone() -> None:
    lines = table(comparison()).splitlines()
    assert lines[0].split() == ["method", "layer", "ROAD", "↑", "deletion", "↓"]
    half = 1.96 * math.sqrt(0.007) / math.sqrt(5)
    assert lines[1].split() == ["a", "last", "0.820", "±", f"{half:.3f}", "0.300", "±", "0.000"]
    assert lines[4].split() == ["random", "–", "0.000", "±", "0.062", "–"]
    assert lines[5] == "skipped: b at first: cannot be"


def test_the_document_is_json_with_means() -> None:
    document = json.loads(json.dumps(comparison().document()))
    first, *_, last = document["contenders"]
    assert first["measures"]["road"] == {"mean": 0.82, "half_width": 0.07334, "n": 5}
    assert last["layer"] is None
    assert document["contenders"][2]["curves"] == {"deletion": [1.0]}
    assert document["skipped"] == [{"method": "b", "layer": "first", "reason": "cannot be"}]


def test_the_best_stand_in_bold_and_layers_side_by_side() -> None:
    text = markdown(comparison(), "the command")
    lines = text.splitlines()
    assert "| `a` | **0.820 ± 0.073** | 0.300 ± 0.000 |" in lines
    assert "| `b` | 0.100 ± 0.000 | **0.200 ± 0.000** |" in lines
    assert "| *random* | 0.000 ± 0.062 | – |" in lines
    assert "| method | `first` | `last` |" in lines
    assert "| `b` | – | 0.100 ± 0.000 |" in lines
    assert "`the command` drew 6 pictures; the network gets 5 of them right" in text


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "document.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_into(path, "new")
    write_into(path, "newer")
    assert path.read_text() == f"before\n{BEGIN}\n\nnewer\n\n{END}\nafter\n"
    path.write_text("no marks")
    with pytest.raises(ValueError, match="has no"):
        write_into(path, "new")
