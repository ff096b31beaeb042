"""A day at an autoscaled service, as one picture."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # no screen is needed
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from scaling.summary import Minutes

_SMOOTHED = 5  # minutes of which the lines show the worst, or the pictures would be all noise


def draw(days: Mapping[str, Minutes], path: Path) -> None:
    """Draws arrivals, replicas, queue time, refusals and cost, one line for each way to scale.

    Args:
        days: By the name of the way.
        path: Of a PNG.
    """
    figure, rows = plt.subplots(
        5, 1, figsize=(10, 12), sharex=True, layout="constrained", height_ratios=(2, 3, 3, 2, 2)
    )
    any_day = next(iter(days.values()))
    rows[0].fill_between(any_day.hours, any_day.arrived, color="0.8", linewidth=0)
    rows[0].set_ylabel("requests per\nsecond")
    for number, (name, day) in enumerate(days.items()):
        colour = f"C{number}"
        hours = day.hours[::_SMOOTHED]
        rows[1].step(day.hours, day.replicas, where="post", color=colour, label=name)
        rows[2].plot(hours, _worst(day.queue_p99), color=colour)
        rows[3].plot(hours, _worst(day.refused), color=colour)
        rows[4].plot(day.hours, day.replica_hours, color=colour)
        rows[4].annotate(
            f"{day.replica_hours[-1]:.0f}",
            (day.hours[-1], day.replica_hours[-1]),
            (3, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize="small",
        )
    rows[1].set_ylabel("replicas wanted")
    rows[1].legend(
        frameon=False,
        ncols=len(days),
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        fontsize="small",
    )
    rows[2].set_yscale("log")
    rows[2].yaxis.set_major_formatter("{x:g}")
    rows[2].set_ylabel("p99 of the queue\ntime, seconds")
    rows[3].set_ylabel("refused per\nsecond")
    rows[4].set_ylabel("replica-hours\nso far")
    rows[4].set_xlabel("hour of the day")
    for axes in rows:
        _tidy(axes)
    rows[1].set_ylim(bottom=0)
    rows[3].set_ylim(bottom=0)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="0.92")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(mpl.ticker.MultipleLocator(3))


def _worst(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[float]:
    """The worst minute of each few."""
    groups = [values[start : start + _SMOOTHED] for start in range(0, len(values), _SMOOTHED)]
    return [float("nan") if np.isnan(group).all() else float(np.nanmax(group)) for group in groups]
