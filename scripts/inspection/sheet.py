"""The contact sheet: maps of one picture, layers across and methods down."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # no screen is needed
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from PIL import Image

from gradcam.geometry import Region
from gradcam.pictures import render
from inspection.findings import Cell, Findings

_SIDE = 2.0
"""Inches of one map's longer side."""

_PIXELS = 360
"""Of a panel's longer side."""

_GAP, _TITLE, _NUMBER = 0.1, 0.5, 0.25
"""Inches between panels, above them for the layers' names, and below each for its number."""

Rectangle = tuple[float, float, float, float]


def save_sheet(findings: Findings, path: Path, colormap: str = "jet", alpha: float = 0.5) -> None:
    """Draws the sheet.

    Args:
        findings: What to show.
        path: A file; its suffix says of which type: .png, or .jpg, a tenth of that.
        colormap: One of :data:`gradcam.pictures.render.COLORMAPS`.
        alpha: The share of the map's colour.
    """
    methods = list(dict.fromkeys(method for method, _ in findings.cells))
    layers = list(dict.fromkeys(layer for _, layer in findings.cells))
    original = findings.picture
    image = _at_panel_size(Image.fromarray(original.pixels))
    region = findings.view.region.scaled(
        image.width / original.width, image.height / original.height
    )
    panel = (_SIDE * image.width / max(image.size), _SIDE * image.height / max(image.size))
    page = _Page(
        left=0.25 + 0.085 * max(len(method) for method in methods),
        columns=max(len(layers), 3),
        rows=len(methods),
        panel=panel,
    )
    figure = plt.figure(figsize=page.size)
    seen = figure.add_axes(page.header(0.0, panel[0]))
    seen.imshow(image)
    frame = (region.left, region.top), region.width, region.height
    seen.add_patch(mpl.patches.Rectangle(*frame, fill=False, edgecolor="white"))
    _bare(seen)
    words = figure.add_axes(page.header(panel[0] + 0.15, 1.0))
    words.axis("off")
    words.text(0, 1, _told(findings, page.letters), va="top", fontsize=9, transform=words.transAxes)
    sizes = {layer.name: layer for layer in findings.layers}
    for row, method in enumerate(methods):
        for column, layer in enumerate(layers):
            axes = figure.add_axes(page.place(row, column))
            _draw(axes, findings.cells[method, layer], image, region, colormap, alpha)
            if row == 0:
                one = sizes[layer]
                star = " *" if layer == findings.default else ""
                axes.set_title(f"{layer}{star}\n{one.height}×{one.width}", fontsize=9)
            if column == 0:
                axes.set_ylabel(method, fontsize=9, rotation=0, ha="right", va="center")
    _draw_scale(figure.add_axes(page.header(panel[0] + 0.15, 3.6, height=0.1)), colormap)
    figure.savefig(path, dpi=110)
    plt.close(figure)


@dataclass(frozen=True)
class _Page:
    """Where everything stands, worked out in inches: the header, and below it the rows of maps."""

    left: float
    columns: int
    rows: int
    panel: tuple[float, float]

    @property
    def _head(self) -> float:
        return max(self.panel[1], 1.75)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        width = self.left + self.columns * (self.panel[0] + _GAP)
        return width, _GAP + self._head + _TITLE + self.rows * (self.panel[1] + _NUMBER)

    @property
    def letters(self) -> int:
        """How many fit into a line beside the picture."""
        return int((self.columns - 1) * (self.panel[0] + _GAP) / 0.08)

    def header(self, right_by: float, width: float, height: float = 0.0) -> Rectangle:
        """A place in the header: at its top, or of a height of its own at its bottom."""
        top = self.size[1] - _GAP
        tall = height or self.panel[1]
        bottom = top - self._head + 0.4 if height else top - tall
        return self._share(self.left + right_by, bottom, width, tall)

    def place(self, row: int, column: int) -> Rectangle:
        """A map's place."""
        top = self.size[1] - _GAP - self._head - _TITLE - row * (self.panel[1] + _NUMBER)
        return self._share(
            self.left + column * (self.panel[0] + _GAP), top - self.panel[1], *self.panel
        )

    def _share(self, left: float, bottom: float, width: float, height: float) -> Rectangle:
        across, down = self.size
        return left / across, bottom / down, width / across, height / down


def _at_panel_size(image: Image.Image) -> Image.Image:
    """The picture at the size it is drawn with; a thumbnail grows, for the map's sake."""
    factor = _PIXELS / max(image.size)
    return image.resize((round(image.width * factor), round(image.height * factor)))


def _draw_scale(axes: Axes, colormap: str) -> None:
    colours = render.colour(np.arange(256, dtype=np.uint8)[None, :], colormap)[0] / 255
    scale = ScalarMappable(cmap=mpl.colors.ListedColormap(colours))
    bar = axes.figure.colorbar(scale, cax=axes, orientation="horizontal")
    bar.ax.tick_params(labelsize=8)
    bar.set_label("each map over its own maximum, the number below it", fontsize=9)


def _told(findings: Findings, letters: int) -> str:
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
    return "\n".join(textwrap.fill(line, letters) for line in lines)


def _frame(findings: Findings) -> str:
    region = findings.view.region
    whole = region == findings.picture.frame.region
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
    axes.imshow(render.overlay(np.asarray(image), values, region, colormap, alpha))
    told = f"{cell.maximum:.2g}" if cell.maximum > 0 else "nothing is positive"
    axes.set_xlabel(told, fontsize=7, labelpad=2)


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
