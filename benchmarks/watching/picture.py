"""The dashboard as a picture: its panels, where Grafana would have them."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

mpl.use("Agg")  # no screen is needed
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from watching.board import Panel
from watching.recording import Line, Recording

_COLOURS = ("#3274d9", "#e0752d", "#56a64b", "#b877d9", "#c4162a", "#8f8f00", "#3aa5a5", "#777777")
_STEPS = {"red": "#c4162a", "green": "#56a64b", "orange": "#e0752d"}
_UNIT = 0.30  # inches of a row of Grafana's grid
_COLUMNS, _WIDTH = 24, 13.5
_TOP = 2.3  # rows of the grid above the first panel, for what was sent
_PERCENT, _MIB = 100, 2**20
_LETTERS = 10  # of a legend, in a column of Grafana's grid
_COLORS = 96  # of the file: flat areas and thin lines need no more


def draw(panels: Sequence[Panel], recording: Recording, path: Path) -> list[str]:
    """Draws every panel.

    Args:
        panels: Of the dashboard.
        recording: What their queries gave.
        path: Of a PNG.

    Returns:
        The titles of the panels that had nothing to show.
    """
    rows = max(y + height for _, y, _, height in (panel.place for panel in panels))
    figure = plt.figure(figsize=(_WIDTH, (rows + _TOP) * _UNIT))
    grid = figure.add_gridspec(
        rows, _COLUMNS, left=0.03, right=0.99, top=1 - _TOP / (rows + _TOP), bottom=0.008,
        hspace=0, wspace=0,
    )  # fmt: skip
    empty = []
    with mpl.rc_context({"font.size": 7.5, "axes.linewidth": 0.5}):
        _sent(figure, recording, rows)
        for panel in panels:
            lines = [line for line in recording.lines.get(panel.title, ()) if _known(line)]
            if panel.kind != "row" and not lines:
                empty.append(panel.title)
            axes = _place(figure, grid, panel)
            {"row": _heading, "stat": _number, "timeseries": _curves}[panel.kind](
                axes, panel, lines, recording
            )
        _save(figure, path)
    plt.close(figure)
    return empty


def _place(figure: Figure, grid: GridSpec, panel: Panel) -> Axes:
    x, y, width, height = panel.place
    cell = figure.add_subplot(grid[y : y + height, x : x + width])
    cell.set_axis_off()
    if panel.kind != "timeseries":
        return cell
    # the panel's frame holds title and legend too
    margins = {"left": 0.11 * 8 / width, "top": 0.15, "right": 0.02, "bottom": 0.26}
    return cell.inset_axes(
        (
            margins["left"],
            margins["bottom"],
            1 - margins["left"] - margins["right"],
            1 - margins["top"] - margins["bottom"],
        )
    )


def _sent(figure: Figure, recording: Recording, rows: int) -> None:
    """The strip above: which part is when, by its number."""
    height = _TOP / (rows + _TOP)
    axes = figure.add_axes((0.03, 1 - height, 0.96, height))
    axes.set_axis_off()
    half = len(recording.sent) // 2 + 1
    names = [f"{number} {one.name}" for number, one in enumerate(recording.sent, 1)]
    text = "\n".join("     ".join(part) for part in (names[:half], names[half:]))
    axes.text(
        0, 0.92, f"Grad-CAM service: {recording.seconds / 60:.0f} minutes of known traffic",
        fontsize=11, weight="bold", va="top",
    )  # fmt: skip
    axes.text(0, 0.52, f"What was sent, minutes along each axis:  {text}", va="top", color="#444")


def _heading(axes: Axes, panel: Panel, _: Sequence[Line], __: Recording) -> None:
    axes.text(0, 0.3, panel.title, fontsize=9, weight="bold", va="center")
    axes.axhline(0, color="#bbbbbb", linewidth=0.8)


def _number(axes: Axes, panel: Panel, lines: Sequence[Line], _: Recording) -> None:
    axes.add_patch(
        Rectangle((0.01, 0.04), 0.98, 0.88, transform=axes.transAxes, color=_step(panel, lines))
    )
    said = _shown(_last(lines), panel.unit) if lines else "no data"
    axes.text(0.5, 0.42, said, fontsize=15, weight="bold", ha="center", va="center", color="white")
    axes.text(0.03, 0.86, panel.title, va="top", color="white", weight="bold")


def _curves(axes: Axes, panel: Panel, lines: Sequence[Line], recording: Recording) -> None:
    axes.set_title(panel.title, fontsize=8, weight="bold", loc="left", pad=3)
    axes.set_xlim(0, recording.seconds / 60)
    for number, one in enumerate(recording.sent, 1):
        axes.axvline(one.begin / 60, color="#999999", linewidth=0.5, linestyle=":")
        middle = (one.begin + one.end) / 120
        axes.text(
            middle, 1, str(number), transform=axes.get_xaxis_transform(), ha="center", va="top",
            color="#999999", fontsize=6,
        )  # fmt: skip
    if not lines:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color="#c4162a")
    names = [line.name for line in lines]
    colours = dict(zip(dict.fromkeys(names), _COLOURS * 3, strict=False))
    if panel.stacked:
        known = [time for line in lines for time in line.times]
        times = np.arange(min(known), max(known) + 1, recording.step)
        layers = [np.nan_to_num(_at(line, times)) for line in lines]
        axes.stackplot(
            times / 60, layers, labels=names, colors=[colours[name] for name in names], alpha=0.8,
            linewidth=0,
        )  # fmt: skip
    else:
        for line in lines:
            times = np.array(line.times) / 60
            values = np.array(line.values) / (_MIB if panel.unit == "bytes" else 1)
            # the first is broad, so that it shows where another lies on it
            broad = 2.2 if line is lines[0] and len(lines) > 1 else 1.1
            axes.plot(times, values, label=line.name, color=colours[line.name], linewidth=broad)
    _axis(axes, panel, lines)
    if lines:
        columns = int(_LETTERS * panel.place[2] / (max(map(len, names)) + 5))
        axes.legend(
            loc="upper left", bbox_to_anchor=(-0.02, -0.10), ncols=min(columns, 6), frameon=False,
            fontsize=6.5,
            handlelength=1, columnspacing=1, borderaxespad=0.2, labelspacing=0.25,
        )  # fmt: skip


def _axis(axes: Axes, panel: Panel, lines: Sequence[Line]) -> None:
    whole = all(
        value == round(value) for line in lines for value in line.values if math.isfinite(value)
    )
    axes.set_ylim(bottom=panel.least, top=panel.most)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(length=2, width=0.5, labelsize=6.5, pad=1.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=whole and panel.unit == "short"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _shown(value, panel.unit)))


def _shown(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return str(value)
    if unit == "percentunit":
        return f"{value * _PERCENT:.3g}%"
    if unit == "bytes":
        return f"{value:g} MiB"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
    return f"{value:.3g}{'/s' if unit in ('reqps', 'ops') else ''}"


def _step(panel: Panel, lines: Sequence[Line]) -> str:
    value = _last(lines) if lines else math.nan
    reached = [colour for least, colour in panel.steps if value >= least]
    return _STEPS[reached[-1]] if reached else "#888888"


def _last(lines: Sequence[Line]) -> float:
    return next(value for value in reversed(lines[0].values) if not math.isnan(value))


def _known(line: Line) -> bool:
    return any(map(math.isfinite, line.values))


def _at(line: Line, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values at these times; NaN where there is none."""
    found: Mapping[int, float] = {
        round(time): value for time, value in zip(line.times, line.values, strict=True)
    }
    return np.array([found.get(round(time), math.nan) for time in times.tolist()])


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=105, format="png", facecolor="white")
    picture = Image.open(buffer).convert("RGB")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(_COLORS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
