"""What the engine benchmark measured, and its JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agreement import Agreement


@dataclass(frozen=True)
class Row:
    """One model, asked about so many pictures and so many targets of each.

    Attributes:
        model: Torchvision's name.
        batch: Pictures.
        targets: Classes of each picture.
        layer: The target layer.
        activation: Of the layer's output for the batch, in mebibytes.
        seconds: Of one call, in every round, by contender.
        calls: How many calls a turn had, by contender.
        saved: What autograd kept beyond parameters, buffers and one target activation, summed over
            all passes of a call, in mebibytes, by contender.
        peak: The most memory held at once beyond what was held before, likewise.
        absent: Why a contender took no part, by contender.
    """

    model: str
    batch: int
    targets: int
    layer: str
    activation: float
    seconds: Mapping[str, list[float]]
    calls: Mapping[str, int]
    saved: Mapping[str, float]
    peak: Mapping[str, float]
    absent: Mapping[str, str]


@dataclass(frozen=True)
class Results:
    """One run.

    Attributes:
        command: The command line.
        date: When it began, in ISO 8601.
        machine: As :func:`machine.describe` has it.
        rounds: Turns of each contender.
        pictures: What maps were compared on.
        contenders: ``kind``, ``what`` and ``version`` of each, by name.
        rows: The measurements.
        agreements: How far maps are from the exact ones.
    """

    command: str
    date: str
    machine: Mapping[str, Any]
    rounds: int
    pictures: str
    contenders: Mapping[str, Mapping[str, Any]]
    rows: tuple[Row, ...] = ()
    agreements: tuple[Agreement, ...] = ()

    def kind(self, name: str) -> str:
        """What sort of contender that is."""
        return str(self.contenders[name]["kind"])

    def of_kind(self, *kinds: str) -> list[str]:
        """The contenders of these kinds, in order."""
        return [name for name in self.contenders if self.kind(name) in kinds]


def save(results: Results, path: Path, summary: Mapping[str, Any]) -> None:
    """Writes the JSON; what stood there before is replaced at once."""
    beside = path.with_suffix(".part")
    document = asdict(results) | {"summary": summary}
    beside.write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")
    beside.replace(path)


def load(path: Path) -> Results:
    """Reads a JSON that :func:`save` wrote; its summary is worked out anew."""
    document = json.loads(path.read_text(encoding="utf-8"))
    document.pop("summary", None)
    rows = tuple(Row(**row) for row in document.pop("rows"))
    agreements = tuple(Agreement(**one) for one in document.pop("agreements"))
    return Results(**document, rows=rows, agreements=agreements)
