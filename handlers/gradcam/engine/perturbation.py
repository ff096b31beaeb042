"""Runs the methods that perturb: one picture, any number of targets, with the passes shared.

What ``forward`` and ``head`` raise goes through, so a deadline can be kept in them.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gradcam.methods import METHODS, Needs
from gradcam.methods.perturbing import ablated, ablationcam, score_masks, scorecam


def passes(method: str, channels: int) -> int:
    """What a method costs beyond the one forward pass that they all need.

    Args:
        method: A registered method.
        channels: The target layer's.

    Returns:
        How many pictures go through the network (Score-CAM) or through its part behind the target
        layer (Ablation-CAM) at most, however many targets there are: one for each channel and one
        for the baseline. Channels that are flat (Score-CAM) or silent (Ablation-CAM) take none. 0
        for every other method.
    """
    perturbs = METHODS[method].needs in {Needs.INPUT_PASSES, Needs.HEAD_PASSES}
    return channels + 1 if perturbs else 0


def run_scorecam(
    picture: Tensor,
    activations: Tensor,
    forward: Callable[[Tensor], Tensor],
    weightings: Tensor,
    rows: int,
) -> Tensor:
    """Score-CAM of one picture.

    Args:
        picture: ``[3, H, W]``, normalised, in the network's dtype and on its device.
        activations: ``[C, h, w]``, the target layer's for this picture, on the same device.
        forward: The network: pictures ``[n, 3, H, W]`` to logits ``[n, classes]``.
        weightings: ``[K, classes]``, each target as a sum of logits: one-hot for a class, 1 and -1
            for the difference of two.
        rows: Pictures in one forward pass, at least 1.

    Returns:
        ``[K, h, w]`` on the activations' device, at least float32; before the ReLU.
    """
    with torch.no_grad():
        baseline = _scores(forward(torch.zeros_like(picture)[None]), weightings)
        scores = baseline.repeat(len(activations), 1)  # a mask of zeros shows the baseline
        varied = activations.flatten(1).amax(1) > activations.flatten(1).amin(1)
        for channels in _chunks(varied, rows):
            masks = score_masks(activations[channels], (picture.shape[1], picture.shape[2]))
            masked = (picture * masks[:, None]).to(picture.dtype)
            scores[channels] = _scores(forward(masked), weightings)
        return torch.stack(
            [scorecam(activations, scores[:, k], baseline[0, k]) for k in range(len(weightings))]
        )


def run_ablationcam(
    activations: Tensor,
    head: Callable[[Tensor], Tensor],
    weightings: Tensor,
    rows: int,
) -> Tensor:
    """Ablation-CAM of one picture.

    Args:
        activations: ``[C, h, w]``, the target layer's, in its own dtype and on its device.
        head: What follows the target layer: ``[n, C, h, w]`` to logits ``[n, classes]``. It may
            write into what it is given.
        weightings: ``[K, classes]``, as for :func:`run_scorecam`.
        rows: Copies in one pass of the head, at least 1.

    Returns:
        ``[K, h, w]`` on the activations' device, at least float32; signed, before the ReLU.
    """
    with torch.no_grad():
        whole = _scores(head(activations[None].clone()), weightings)
        scores = whole.repeat(len(activations), 1)  # a silent channel is not missed
        sounding = (activations != 0).flatten(1).any(dim=1)
        for channels in _chunks(sounding, rows):
            scores[channels] = _scores(head(ablated(activations, channels)), weightings)
        return torch.stack(
            [ablationcam(activations, whole[0, k], scores[:, k]) for k in range(len(weightings))]
        )


def _chunks(chosen: Tensor, rows: int) -> Iterator[Tensor]:
    if chosen.any():
        yield from torch.split(chosen.nonzero().squeeze(1), rows)


def _scores(logits: Tensor, weightings: Tensor) -> Tensor:
    """``[n, K]``, float64: a matrix product in float32 may be a coarser one (TF32)."""
    return logits.double() @ weightings.to(logits.device, torch.float64).T
