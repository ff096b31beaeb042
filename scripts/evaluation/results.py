"""What a comparison found: numbers with their spread, and the JSON of all of it."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluation.measures import MEASURES

_SAME = 5e-4  # rounding: equal methods may differ by it from picture to picture, always one way


@dataclass(frozen=True)
class Row:
    """One contender's numbers.

    Attributes:
        method: A method, or a map that knows nothing of the network.
        layer: Empty for the latter.
        values: By measure, one number for each picture (for each mosaic, in grid pointing).
        curves: By name, the means over all pictures at each point.
    """

    method: str
    layer: str
    values: Mapping[str, Sequence[float]]
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def mean(self, measure: str) -> float | None:
        """The mean, or ``None`` where it was not measured."""
        values = self.values.get(measure)
        return statistics.fmean(values) if values else None

    def half_width(self, measure: str) -> float:
        """Half of the mean's 95 % confidence interval, ``1.96 · s / √n``; 0 for one value."""
        return interval(self.values.get(measure, ()))


@dataclass(frozen=True)
class Comparison:
    """All that one run found.

    Attributes:
        model: What was looked at: name, architecture, default layer.
        data: Which pictures, and how many of them the network got right.
        settings: What the measures' points and baselines were.
        rows: The contenders.
        stages: Of the network, from the logits down, as they were forgotten.
        skipped: ``(method, layer, reason)`` of those that could not be measured.
    """

    model: Mapping[str, Any]
    data: Mapping[str, Any]
    settings: Mapping[str, Any]
    rows: Sequence[Row]
    stages: Sequence[str]
    skipped: Sequence[tuple[str, str, str]]

    @property
    def default_layer(self) -> str:
        """The layer at which all methods are compared."""
        return str(self.model["layer"])

    @property
    def layers(self) -> list[str]:
        """The layers, from the picture to the logits."""
        return [str(name) for name in self.model["layers"]]

    @property
    def methods(self) -> list[Row]:
        """The methods at the default layer."""
        return [row for row in self.rows if row.layer == self.default_layer]

    @property
    def baselines(self) -> list[Row]:
        """The maps that know nothing of the network."""
        return [row for row in self.rows if not row.layer]

    @property
    def measured(self) -> list[str]:
        """The measures that at least one row has."""
        return [name for name in MEASURES if any(row.values.get(name) for row in self.rows)]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "model": dict(self.model),
            "data": dict(self.data),
            "settings": dict(self.settings),
            "stages": list(self.stages),
            "contenders": [_entry(row) for row in self.rows],
            "skipped": [
                {"method": method, "layer": layer, "reason": reason}
                for method, layer, reason in self.skipped
            ],
        }


def interval(values: Sequence[float]) -> float:
    """Half of a mean's 95 % confidence interval, ``1.96 · s / √n``; 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    return 1.96 * statistics.stdev(values) / math.sqrt(len(values))


def leaders(rows: Sequence[Row], measure: str) -> list[str]:
    """The best method, and those that are no worse by more than chance, best first.

    A method is with the best if the 95 % interval of the mean difference, picture by picture,
    holds 0, or if the tables print the same number for both.
    """
    sign = 1 if MEASURES[measure].higher_is_better else -1
    ranked = sorted(
        (row for row in rows if row.values.get(measure)),
        key=lambda row: sign * (row.mean(measure) or 0.0),
        reverse=True,
    )
    if not ranked:
        return []
    best = ranked[0].values[measure]

    def close(row: Row) -> bool:
        values = row.values[measure]
        if len(values) != len(best):
            return False
        behind = [one - other for one, other in zip(best, values, strict=True)]
        return abs(statistics.fmean(behind)) <= max(interval(behind), _SAME)

    return [row.method for row in ranked if row is ranked[0] or close(row)]


def _entry(row: Row) -> dict[str, Any]:
    return {
        "method": row.method,
        "layer": row.layer or None,
        "measures": {
            name: {
                "mean": _rounded(row.mean(name)),
                "half_width": _rounded(row.half_width(name)),
                "n": len(row.values[name]),
            }
            for name in MEASURES
            if row.values.get(name)
        },
        "curves": {name: [_rounded(one) for one in curve] for name, curve in row.curves.items()},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
