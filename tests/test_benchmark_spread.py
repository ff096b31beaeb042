"""The one way in which benchmarks say how far rounds lie apart."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

spread = importlib.import_module("spread")


def test_of_five_rounds_and_more_the_quartiles_are_numpy_s() -> None:
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]

    found = spread.spread(values)

    assert [found.low, found.middle, found.high] == pytest.approx(
        np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    )
    assert found.whole is False
    assert found.text(1) == "2.8 (1.8–3.8)"


@pytest.mark.parametrize(
    ("values", "text"),
    [([2.0], "2.00 [2.00–2.00]"), ([1.0, 8.0, 2.0, 3.0], "2.50 [1.00–8.00]")],
)
def test_fewer_have_a_least_and_a_greatest_and_other_brackets(
    values: list[float], text: str
) -> None:
    assert str(spread.spread(values)) == text


def test_nothing_has_no_spread() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        spread.spread([])


def test_large_numbers_have_fewer_digits() -> None:
    assert str(spread.spread([10.04] * 5)) == "10.0 (10.0–10.0)"
