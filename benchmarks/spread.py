"""How far measurements of several rounds lie apart: the one way in which all benchmarks say it."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST = 5
"""Values that have quartiles; fewer have a least and a greatest."""

LEGEND = f"medians (quartiles); of fewer than {FEWEST} rounds medians [minimum–maximum]"
"""What the brackets in a table mean."""


@dataclass(frozen=True)
class Spread:
    """The median, and what lies around it.

    Attributes:
        low: The lower quartile, or the minimum.
        middle: The median.
        high: The upper quartile, or the maximum.
        whole: Whether these are minimum and maximum.
    """

    low: float
    middle: float
    high: float
    whole: bool = False

    def text(self, digits: int) -> str:
        """With so many digits behind the point; the brackets say what is between them."""
        opening, closing = "[]" if self.whole else "()"
        around = f"{self.low:.{digits}f}–{self.high:.{digits}f}"
        return f"{self.middle:.{digits}f} {opening}{around}{closing}"

    def __str__(self) -> str:
        return self.text(2 if self.middle < 10 else 1)


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value.

    Quartiles are those that lie a quarter and three quarters of the way from the least value to the
    greatest in their order, interpolated, as numpy and R have them.

    Raises:
        ValueError: There is none.
    """
    if not values:
        raise ValueError("nothing was measured")
    if len(values) < FEWEST:
        return Spread(min(values), statistics.median(values), max(values), whole=True)
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(low, middle, high)
