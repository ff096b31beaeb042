"""Pictures in an answer about one picture: its maps over it, and its maps as grey levels."""

from collections.abc import Sequence

from gradcam.errors import TooLarge
from gradcam.pictures import render
from gradcam.pictures.render import Grid
from gradcam.request.subject import Subject


def overlay(subject: Subject, grid: Grid) -> render.Pixels:
    """The map over the picture, as the options want it.

    Args:
        subject: With its canvas.
        grid: ``[h, w]``, 0…1.

    Returns:
        ``[height, width, 3]``, RGB, of the canvas's size.
    """
    canvas = _canvas(subject)
    across, down = canvas.shape[1] / subject.width, canvas.shape[0] / subject.height
    return render.overlay(
        canvas,
        grid,
        subject.view.region.scaled(across, down),
        subject.options.colormap,
        subject.options.alpha,
        subject.view.part.region.scaled(across, down),
    )


def panels(subject: Subject, grids: Sequence[Grid]) -> render.Pixels:
    """The overlays of several maps side by side, in order."""
    return render.beside([overlay(subject, grid) for grid in grids])


def grey_map(subject: Subject, grid: Grid) -> render.Pixels:
    """The map as 8-bit grey levels, at the size that the options want.

    Args:
        subject: The picture.
        grid: ``[h, w]``, 0…1.
    """
    width, height = render.fit(subject.width, subject.height, subject.options.max_side)
    across, down = width / subject.width, height / subject.height
    return render.grey_map(
        grid,
        subject.view.region.scaled(across, down),
        width,
        height,
        subject.view.part.region.scaled(across, down),
    )


def encode(pixels: render.Pixels, picture_type: str) -> bytes:
    """Encodes a picture of an answer.

    Raises:
        TooLarge: It is larger than the encoding can have it.
    """
    try:
        return render.encode(pixels, picture_type)
    except ValueError as error:
        raise TooLarge(f"{error}; lower max_side or ask for fewer targets") from None


def _canvas(subject: Subject) -> render.Pixels:
    if subject.canvas is None:
        raise ValueError("an overlay was asked for, but the picture was not kept")
    return subject.canvas
