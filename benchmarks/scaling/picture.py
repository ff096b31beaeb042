"""A day at an autoscaled service, as one picture."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")  # no screen is needed
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, MultipleLocator

from scaling.summary import Minutes

Floats = NDArray[np.float64]

_SMOOTHED = 5  # minutes of which the lines of the day show the worst, or it would be all noise
_ROWS = ("requests per\nsecond", "replicas wanted", "p99 of the queue\ntime, seconds")
_MORE_ROWS = ("refused per\nsecond", "replica-hours\nso far")


def draw(days: Mapping[str, Minutes], burst: tuple[float, float], path: Path) -> None:
    """Draws arrivals, replicas, queue time, refusals and cost, one line for each way to scale.

    Args:
        days: By the name of the way.
        burst: From which to which hour the second column shows every minute.
        path: Of a PNG.
    """
    figure, grid = plt.subplots(
        5,
        2,
        figsize=(12, 11),
        sharex="col",
        sharey="row",
        layout="constrained",
        width_ratios=(3, 2),
        height_ratios=(2, 3, 3, 2, 2),
    )
    for column, smoothed in ((grid[:, 0], _SMOOTHED), (grid[:, 1], 1)):
        _column(column, days, smoothed)
    for axes, text in zip(grid[:, 0], (*_ROWS, *_MORE_ROWS), strict=True):
        axes.set_ylabel(text)
    grid[2, 0].set_yscale("log")
    grid[2, 0].yaxis.set_major_formatter("{x:g}")
    grid[1, 0].yaxis.set_major_locator(MaxNLocator(integer=True))
    for row in (1, 3):
        grid[row, 0].set_ylim(bottom=0)
    hours = next(iter(days.values())).hours
    grid[0, 0].set_xlim(0, hours[-1])
    grid[0, 0].xaxis.set_major_locator(MultipleLocator(3))
    grid[0, 1].set_xlim(*burst)
    grid[4, 0].set_xlabel("hour of the day")
    grid[4, 1].set_xlabel("hour of the day: the burst, minute by minute")
    handles, labels = grid[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)


def _column(column: NDArray[np.object_], days: Mapping[str, Minutes], smoothed: int) -> None:
    axes: list[Axes] = list(column)
    any_day = next(iter(days.values()))
    axes[0].fill_between(any_day.hours, any_day.arrived, color="0.8", linewidth=0)
    for number, (name, day) in enumerate(days.items()):
        colour = f"C{number}"
        hours = day.hours[::smoothed]
        label = f"{name}: {day.replica_hours[-1]:.0f} replica-hours"
        axes[1].step(day.hours, day.replicas, where="post", color=colour, label=label)
        axes[2].plot(hours, _worst(day.queue_p99, smoothed), color=colour)
        axes[3].plot(hours, _worst(day.refused, smoothed), color=colour)
        axes[4].plot(day.hours, day.replica_hours, color=colour)
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(axis="x", color="0.92")


def _worst(values: Floats, count: int) -> list[float]:
    """The worst of each few."""
    groups = [values[start : start + count] for start in range(0, len(values), count)]
    return [float("nan") if np.isnan(group).all() else float(np.nanmax(group)) for group in groups]
