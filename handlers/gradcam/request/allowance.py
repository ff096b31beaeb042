"""What one request may still cost, counted down while its pictures are read."""

from collections.abc import Sequence

from gradcam.engine.explanation import Ask
from gradcam.engine.perturbation import passes
from gradcam.engine.price import further_passes
from gradcam.errors import TooLarge
from gradcam.settings import Limits
from gradcam.survey.layers import Layer

_LEAST_BYTES_OF_A_NUMBER = 4  # "0.0,"


class Allowance:
    """The limits of one request; every method refuses what goes beyond, before it is done."""

    def __init__(self, limits: Limits) -> None:
        self.pixels = limits.max_pixels
        self._limits = limits
        self.drawn = 0  # pixels of the pictures in the answer
        self.cells = 0  # of its maps
        self._numbers = 0
        self.passes = 0

    def decode(self, width: int, height: int) -> None:
        """Counts a picture that was decoded; the decoder has held it against ``pixels``."""
        self.pixels -= width * height

    def compute(self, ask: Ask, layers: Sequence[Layer], maps: int) -> None:
        """Counts the forward passes of one picture beyond the first.

        Raises:
            TooLarge: They are more than one request may cause.
        """
        self.passes += further_passes(ask, layers, maps)
        if self.passes > self._limits.max_passes:
            raise TooLarge(
                f"the request takes {self.passes:,} further forward passes; at most "
                f"{self._limits.max_passes:,} are made: {_cheaper(ask)}"
            )

    def draw(self, size: tuple[int, int], pictures: int) -> None:
        """Counts pictures of the answer, each of ``size``.

        Raises:
            TooLarge: They would take so long that TorchServe lost patience.
        """
        self.drawn += size[0] * size[1] * pictures
        if self.drawn > self._limits.max_drawn_pixels:
            raise TooLarge(
                f"the pictures in the answer would have {self.drawn:,} pixels together; at most "
                f"{self._limits.max_drawn_pixels:,} are drawn: lower max_side or ask for fewer "
                "targets"
            )

    def write(self, numbers: int) -> None:
        """Counts numbers of the answer's maps.

        Raises:
            TooLarge: They could not possibly fit into an answer.
        """
        self._numbers += numbers
        least = self._numbers * _LEAST_BYTES_OF_A_NUMBER
        if least > self._limits.max_answer_bytes:
            raise TooLarge(
                f"the answer would have at least {least:,} bytes; at most "
                f"{self._limits.max_answer_bytes:,} are sent: ask for fewer targets, a layer with "
                "a smaller map, or heatmap png or none"
            )


def _cheaper(ask: Ask) -> str:
    """What to lower of an ask that takes too many passes."""
    ways = [
        ("lower smooth", ask.smooth > 0),
        ("leave flip out", ask.flip),
        ("leave score out or ask for fewer targets", ask.score),
        ("choose another method or a layer of fewer channels", passes(ask.method, 1) > 0),
        ("send fewer instances", True),
    ]
    *first, last = [way for way, helps in ways if helps]
    return f"{', '.join(first)}{' or ' if first else ''}{last}"
