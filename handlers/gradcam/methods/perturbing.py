"""The pure parts of the methods that perturb, for one picture; none of them calls a network.

``A`` are the target layer's activations ``[C, h, w]`` and ``y`` is the logit that is explained (or
a difference of two).
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - everybody calls it that


def score_masks(activations: Tensor, size: tuple[int, int]) -> Tensor:
    """Score-CAM's masks: what each channel lets through of the picture.

    Each channel is upsampled to the picture's size (bilinear, corners not aligned) and *then*
    brought to 0…1: ``s(U) = (U - min U) / (max U - min U)``, in algorithm 1's order. The other
    order gives masks that need not reach 0 or 1. A channel that is the same everywhere selects
    nothing; its mask is 0.

    Args:
        activations: ``[C, h, w]``, or any of its channels.
        size: ``(H, W)`` of the picture.

    Returns:
        ``[C, H, W]``, 0…1, in the activations' dtype but at least float32.
    """
    precise = activations.to(_precise(activations))
    upsampled = F.interpolate(precise[None], size, mode="bilinear", align_corners=False)[0]
    least = upsampled.amin(dim=(1, 2), keepdim=True)
    extent = upsampled.amax(dim=(1, 2), keepdim=True) - least
    # interpolation rounds, so a flat channel is recognised before it
    flat = (precise == precise[:, :1, :1]).all(dim=2).all(dim=1)[:, None, None] | (extent == 0)
    return torch.where(flat, 0, (upsampled - least) / torch.where(flat, 1, extent))


def scorecam(activations: Tensor, scores: Tensor, baseline: Tensor | float = 0.0) -> Tensor:
    """Score-CAM: weight each channel with the score of the picture seen through it.

    ``M_k = s(Up(A_k)) ⊙ X`` (:func:`score_masks`), ``S_k = y(M_k) - y(X_b)`` with a picture of
    zeros as baseline ``X_b``, ``α_k = exp(S_k) / Σ_l exp(S_l)`` and ``L = Σ_k α_k · A_k``; the
    paper's map is ``ReLU(L)``. Wang et al., "Score-CAM: Score-Weighted Visual Explanations for
    Convolutional Neural Networks", CVPR Workshops 2020, algorithm 1.

    ``y`` is the logit, as algorithm 1 says, and the softmax is over channels; section 3.2's
    "post-softmax" is read as that one. (The authors' published code has a softmax over classes
    instead, and none over channels: other weights.) So ``y(X_b)``, which all channels share,
    cancels out; it is subtracted because the paper does.

    Args:
        activations: ``[C, h, w]``.
        scores: ``[C]``, the logit ``y(M_k)`` of each masked picture.
        baseline: The logit of the picture of zeros, a number or ``[]``.

    Returns:
        ``[h, w]``, in the activations' dtype but at least float32; signed where they are.
    """
    dtype = _precise(activations)
    weights = torch.softmax(scores.double() - baseline, dim=0).to(dtype)
    return (weights[:, None, None] * activations.to(dtype)).sum(dim=0)


def ablated(activations: Tensor, channels: Tensor) -> Tensor:
    """Copies of the activations, each with one channel set to zero.

    Args:
        activations: ``[C, h, w]``.
        channels: ``[n]``, int64, on the same device: which to ablate; a few at a time, because the
            whole of it is ``C`` times the activations.

    Returns:
        ``[n, C, h, w]``, in the activations' dtype.
    """
    copies = activations.expand(len(channels), *activations.shape).clone()
    copies[torch.arange(len(channels), device=channels.device), channels] = 0
    return copies


def ablationcam(activations: Tensor, logit: Tensor, ablated_logits: Tensor) -> Tensor:
    """Ablation-CAM: weight each channel with the share of the logit that is lost without it.

    ``w_k = (y - y_k) / y``, ``y_k`` being the logit with channel ``k`` of the activations set to
    zero, and ``L = Σ_k w_k · A_k``; the paper's map is ``ReLU(L)``. Desai and Ramaswamy,
    "Ablation-CAM: Visual Explanations for Deep Convolutional Network via Gradient-free
    Localization", WACV 2020.

    The paper divides by a logit that is positive. Here it is ``|y|``, so that a channel the class
    loses by counts for it where the logit is negative, too, and ``|y|`` is held at or above the
    greatest drop times float32's epsilon, so that a logit near zero does not make the weights
    infinite. All channels share the divisor: it changes the map's scale and nothing else.

    Args:
        activations: ``[C, h, w]``.
        logit: ``y``, ``[]``.
        ablated_logits: ``y_k``, ``[C]``.

    Returns:
        ``[h, w]``, in the activations' dtype but at least float32; signed, before the ReLU.
    """
    dtype = _precise(activations)
    drops = logit.double() - ablated_logits.double()
    floor = drops.abs().max() * torch.finfo(torch.float32).eps
    divisor = torch.maximum(logit.double().abs(), floor)
    weights = (drops / torch.where(divisor == 0, 1, divisor)).to(dtype)
    return (weights[:, None, None] * activations.to(dtype)).sum(dim=0)


def _precise(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
