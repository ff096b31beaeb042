"""The contact sheet: maps of one picture, layers across and methods down."""

import textwrap
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # no screen is needed
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from PIL import Image

from gradcam import render
from gradcam.geometry import Region
from inspection.findings import Cell, Findings

_SIDE = 2.0
"""Inches of one map's longer side."""

_PIXELS = 360
"""Of a panel's longer side."""


def save_sheet(findings: Findings, path: Path, colormap: str = "jet", alpha: float = 0.5) -> None:
    """Draws the sheet.

    Args:
        findings: What to show.
        path: A PNG file.
        colormap: One of :data:`gradcam.render.COLORMAPS`.
        alpha: The share of the map's colour.
    """
    methods = list(dict.fromkeys(method for method, _ in findings.cells))
    layers = list(dict.fromkeys(layer for _, layer in findings.cells))
    image = findings.picture.image
    small = render.shrink(image, _PIXELS)
    if max(image.size) < _PIXELS:  # a thumbnail would be drawn with a handful of pixels
        factor = _PIXELS / max(image.size)
        small = image.resize((round(image.width * factor), round(image.height * factor)))
    region = findings.view.region.scaled(small.width / image.width, small.height / image.height)
    wide, high = (_SIDE * side / max(small.size) for side in small.size)
    columns = max(len(layers), 3)
    figure = plt.figure(
        figsize=(1.3 + columns * (wide + 0.12), 1.0 + (len(methods) + 1) * (high + 0.42))
    )
    grid = figure.add_gridspec(
        len(methods) + 1,
        columns,
        left=1.25 / figure.get_figwidth(),
        right=1 - 0.1 / figure.get_figwidth(),
        bottom=0.85 / figure.get_figheight(),
        top=1 - 0.12 / figure.get_figheight(),
        wspace=0.06,
        hspace=0.42 / high,
    )
    seen = figure.add_subplot(grid[0, 0])
    seen.imshow(small)
    seen.add_patch(
        mpl.patches.Rectangle(
            (region.left, region.top), region.width, region.height, fill=False, edgecolor="white"
        )
    )
    _bare(seen)
    words = figure.add_subplot(grid[0, 1:])
    words.axis("off")
    words.text(0.02, 0.95, _told(findings), va="top", fontsize=9, transform=words.transAxes)
    sizes = {layer.name: layer for layer in findings.layers}
    for row, method in enumerate(methods, start=1):
        for column, layer in enumerate(layers):
            axes = figure.add_subplot(grid[row, column])
            _draw(axes, findings.cells[method, layer], small, region, colormap, alpha)
            if row == 1:
                one = sizes[layer]
                star = " *" if layer == findings.default else ""
                axes.set_title(f"{layer}{star}\n{one.height}×{one.width}", fontsize=9)
            if column == 0:
                axes.set_ylabel(method, fontsize=9, rotation=0, ha="right", va="center")
    scale = figure.add_axes((0.3, 0.5 / figure.get_figheight(), 0.4, 0.1 / figure.get_figheight()))
    colours = render.colour(np.arange(256, dtype=np.uint8)[None, :], colormap)[0] / 255
    bar = figure.colorbar(
        ScalarMappable(cmap=mpl.colors.ListedColormap(colours)), cax=scale, orientation="horizontal"
    )
    bar.ax.tick_params(labelsize=8)
    bar.set_label("each map after the ReLU, over its own maximum (the number below it)", fontsize=9)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _told(findings: Findings) -> str:
    model = findings.model
    lines = [
        f"{model.name} ({model.settings.architecture})",
        "predictions: "
        + ", ".join(
            f"{label} {probability:.2f}" for label, probability in findings.predictions[:3]
        ),
        f"explained: {model.classes[findings.target].label}",
        f"* the default layer: {findings.why}",
        f"{_frame(findings)}; layers run across, methods down",
    ]
    return "\n".join(textwrap.fill(line, 62) for line in lines)


def _frame(findings: Findings) -> str:
    region, image = findings.view.region, findings.picture.image
    whole = (region.left, region.top, region.width, region.height) == (0, 0, *image.size)
    return "the network sees the whole picture" if whole else "the frame is what the network sees"


def _draw(
    axes: Axes, cell: Cell, image: Image.Image, region: Region, colormap: str, alpha: float
) -> None:
    _bare(axes)
    if cell.grid is None:
        grey = np.full((image.height, image.width, 3), 235, np.uint8)
        axes.imshow(grey)
        reason = textwrap.fill(textwrap.shorten(cell.reason, 120, placeholder=" …"), 26)
        axes.text(0.5, 0.5, reason, ha="center", va="center", fontsize=7, transform=axes.transAxes)
        return
    values = np.asarray(cell.grid.numpy(), np.float32)
    axes.imshow(render.overlay(image, values, region, colormap, alpha))
    told = f"{cell.maximum:.2g}" if cell.maximum > 0 else "nothing is positive"
    axes.set_xlabel(told, fontsize=7, labelpad=2)


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
