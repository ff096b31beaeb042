"""The order of pixels in a map, and curves along it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Probability = Callable[[Tensor, Tensor], Tensor]
"""``(pictures [N, 3, H, W], classes [N]) -> [N]``: the probability of each picture's class."""


def ranks(importance: Tensor, generator: torch.Generator) -> Tensor:
    """Every pixel's place in a map's order: 0 for the most important; equals are placed by lot.

    Without the lot, a map of one value would rank pixels from the upper left to the lower right.

    Args:
        importance: ``[N, H, W]``; greater is more important.
        generator: For the lot.

    Returns:
        ``[N, H, W]``, int64, each row a permutation of 0…HW−1.
    """
    flat = importance.flatten(1)
    lot = torch.rand(flat.shape, generator=generator).argsort(dim=1).to(flat.device)
    order = lot.gather(1, flat.gather(1, lot).argsort(dim=1, descending=True, stable=True))
    places = torch.arange(flat.shape[1], device=flat.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places).view(importance.shape)


def first(places: Tensor, share: float) -> Tensor:
    """Which pixels belong to the first share of them, rounded to whole pixels.

    Args:
        places: ``[N, H, W]``, of :func:`ranks`.
        share: 0…1.

    Returns:
        ``[N, H, W]``, bool.
    """
    return places < round(share * places[0].numel())


def replacement_curve(
    start: Tensor,
    goal: Tensor,
    places: Tensor,
    shares: Sequence[float],
    probability: Probability,
    classes: Tensor,
) -> Tensor:
    """The class's probability while pixels of one picture are replaced by those of another.

    Args:
        start: ``[N, 3, H, W]``.
        goal: ``[N, 3, H, W]``.
        places: ``[N, H, W]``: who goes first.
        shares: Of the pixels replaced, 0…1.
        probability: The network.
        classes: ``[N]``.

    Returns:
        ``[N, S]``, a column for each share.
    """
    columns = []
    for share in shares:
        replaced = first(places, share)[:, None]
        columns.append(probability(torch.where(replaced, goal, start), classes))
    return torch.stack(columns, dim=1)


def area(curve: Tensor, shares: Sequence[float]) -> Tensor:
    """The area under curves by trapezoids, over the width: the mean height, 0…1 for probabilities.

    Args:
        curve: ``[N, S]``.
        shares: Where its points are, ascending.

    Returns:
        ``[N]``.
    """
    along = torch.tensor(shares, dtype=curve.dtype, device=curve.device)
    return torch.trapezoid(curve, along, dim=1) / (along[-1] - along[0])
