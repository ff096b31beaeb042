"""Measures that hide pixels: deletion and insertion, average drop and increase."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from evaluation.ranking import Probability, replacement_curve

SHARES = tuple(number / 10 for number in range(11))
"""Of the pixels changed, at each point of a deletion or insertion curve."""


def deletion_curve(
    pictures: Tensor,
    places: Tensor,
    probability: Probability,
    classes: Tensor,
    shares: Sequence[float] = SHARES,
) -> Tensor:
    """The class's probability while the most important pixels are deleted; lower is better.

    Petsiuk, Das & Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models",
    BMVC 2018, section 4.1: pixels go in the order of the map, and the measure is the area under
    the curve. A deleted pixel becomes 0 in the network's normalised units, which is the mean
    colour of the training pictures. The paper removes single pixels at 224 steps; here the
    shares say how many steps there are.

    Args:
        pictures: ``[N, 3, H, W]``, normalised.
        places: ``[N, H, W]``, the map's order.
        probability: The network.
        classes: ``[N]``.
        shares: Of the pixels deleted.

    Returns:
        ``[N, S]``.
    """
    blank = torch.zeros_like(pictures)
    return replacement_curve(pictures, blank, places, shares, probability, classes)


def insertion_curve(
    pictures: Tensor,
    places: Tensor,
    probability: Probability,
    classes: Tensor,
    shares: Sequence[float] = SHARES,
) -> Tensor:
    """The class's probability while a blurred picture gets its pixels back; higher is better.

    Petsiuk et al. (see :func:`deletion_curve`). The baseline is the picture as :func:`blur` leaves
    it. Arguments and result are those of :func:`deletion_curve`.
    """
    return replacement_curve(blur(pictures), pictures, places, shares, probability, classes)


def blur(pictures: Tensor) -> Tensor:
    """A Gaussian blur whose standard deviation is a tenth of the shorter side.

    The paper's kernel (11 pixels wide) is meant for 224 pixels and leaves small pictures
    recognisable.

    Args:
        pictures: ``[N, 3, H, W]``.
    """
    deviation = min(pictures.shape[2:]) / 10
    reach = min(int(3 * deviation), min(pictures.shape[2:]) - 1)  # a border is only mirrored once
    blurred: Tensor = gaussian_blur(pictures, [2 * reach + 1] * 2, [deviation] * 2)
    return blurred


def highlight(pictures: Tensor, maps: Tensor) -> Tensor:
    """Pictures times their maps: ``x ⊙ L``, so that what the map leaves out has the mean colour.

    Args:
        pictures: ``[N, 3, H, W]``, normalised.
        maps: ``[N, H, W]``, 0…1.
    """
    return pictures * maps[:, None]


def average_drop(before: Tensor, after: Tensor) -> Tensor:
    """What share of the class's probability is lost when only the map's part is shown.

    ``max(0, Y − O) / Y`` with ``Y = f(x)`` and ``O = f(x ⊙ L)``; its mean is the average drop;
    lower is better. Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual
    Explanations for Deep Convolutional Networks", WACV 2018, section 4.1.1.

    Args:
        before: ``[N]``, Y.
        after: ``[N]``, O.

    Returns:
        ``[N]``, 0…1.
    """
    return (before - after).clamp(min=0) / before


def increase(before: Tensor, after: Tensor) -> Tensor:
    """Whether the class's probability rises when only the map's part is shown: ``1[Y < O]``.

    Its mean is the increase in confidence; higher is better. Chattopadhay et al. (see
    :func:`average_drop`), section 4.1.2.

    Args:
        before: ``[N]``, Y.
        after: ``[N]``, O.

    Returns:
        ``[N]``, 0 or 1.
    """
    return (before < after).to(before.dtype)
