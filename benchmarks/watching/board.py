"""The Grafana dashboard of ``kubernetes/components/monitoring``, as far as a picture needs it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True)
class Query:
    """One target of a panel.

    Attributes:
        expression: PromQL, with Grafana's variables in it.
        legend: With ``{{label}}`` in it; may be empty.
    """

    expression: str
    legend: str

    def named(self, labels: Mapping[str, str]) -> str:
        """What a series of it is called."""
        return _LABEL.sub(lambda found: labels.get(found[1], ""), self.legend).strip()


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: Its heading.
        kind: ``row``, ``stat`` or ``timeseries``.
        unit: Grafana's name of it, such as ``reqps``; empty for a row.
        stacked: Series lie on top of each other.
        least: The axis begins here; ``None`` for where the numbers do.
        most: And ends here.
        place: x, y, width and height, in Grafana's grid of 24 columns.
        steps: From which value on which colour is meant, of a stat; the first has no bound.
        queries: What it asks.
    """

    title: str
    kind: str
    unit: str
    stacked: bool
    least: float | None
    most: float | None
    place: tuple[int, int, int, int]
    steps: tuple[tuple[float, str], ...]
    queries: tuple[Query, ...]


def read_board(path: Path) -> tuple[Panel, ...]:
    """The panels of a dashboard.

    Args:
        path: Of Grafana's JSON.

    Raises:
        ValueError: There is a panel of a kind that nothing draws.
    """
    return tuple(_panel(one) for one in json.loads(path.read_text(encoding="utf-8"))["panels"])


def expanded(expression: str, variables: Mapping[str, str]) -> str:
    """A query with Grafana's variables replaced.

    Raises:
        ValueError: There is one that nobody gave.
    """
    for name in sorted(variables, key=len, reverse=True):
        expression = expression.replace(f"${name}", variables[name])
    if "$" in expression:
        raise ValueError(f"a variable is left in {expression}")
    return expression


def rate_interval(step: int, scrape: int) -> int:
    """Grafana's ``$__rate_interval`` in seconds, for the distance of points and of scrapes."""
    return max(step + scrape, 4 * scrape)


def _panel(one: Mapping[str, Any]) -> Panel:
    kind = one["type"]
    if kind not in ("row", "stat", "timeseries"):
        raise ValueError(f"nothing draws {one['title']}, which is a {kind}")
    told = one.get("fieldConfig", {}).get("defaults", {})
    at = one["gridPos"]
    steps = told.get("thresholds", {}).get("steps", ())
    return Panel(
        title=one["title"],
        kind=kind,
        unit=told.get("unit", ""),
        stacked="stacking" in told.get("custom", {}),
        least=told.get("min"),
        most=told.get("max"),
        place=(at["x"], at["y"], at["w"], at["h"]),
        steps=tuple((step["value"] or float("-inf"), step["color"]) for step in steps),
        queries=tuple(
            Query(each["expr"], each.get("legendFormat", "")) for each in one.get("targets", ())
        ),
    )
