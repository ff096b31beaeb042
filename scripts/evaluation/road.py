"""ROAD: pixels are removed by noisy linear imputation, so that their shape tells nothing.

Rong, Leemann, Borisov, Kasneci & Kasneci, "A Consistent and Efficient Evaluation Strategy for
Attribution Methods", ICML 2022.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from evaluation.ranking import Probability, first

SHARES = (0.2, 0.4, 0.6, 0.8)
"""Of the pixels removed."""

NOISE = 0.01
"""The standard deviation of what is added to imputed pixels, in the network's normalised units."""


def impute(
    pictures: Tensor,
    removed: Tensor,
    noise: float,
    generator: torch.Generator,
    tolerance: float = 1e-4,
) -> Tensor:
    """Replaces removed pixels by the weighted mean of their neighbours, imputed ones included.

    Every removed pixel p satisfies ``x_p · Σ_q w_pq = Σ_q w_pq · x_q`` over its neighbours q
    within the picture, with ``w = 1/6`` beside it and ``1/12`` diagonally (section 4.2 of the
    paper). The weights are symmetric, so the system is positive definite, and conjugate gradients
    solve it for all pictures at once; a sparse factorisation would have to be made anew for every
    picture and share.

    Args:
        pictures: ``[N, C, H, W]``.
        removed: ``[N, H, W]``, bool; in every picture at least one pixel must stay.
        noise: The standard deviation of what is added to the imputed pixels.
        generator: For the noise.
        tolerance: Of the residual, relative to the right-hand side.

    Raises:
        ValueError: Nothing is left of a picture.
    """
    if bool(removed.flatten(1).all(dim=1).any()):
        raise ValueError("a picture without a single pixel left cannot be imputed")
    gone = removed[:, None].to(pictures.dtype)
    known = pictures * (1 - gone)
    weight = _neighbours(torch.ones_like(pictures[:1, :1]))
    right = gone * _neighbours(known)
    left = known.sum(dim=(2, 3), keepdim=True) / (1 - gone).sum(dim=(2, 3), keepdim=True)
    solution = gone * left  # the known pixels' mean is a better start than nothing
    residual = right - gone * (weight * solution - _neighbours(solution))
    direction = residual.clone()
    power = _dot(residual, residual)
    enough = tolerance**2 * _dot(right, right)
    for _ in range(removed[0].numel()):  # in exact arithmetic no more are ever needed
        if bool((power <= enough).all()):
            break
        along = gone * (weight * direction - _neighbours(direction))
        step = power / _dot(direction, along).clamp(min=torch.finfo(power.dtype).tiny)
        step = torch.where(power > enough, step, 0.0)  # a finished picture stays as it is
        solution = solution + step * direction
        residual = residual - step * along
        before, power = power, _dot(residual, residual)
        direction = residual + power / before.clamp(min=torch.finfo(power.dtype).tiny) * direction
    random = torch.randn(pictures.shape, generator=generator, dtype=pictures.dtype)
    return known + solution + noise * gone * random.to(pictures.device)


def road_curves(
    pictures: Tensor,
    places: Tensor,
    probability: Probability,
    classes: Tensor,
    generator: torch.Generator,
    shares: Sequence[float] = SHARES,
) -> tuple[Tensor, Tensor]:
    """The class's probability after removing the most (MoRF) and the least (LeRF) relevant pixels.

    The paper reports accuracy; the probability of each picture's class says more of few pictures.

    Args:
        pictures: ``[N, 3, H, W]``, normalised.
        places: ``[N, H, W]``, the map's order.
        probability: The network.
        classes: ``[N]``.
        generator: For the noise.
        shares: Of the pixels removed.

    Returns:
        Two of ``[N, S]``.
    """
    least_first = places[0].numel() - 1 - places
    most, least = (
        torch.stack(
            [
                probability(impute(pictures, first(order, share), NOISE, generator), classes)
                for share in shares
            ],
            dim=1,
        )
        for order in (places, least_first)
    )
    return most, least


def combined(most: Tensor, least: Tensor) -> Tensor:
    """``(LeRF − MoRF) / 2``, the mean over the shares: −0.5…0.5; 0 is chance, higher is better.

    Args:
        most: ``[N, S]``, MoRF.
        least: ``[N, S]``, LeRF.

    Returns:
        ``[N]``.
    """
    return ((least - most) / 2).mean(dim=1)


def _neighbours(pictures: Tensor) -> Tensor:
    """The weighted sum of every pixel's neighbours within the picture.

    The weights are a twelfth of ``[1, 2, 1]ᵀ[1, 2, 1]`` without its middle, which is 4: two passes
    of shifted sums take half as long as a convolution.
    """
    down = 2 * pictures
    down[..., 1:, :] += pictures[..., :-1, :]
    down[..., :-1, :] += pictures[..., 1:, :]
    both = 2 * down
    both[..., 1:] += down[..., :-1]
    both[..., :-1] += down[..., 1:]
    return both.sub_(pictures, alpha=4).div_(12)


def _dot(one: Tensor, other: Tensor) -> Tensor:
    return (one * other).sum(dim=(2, 3), keepdim=True)
