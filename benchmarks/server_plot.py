"""What the server benchmark found, as one picture."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # no screen is needed
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from server_results import Found
from server_verdicts import LATE_SHARE, SOAK_FROM
from spread import FEWEST, spread

_COLUMNS = 3


def draw(found: Found, path: Path) -> None:
    """Draws a panel of rates for each model, and one for everything else that was measured."""
    panels: list[Callable[[Axes], None]] = [
        lambda axes, model=model: _rates(axes, found, model)  # type: ignore[misc]
        for model in found.models
    ]
    if found.open:
        panels.append(lambda axes: _arrivals(axes, found))
    if found.delays:
        panels.append(lambda axes: _delays(axes, found))
    if found.soak:
        panels.append(lambda axes: _soak(axes, found))
    rows = -(-len(panels) // _COLUMNS)
    columns = min(len(panels), _COLUMNS)
    figure, grid = plt.subplots(
        rows, columns, figsize=(5.6 * columns, 3.8 * rows), squeeze=False, layout="constrained"
    )
    for axes, panel in zip(grid.flat, panels, strict=False):
        panel(axes)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _rates(axes: Axes, found: Found, model: str) -> None:
    """Bars, as rates span two orders of magnitude: logarithmic, with the number beside each."""
    most, names = max(found.concurrencies), found.contenders(model)
    for place, name in enumerate(names):
        rate = spread([load.rate for load in found.loads(model, name, most)])
        colour = "0.7" if name.split()[0] in ("stock", "pytorch-grad-cam", "torch-cam") else "C0"
        axes.plot(
            [0, rate.middle], [place, place], color=colour, linewidth=8, solid_capstyle="butt"
        )
        axes.plot([rate.low, rate.high], [place, place], color="k", linewidth=1)
        axes.annotate(
            *(f"{rate.middle:.3g}", (rate.high, place), (4, 0)),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.margins(x=0.12)
    axes.set_title(f"{model}, {most} clients")
    axes.set_xlabel(f"requests/s (median; quartiles, or all of fewer than {FEWEST})")


def _arrivals(axes: Axes, found: Found) -> None:
    lines = dict.fromkeys((sample.model, sample.contender) for sample in found.open)
    for number, (model, contender) in enumerate(lines):
        samples = [one for one in found.open if (one.model, one.contender) == (model, contender)]
        shares = [100 * sample.share for sample in samples]
        colour = f"C{number}"
        axes.plot(
            shares,
            [1000 * sample.load.p50 for sample in samples],
            "o-",
            color=colour,
            label=f"{model}, {contender}",
        )
        axes.plot(shares, [1000 * sample.load.p99 for sample in samples], "s--", color=colour)
    axes.axvline(100 * LATE_SHARE, color="0.8", zorder=0)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_title("Poisson arrivals: p50 (solid) and p99 (dashed)")
    axes.set_xlabel("arrivals, % of the closed loop's rate")
    axes.set_ylabel("ms")
    axes.legend(fontsize="x-small", frameon=False)


def _delays(axes: Axes, found: Found) -> None:
    delays = list(found.delays)
    for share, style in ((0.5, "o-"), (0.95, "s--")):
        latencies = [1000 * found.delays[delay].quantile(share) for delay in delays]
        axes.plot(delays, latencies, style, color="C0", label=f"p{100 * share:.0f}")
    axes.set_ylim(bottom=0)
    axes.set_title("A lone client")
    axes.set_xlabel("max_batch_delay, ms")
    axes.set_ylabel("latency, ms")
    axes.legend(frameon=False)


def _soak(axes: Axes, found: Found) -> None:
    requests = np.array(list(found.soak))
    axes.plot(requests, list(found.soak.values()), "o-", color="C0")
    if requests[-1] > SOAK_FROM:
        axes.axvline(SOAK_FROM, color="0.8", zorder=0)
    axes.set_ylim(0, 1.15 * max(found.soak.values()))
    axes.set_title("Resident memory of the worker")
    axes.set_xlabel("explanations so far")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_ylabel("MiB")
