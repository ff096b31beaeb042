"""What the stages benchmark found, as a table and as a plot."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from interleaved import quotients

FORWARD, GRADIENT = "forward", "gradient, map"
EVIDENCE, SERIALISE, DOCUMENT = "evidence", "serialise", "document"
PREDICTIONS, GRID, OVERLAY = "predictions", "explanations, grid", "explanations, JPEG overlay"
SERVED = "served: "
"""Before the name of a walk: the same in a live TorchServe."""

TORCHSERVE = "TorchServe itself: "
"""Before the name of a walk: what that takes beyond the walk."""

STAGES = (
    *("decode", "resize", "transfer, normalise", FORWARD, GRADIENT),
    *(DOCUMENT, EVIDENCE, SERIALISE, "overlay", "encode", TORCHSERVE + GRID),
)
ALONE = "the forward pass alone"


@dataclass(frozen=True)
class Row:
    """One network and batch size.

    Attributes:
        architecture: Torchvision's.
        batch: Pictures.
        seconds: By stage and by walk, those of a batch in every round.
    """

    architecture: str
    batch: int
    seconds: Mapping[str, Sequence[float]]

    def milliseconds(self, name: str) -> float:
        """The median of a picture."""
        return statistics.median(self.seconds[name]) / self.batch * 1000

    def over(self, name: str, other: str) -> float:
        """The median of the ratios within a round."""
        return statistics.median(quotients(self.seconds[name], self.seconds[other]))


def parted(samples: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    """What was timed together with other stages without them, round by round.

    An explanation contains a forward pass, and writing a document gathers evidence and serialises.
    TorchServe's own share is what a picture takes there beyond the walk in this process.
    """
    found = dict(samples)
    found[GRADIENT] = _less(samples, GRADIENT, FORWARD)
    found[DOCUMENT] = _less(samples, DOCUMENT, EVIDENCE, SERIALISE)
    for walk in (PREDICTIONS, GRID, OVERLAY):
        if SERVED + walk in samples:
            found[TORCHSERVE + walk] = _less(samples, SERVED + walk, walk)
    return found


def _less(samples: Mapping[str, Sequence[float]], whole: str, *parts: str) -> list[float]:
    rounds = zip(samples[whole], *(samples[part] for part in parts), strict=True)
    return [taken - sum(others) for taken, *others in rounds]


def table(rows: Sequence[Row]) -> str:
    """Milliseconds of a picture, in Markdown."""
    names = list(dict.fromkeys(name for row in rows for name in row.seconds))
    heads = " | ".join(f"{row.architecture}, batch {row.batch}" for row in rows)
    lines = [
        f"| ms a picture | {heads} |",
        "|---|" + "---|" * len(rows),
    ]
    for name in names:
        cells = [f"{row.milliseconds(name):.2f}" if name in row.seconds else "" for row in rows]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for name, other in (
        (GRID, PREDICTIONS),
        (OVERLAY, PREDICTIONS),
        (OVERLAY, ALONE),
        ("explanation without a graph", "explanation from a graph"),
    ):
        if all(name in row.seconds for row in rows):
            cells = [f"{row.over(name, other):.2f}" for row in rows]
            lines.append(f"| **{name} over {other}** | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(rows: Sequence[Row], path: Path) -> None:
    """One bar for each row, with its stages one after the other."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - it may be missing
        from matplotlib import pyplot as plt  # noqa: PLC0415
    except ModuleNotFoundError:
        print("matplotlib is not installed, so there is no plot")
        return
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.6 * len(rows)), layout="constrained")
    names = [f"{row.architecture}, batch {row.batch}" for row in rows]
    start = [0.0] * len(rows)
    for stage, colour in zip(STAGES, mpl.color_sequences["tab20"], strict=False):
        there = [stage in row.seconds for row in rows]
        if not any(there):
            continue
        widths = [
            max(0.0, row.milliseconds(stage)) if has else 0.0
            for row, has in zip(rows, there, strict=True)
        ]
        axes.barh(names, widths, left=start, label=stage, color=colour)
        start = [left + width for left, width in zip(start, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("ms a picture, each stage alone")
    figure.legend(ncols=4, fontsize=8, loc="outside lower center")
    figure.savefig(path, dpi=120)
    plt.close(figure)
