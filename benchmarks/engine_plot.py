"""The engine benchmark as a picture: how many forward passes an explanation costs."""

import textwrap
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from contenders import BY_HAND, OTHER, OURS, PEER
from engine_results import Results, Row
from engine_summary import groups, over
from machine import sentence
from matplotlib.axes import Axes
from spread import LEGEND

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_MARKERS = "osD^vP*X"
_TICKS = (1, 1.2, 1.5, 2, 3, 5, 10, 20, 50)


def draw(results: Results, path: Path) -> None:
    """Draws one panel for each batch size and number of targets.

    Args:
        results: What was measured.
        path: A PNG.
    """
    found = groups(results)
    batches = sorted({batch for batch, _ in found})
    targets = sorted({count for _, count in found})
    names = [
        name
        for name in results.of_kind(OURS, PEER, BY_HAND, OTHER)
        if any(name in row.seconds for row in results.rows)
    ]
    models = list(dict.fromkeys(row.model for row in results.rows))
    width = max(6.0, (0.95 * len(models) + 1) * len(batches))  # inches
    figure, panels = plt.subplots(
        len(targets),
        len(batches),
        figsize=(width, 3.6 * len(targets) + 1.3),
        squeeze=False,
        sharex=True,
        sharey="row",
        layout="constrained",
    )
    for down, count in enumerate(targets):
        for right, batch in enumerate(batches):
            panel = panels[down, right]
            _panel(panel, found.get((batch, count), []), names, models)
            panel.set_title(f"batch {batch}, {count} target{'s' if count > 1 else ''}", fontsize=10)
        panels[down, 0].set_ylabel("× the bare forward pass")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=max(2, int(width / 2.2)))
    figure.suptitle(
        f"An explanation in forward passes, {results.rounds} rounds: {LEGEND}\n"
        f"{textwrap.fill(sentence(dict(results.machine)), int(width * 12))}",
        fontsize=9,
    )
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _panel(panel: Axes, rows: list[Row], names: list[str], models: list[str]) -> None:
    by_model = {row.model: row for row in rows}
    step = 0.8 / len(names)
    for place, name in enumerate(names):
        there = [number for number, model in enumerate(models) if _has(by_model, model, name)]
        spreads = [over(by_model[models[number]], name, "forward") for number in there]
        panel.errorbar(
            [number + (place - (len(names) - 1) / 2) * step for number in there],
            [one.middle for one in spreads],
            yerr=[
                [one.middle - one.low for one in spreads],
                [one.high - one.middle for one in spreads],
            ],
            fmt=_MARKERS[place % len(_MARKERS)],
            color=_COLOURS[place % len(_COLOURS)],
            markersize=5,
            capsize=2,
            linewidth=1,
            label=name,
        )
    panel.axhline(1, color="black", linewidth=0.8)
    panel.set_yscale("log")
    panel.set_yticks(_TICKS, labels=[f"{tick:g}" for tick in _TICKS])
    panel.minorticks_off()
    panel.grid(axis="y", linewidth=0.4)
    for edge in range(len(models) - 1):
        panel.axvline(edge + 0.5, color="0.85", linewidth=0.6)
    panel.set_xlim(-0.5, len(models) - 0.5)
    panel.set_xticks(range(len(models)), models, rotation=30, ha="right", fontsize=8)


def _has(by_model: dict[str, Row], model: str, name: str) -> bool:
    return model in by_model and name in by_model[model].seconds
