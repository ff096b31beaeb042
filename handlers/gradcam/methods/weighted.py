"""Methods that weight whole channels: ``L = Σ_k w_k · A_k``.

Arguments are ``[N, C, H, W]``, float32 or float64; results ``[N, H, W]`` in their dtype, signed,
before the paper's final ReLU. ``A`` are the activations, ``g = ∂y/∂A`` the gradients, ``k`` counts
channels, ``i`` and ``j`` cells, and ``S_k = Σ_ij A_kij``.
"""

import torch
from torch import Tensor


def gradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM: weight each channel with its mean gradient and sum over channels.

    ``w_k = 1/(H·W) · Σ_ij g_kij`` and ``L = Σ_k w_k · A_k``; the paper's map is ``ReLU(L)``.
    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", ICCV 2017, equations 1 and 2.

    Args:
        activations: ``[N, C, H, W]``.
        gradients: ``[N, C, H, W]``.

    Returns:
        ``[N, H, W]``, signed, before the ReLU.
    """
    return _weigh(activations, gradients.mean(dim=(2, 3), keepdim=True))


def cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """CAM, for networks that end in mean pooling and one linear layer.

    The paper's ``L = Σ_k w_k · A_k`` takes ``w_k`` from the linear layer's row for the class. There
    ``y = Σ_k w_k · S_k/(H·W) + b``, so that every ``g_kij`` is ``w_k/(H·W)`` and the layer's weight
    is ``w_k = Σ_ij g_kij``. The map is ``H·W`` times Grad-CAM's, and its mean is ``y - b``.
    For any other head this is not CAM: whoever calls it checks the head. Zhou et al., "Learning
    Deep Features for Discriminative Localization", CVPR 2016, equation 2.

    Args:
        activations: ``[N, C, H, W]``.
        gradients: ``[N, C, H, W]``.

    Returns:
        ``[N, H, W]``, signed.
    """
    return _weigh(activations, gradients.sum(dim=(2, 3), keepdim=True))


def gradcam_plus_plus(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM++: weight each channel with its positive gradients, cell by cell.

    ``w_k = Σ_ij α_kij · ReLU(g_kij)`` with ``α = g² / (2·g² + S_k·g³)`` where ``g ≠ 0``, which is
    ``1 / (2 + g·S_k)``: no powers that underflow, and nothing to divide by zero, so no epsilon.
    Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep
    Convolutional Networks", WACV 2018, equation 19.

    The paper has activations that are not negative. Then ``2 + g·S_k ≥ 2`` wherever ``g`` is
    positive, and other cells do not count. At a layer with negative activations that sum has a
    pole and changes its sign, and a positive gradient would count without bound or against the
    class. There it is held at 1 or above: ``α ≤ 1``, as for a coefficient that shares out evidence.
    So the formula is exact where ``g·S_k ≥ -1``, and continuous and bounded beyond.

    Args:
        activations: ``[N, C, H, W]``.
        gradients: ``[N, C, H, W]``.

    Returns:
        ``[N, H, W]``, signed where the activations are.
    """
    sums = activations.sum(dim=(2, 3), keepdim=True)
    positive = gradients.clamp(min=0)
    alpha = 1 / (2 + positive * sums).clamp(min=1)
    return _weigh(activations, (alpha * positive).sum(dim=(2, 3), keepdim=True))


def xgradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """XGrad-CAM: weight each channel with the mean of its gradients, weighted by activation.

    ``w_k = Σ_ij g_kij · A_kij / S_k`` and ``L = Σ_k w_k · A_k``. Fu et al., "Axiom-based Grad-CAM:
    Towards Accurate Visualization and Explanation of CNNs", BMVC 2020.

    The paper has activations that are not negative. Then ``w_k`` is a mean of the channel's
    gradients and lies among them. At a layer with negative activations the formula holds, but its
    weights have no bound: the more the activations cancel, the greater, and of whichever sign is
    left. Where less than a thousandth of them is left, ``|S_k| < Σ_ij |A_kij| / 1000``, the sum is
    near what rounding in half precision makes of it, and the channel has its plain mean gradient
    instead, as in Grad-CAM. So has a silent one, whose weight is of no account.

    Args:
        activations: ``[N, C, H, W]``.
        gradients: ``[N, C, H, W]``.

    Returns:
        ``[N, H, W]``, signed, before the ReLU.
    """
    sums = activations.sum(dim=(2, 3), keepdim=True)
    weighted = (gradients * activations).sum(dim=(2, 3), keepdim=True)
    magnitudes = activations.abs().sum(dim=(2, 3), keepdim=True)
    cancels = (sums.abs() < magnitudes / 1000) | (sums == 0)
    plain = gradients.mean(dim=(2, 3), keepdim=True)
    weights = torch.where(cancels, plain, weighted / torch.where(cancels, 1, sums))
    return _weigh(activations, weights)


def _weigh(activations: Tensor, weights: Tensor) -> Tensor:
    return (weights * activations).sum(dim=1)
