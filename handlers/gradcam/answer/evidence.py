"""What a map says in numbers, and whether there is anything in it. Functions of arrays.

``docs/evidence.md`` says of each number what it is, and what it is not.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from gradcam.answer.superlevel import largest_region
from gradcam.geometry import Region

Numbers = npt.NDArray[np.float64]

THRESHOLD = 0.15
"""Of the maximum, from which the box holds the map: Grad-CAM's own in weakly supervised
localisation (Selvaraju et al., ICCV 2017, section 4.1)."""

FLAT = 0.05
"""A map that varies by less than this share of its maximum is flat.

Its coldest cell is then drawn within 5 % of its hottest, 242 to 255 of 255 grey levels, so the
picture is one colour to the eye; what little varies says nothing of where.
"""


@dataclass(frozen=True)
class Evidence:
    """The numbers of one map.

    Attributes:
        maximum: Its greatest value after the ReLU, in units of the method; 0 if nothing is
            positive.
        positive_share: ``P / (P + N)``: ``P`` the sum of the positive values, ``N`` that of the
            others' magnitudes, before the ReLU; 0…1, and 0 if all values are zero.
        peak: ``(x, y)``, the centre of the greatest cell in pixels of the upright picture, of
            equals the first in reading order; ``None`` if nothing is positive. It lies beyond the
            picture's edge where the model pads pictures and the padding is what it looks at.
        spread: ``exp(-Σ p·ln p) / cells`` over the cells of the map, ``p`` the positive values
            over their sum: the share of the map's cells over which the evidence is effectively
            spread. ``1 / cells`` for a single cell, 1 if all are equal; 0 if nothing is positive.
        low_evidence: Why the map says little: ``"saturated"`` (the gradient is zero everywhere),
            ``"nothing_positive"`` or ``"flat"`` (see :data:`FLAT`); ``None`` if it does not.
        box: The tight box around the largest region (by area) in which the map, interpolated
            bilinearly as it is drawn, reaches ``threshold`` times its maximum; ``None`` if nothing
            positive lies within the picture.
        threshold: That share of the maximum, 0…1.
    """

    maximum: float
    positive_share: float
    peak: tuple[float, float] | None
    spread: float
    low_evidence: str | None
    box: Region | None
    threshold: float


def weigh(
    values: Tensor,
    region: Region,
    within: Region,
    threshold: float = THRESHOLD,
    *,
    silent: bool = False,
) -> Evidence:
    """Works out the numbers of one map.

    Args:
        values: ``[h, w]``, signed, before the ReLU; finite.
        region: What of the picture the map covers, in pixels of the upright picture.
        within: The part of the picture that was taken (all of it, or the crop). The box ends at
            its edges.
        threshold: Of the maximum, 0…1, from which the box holds the map.
        silent: Whether the gradient at the layer is zero everywhere.
    """
    raw = values.double().numpy()
    positive = raw.clip(min=0)
    maximum = float(positive.max())
    some = maximum > 0
    return Evidence(
        maximum,
        positive_share(values),
        _peak(raw, region) if some else None,
        _spread(positive) if some else 0.0,
        _low(raw, silent=silent),
        largest_region(positive / maximum, region, within, threshold) if some else None,
        threshold,
    )


def low_evidence(values: Tensor, *, silent: bool = False) -> str | None:
    """Why a signed map ``[h, w]`` says little, as in :class:`Evidence`, and nothing else of it."""
    return _low(values.double().numpy(), silent=silent)


def positive_share(values: Tensor) -> float:
    """``P / (P + N)`` of a signed map ``[h, w]``, as in :class:`Evidence`."""
    raw = values.double().numpy()
    magnitude = float(np.abs(raw).sum())
    return float(raw.clip(min=0).sum()) / magnitude if magnitude > 0 else 0.0


def _peak(raw: Numbers, region: Region) -> tuple[float, float]:
    height, width = raw.shape
    row, column = divmod(int(raw.argmax()), width)
    return (
        region.left + (column + 0.5) * region.width / width,
        region.top + (row + 0.5) * region.height / height,
    )


def _spread(positive: Numbers) -> float:
    shares = positive[positive > 0] / positive.max()  # no sum of small numbers may vanish
    shares = shares / shares.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum())) / positive.size


def _low(raw: Numbers, *, silent: bool) -> str | None:
    greatest = float(raw.max())
    if silent:
        return "saturated"
    if greatest <= 0:
        return "nothing_positive"
    return "flat" if greatest - float(raw.min()) < FLAT * greatest else None
