"""One picture of a request, as it is answered about."""

from dataclasses import dataclass

from gradcam.geometry import View
from gradcam.pictures import render
from gradcam.request.options import Options


@dataclass(frozen=True)
class Subject:
    """One picture of a request, ready to be answered about.

    Attributes:
        width: Of the upright picture, in pixels.
        height: Likewise.
        view: What the network saw of it.
        canvas: ``[h, w, 3]``: the picture as pictures in the answer show it, at most ``max_side``
            long; ``None`` where none shows it.
        options: The request's.
    """

    width: int
    height: int
    view: View
    canvas: render.Pixels | None
    options: Options
