"""How far the logits follow a map: what is masked, and how the answers become numbers.

Deletion and insertion are the two curves of Petsiuk et al., "RISE: Randomized Input Sampling for
Explanation of Black-box Models", BMVC 2018, but over the map's cells rather than pixels; average
drop and increase are those of Chattopadhay et al., "Grad-CAM++", WACV 2018, for one picture.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from gradcam.engine.explanation import Faithfulness

STEPS = 10
"""How many steps lead from the whole picture to nothing."""


def cell_masks(values: Tensor, steps: int = STEPS) -> Tensor:
    """What is kept at each step: all, then ever fewer of the best cells, then ever more of them.

    Step ``s`` of deletion keeps all but the best ``s / steps`` of the cells, and step ``s`` of
    insertion keeps just those; the whole and nothing, which both have, stand once.

    Args:
        values: ``[h, w]``, signed.
        steps: At least 1.

    Returns:
        ``[2 · steps, h, w]`` of zeros and ones: the whole, ``steps - 1`` of deletion, nothing,
        ``steps - 1`` of insertion.
    """
    cells = values.numel()
    order = values.flatten().sort(descending=True, stable=True).indices
    rank = torch.empty_like(order)
    rank[order] = torch.arange(cells, device=order.device)
    shares = torch.arange(1, steps, device=order.device) * cells / steps
    best = (rank < shares.round()[:, None]).to(values.dtype)  # [steps - 1, cells]
    whole, nothing = values.new_ones((1, cells)), values.new_zeros((1, cells))
    return torch.cat([whole, 1 - best, nothing, best]).view(-1, *values.shape)


def curves(probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """The deletion and the insertion curve.

    Args:
        probabilities: ``[2 · steps]``, of the pictures under :func:`cell_masks`.

    Returns:
        Twice ``[steps + 1]``: at the shares 0, 1/steps, …, 1 of cells deleted or inserted.
    """
    steps = len(probabilities) // 2
    whole, nothing = probabilities[:1], probabilities[steps : steps + 1]
    deletion = torch.cat([whole, probabilities[1:steps], nothing])
    insertion = torch.cat([nothing, probabilities[steps + 1 :], whole])
    return deletion, insertion


def area(curve: Tensor) -> float:
    """The area under a curve over 0…1, by the trapezoidal rule."""
    return float(torch.trapezoid(curve.double(), dx=1 / (len(curve) - 1)))


def shown_through(picture: Tensor, values: Tensor) -> Tensor:
    """The picture times its map: what the map calls important, and the mean colour elsewhere.

    Args:
        picture: ``[3, H, W]``, normalised, so that 0 is the mean colour.
        values: ``[h, w]``, signed; taken after the ReLU and over its maximum.

    Returns:
        ``[3, H, W]``.
    """
    positive = values.clamp(min=0)
    greatest = positive.max()
    share = positive / greatest if greatest > 0 else positive
    resized = functional.interpolate(
        share[None, None], picture.shape[1:], mode="bilinear", align_corners=False
    )
    return picture * resized[0].to(picture)


def spread_out(masks: Tensor, size: Sequence[int]) -> Tensor:
    """Masks of cells as masks of pixels: ``[S, h, w]`` to ``[S, 1, H, W]``, each cell a block."""
    return functional.interpolate(masks[:, None], tuple(size), mode="nearest")


def summary(
    probabilities: Tensor, through: float, space: str, of: str = "probability", steps: int = STEPS
) -> Faithfulness:
    """Puts the numbers together.

    Args:
        probabilities: ``[2 · steps]``, of the explained class under :func:`cell_masks`.
        through: Its probability for the picture times its map.
        space: ``"layer"`` or ``"input"``: where cells were deleted and inserted.
        of: ``"probability"``; or ``"score"``, of which no share can be lost.
        steps: As the masks have them.
    """
    deletion, insertion = curves(probabilities)
    whole = float(probabilities[0])
    lost = max(0.0, whole - through) / whole if whole > 0 else 0.0
    return Faithfulness(
        area(deletion),
        area(insertion),
        lost if of == "probability" else None,
        increase=through > whole,
        of=of,
        space=space,
        steps=steps,
    )
