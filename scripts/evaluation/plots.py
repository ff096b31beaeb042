"""A comparison as pictures."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # no screen is needed
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.measures import MEASURES
from evaluation.results import Comparison, Row

_BARS = ("grid_pointing", "box_energy", "road", "deletion", "insertion", "average_drop", "increase")
_GREY = "0.6"


def save_all(comparison: Comparison, folder: Path) -> list[Path]:
    """Draws every plot that the numbers allow, as ``evaluation-*.png``.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"methods": methods(comparison), "curves": curves(comparison)}
    if len(comparison.layers) > 1:
        figures["layers"] = layers(comparison)
    if comparison.stages:
        figures["forgetting"] = forgetting(comparison)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"evaluation-{name}.png")
        figure.savefig(paths[-1], dpi=110, metadata={"Software": None})
        plt.close(figure)
    return paths


def methods(comparison: Comparison) -> Figure:
    """A panel for each measure, a bar for each method at the default layer."""
    names = [name for name in _BARS if name in comparison.measured]
    rows = [*comparison.methods, *comparison.baselines]
    columns = min(3, len(names))
    height = -(-len(names) // columns)
    figure, grid = plt.subplots(
        height,
        columns,
        figsize=(4 * columns, height * (1.1 + 0.27 * len(rows))),
        squeeze=False,
        layout="constrained",
        sharey=True,
    )
    flat: list[Axes] = list(grid.flat)
    places = np.arange(len(rows))[::-1]
    for axes, name in zip(flat, names, strict=False):
        means = [row.mean(name) or 0.0 for row in rows]
        spreads = [row.half_width(name) for row in rows]
        colours = ["tab:blue" if row.layer else _GREY for row in rows]
        axes.barh(places, means, xerr=spreads, color=colours, ecolor="0.25", capsize=2)
        axes.set_yticks(places, [row.method for row in rows])
        axes.set_title(f"{MEASURES[name].title}\n({_better(name)} is better)", fontsize=10)
        axes.axvline(0, color="0.2", linewidth=0.8)
    for axes in flat[len(names) :]:
        axes.set_visible(False)
    figure.suptitle(
        f"Methods at {comparison.default_layer}, and maps that know nothing (grey); "
        "whiskers: 95 % interval"
    )
    return figure


def curves(comparison: Comparison) -> Figure:
    """The class's probability along deletion, insertion and ROAD."""
    figure, (deletion, insertion, most, least) = plt.subplots(
        1, 4, figsize=(15, 4.6), layout="constrained", sharey=True
    )
    shares = [100 * share for share in comparison.settings["shares"]]
    road = [100 * share for share in comparison.settings["road_shares"]]
    panels = (
        (deletion, "deletion", shares, "pixels deleted (mean colour)", "lower"),
        (insertion, "insertion", shares, "pixels put back (into a blurred picture)", "higher"),
        (most, "road_most", road, "most relevant pixels removed (ROAD)", "lower"),
        (least, "road_least", road, "least relevant pixels removed (ROAD)", "higher"),
    )
    rows = [*comparison.methods, *comparison.baselines]
    for axes, name, along, title, better in panels:
        for row, style in _drawn(rows):
            axes.plot(along, row.curves[name], label=_label(row, rows), **style)
        axes.set_title(f"{title}\n({better} is better)", fontsize=9)
        axes.set_xlabel("% of the pixels")
    deletion.set_ylabel("mean probability of the class")
    handles, labels = deletion.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=9)
    return figure


def layers(comparison: Comparison) -> Figure:
    """A matrix for each measure: methods down, layers across."""
    names = [n for n in ("grid_pointing", "road", "insertion") if n in comparison.measured]
    rows = [row for row in comparison.rows if row.layer]
    down = list(dict.fromkeys(row.method for row in rows))
    across = comparison.layers
    figure, grid = plt.subplots(
        1,
        len(names),
        figsize=(1.6 + (0.8 + 0.75 * len(across)) * len(names), 1.6 + 0.38 * len(down)),
        squeeze=False,
        layout="constrained",
        sharey=True,
    )
    found = {(row.method, row.layer): row for row in rows}
    for axes, name in zip(grid.flat, names, strict=True):
        values = np.full((len(down), len(across)), np.nan)
        for i, method in enumerate(down):
            for j, layer in enumerate(across):
                row = found.get((method, layer))
                mean = row.mean(name) if row else None
                values[i, j] = np.nan if mean is None else mean
        low, high = np.nanmin(values), np.nanmax(values)
        axes.imshow(values, cmap="viridis", aspect="auto", vmin=low, vmax=high)
        for (i, j), value in np.ndenumerate(values):
            if not np.isfinite(value):
                axes.text(j, i, "–", ha="center", va="center", fontsize=8, color="0.4")
            else:
                dark = value < (low + high) / 2
                axes.text(
                    j,
                    i,
                    f"{value:.2f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if dark else "black",
                )
        axes.set_xticks(range(len(across)), across, rotation=30, ha="right")
        axes.set_yticks(range(len(down)), down)
        axes.set_title(f"{MEASURES[name].title}\n({_better(name)} is better)", fontsize=10)
    return figure


def forgetting(comparison: Comparison) -> Figure:
    """How alike maps stay while the network forgets, stage by stage."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
    rows = [
        row
        for row in [*comparison.methods, *comparison.baselines]
        if "rank_correlation" in row.curves
    ]
    places = range(len(comparison.stages))
    for axes, name in zip(panels, ("rank_correlation", "similarity"), strict=True):
        for row, style in _drawn(rows):
            axes.plot(places, row.curves[name], label=_label(row, rows), **style)
        axes.set_xticks(places, comparison.stages, rotation=30, ha="right")
        axes.set_xlabel("parameters drawn anew, from the logits down to …")
        axes.axhline(0, color="0.2", linewidth=0.8)
    panels[0].set_title("Spearman rank correlation with the trained network's map", fontsize=10)
    panels[1].set_title("SSIM with the trained network's map", fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=9)
    return figure


def _drawn(rows: Sequence[Row]) -> list[tuple[Row, dict[str, object]]]:
    """The rows to draw, with their styles: of those whose curves coincide, the first."""
    chosen = [row for row in rows if _alike(row, rows)[0] is row]
    return list(zip(chosen, _styles(chosen), strict=True))


def _label(row: Row, rows: Sequence[Row]) -> str:
    return " = ".join(one.method for one in _alike(row, rows))


def _alike(row: Row, rows: Sequence[Row]) -> list[Row]:
    """The rows whose curves are this one's to within a line's width."""
    return [
        other
        for other in rows
        if bool(other.layer) == bool(row.layer)
        and all(
            np.allclose(curve, other.curves[name], atol=2e-3) for name, curve in row.curves.items()
        )
    ]


def _better(name: str) -> str:
    return "higher" if MEASURES[name].higher_is_better else "lower"


def _styles(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Colours for methods, grey dashes for maps that know nothing."""
    colours = plt.get_cmap("tab10").colors  # type: ignore[attr-defined]
    styles: list[dict[str, object]] = []
    dashes = iter(["--", ":", "-."] * len(rows))
    methods = 0
    for row in rows:
        if row.layer:
            colour = colours[methods % 10]
            styles.append({"color": colour, "linewidth": 1.6, "marker": "o", "markersize": 3})
            methods += 1
        else:
            styles.append({"color": "0.45", "linewidth": 1.4, "linestyle": next(dashes)})
    return styles
