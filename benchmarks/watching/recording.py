"""A recording: what the dashboard's queries gave, and what was sent meanwhile."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watching.board import Panel, expanded, rate_interval
from watching.prometheus_server import Prometheus


@dataclass(frozen=True)
class Line:
    """One series of a panel.

    Attributes:
        name: Of its legend.
        times: Seconds since the recording began.
        values: As many, NaN among them.
    """

    name: str
    times: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True)
class Sent:
    """What was sent in a part.

    Attributes:
        name: Of the part.
        begin: Seconds since the recording began.
        end: Likewise.
        pods: How many were asked.
        statuses: How many answers had each status; 0 is no answer.
    """

    name: str
    begin: float
    end: float
    pods: int
    statuses: Mapping[int, int]


@dataclass(frozen=True)
class Recording:
    """All of it.

    Attributes:
        command: That made it.
        scrape: Seconds between two scrapes.
        step: Seconds between two points.
        seconds: How long it is.
        sent: By part.
        lines: By the panel's title.
    """

    command: str
    scrape: int
    step: int
    seconds: float
    sent: tuple[Sent, ...]
    lines: Mapping[str, tuple[Line, ...]]


def ask_all(
    prometheus: Prometheus,
    panels: Sequence[Panel],
    begin: float,
    end: float,
    step: int,
    scrape: int,
) -> dict[str, tuple[Line, ...]]:
    """Asks what Grafana would ask for these panels, with all models chosen."""
    variables = {
        "__rate_interval": f"{rate_interval(step, scrape)}s",
        "namespace": "gradcam",
        "model": ".*",
    }
    found: dict[str, tuple[Line, ...]] = {}
    for panel in panels:
        if panel.queries:
            found[panel.title] = tuple(
                Line(query.named(one.labels), [time - begin for time in one.times], one.values)
                for query in panel.queries
                for one in prometheus.ask(expanded(query.expression, variables), begin, end, step)
            )
    return found


def write(recording: Recording, path: Path) -> None:
    """Writes it as JSON."""
    document = {
        **{name: getattr(recording, name) for name in ("command", "scrape", "step", "seconds")},
        "sent": [{**vars(one), "statuses": dict(one.statuses)} for one in recording.sent],
        "lines": {
            title: [
                {"name": one.name, "times": list(one.times), "values": list(map(_told, one.values))}
                for one in lines
            ]
            for title, lines in recording.lines.items()
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")


def read(path: Path) -> Recording:
    """Reads what :func:`write` wrote."""
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    sent = tuple(
        Sent(**{**one, "statuses": {int(key): count for key, count in one["statuses"].items()}})
        for one in told.pop("sent")
    )
    lines = {
        title: tuple(
            Line(one["name"], one["times"], [float(value) for value in one["values"]])
            for one in each
        )
        for title, each in told.pop("lines").items()
    }
    return Recording(sent=sent, lines=lines, **told)


def table(sent: Sequence[Sent]) -> str:
    """What was sent, as a table of Markdown."""
    rows = [
        "| part | seconds | pods | requests | 2xx | 4xx | 5xx |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, one in enumerate(sent, 1):
        classes = Counter[int]()
        for status, count in one.statuses.items():
            classes[status // 100] += count
        counts = (sum(classes.values()), classes[2], classes[4], classes[5])
        seconds = f"{one.end - one.begin:.0f}"
        cells = (f"{number} {one.name}", seconds, one.pods, *(f"{each:,}" for each in counts))
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def _told(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)  # JSON has no NaN
