"""Methods that take the first principal component instead of a weighted sum."""

import torch
from torch import Tensor


def eigencam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Eigen-CAM: the projection of the activations on their first principal component.

    With ``O = [H·W, C]``, a row for each cell, and ``O = U·Σ·Vᵀ``, the map is ``L = O·V_1``. As in
    the paper ``O`` is not centred: then for activations that are not negative ``V_1`` has
    components of one sign (Perron and Frobenius) and so has the whole map. It is the same for every
    class. Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components",
    IJCNN 2020.

    A singular vector has no sign of its own. Here it is the one with ``Σ_ij L_ij · m_ij ≥ 0``,
    where ``m_ij = Σ_k |A_kij|``: cells with strong activations are positive.

    Args:
        activations: ``[N, C, H, W]``.
        gradients: Not read; of any shape.

    Returns:
        ``[N, H, W]``; not negative where the activations are not, otherwise signed.
    """
    return _project(activations, activations.abs())


def eigengradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """The projection of gradient times activation on its first principal component.

    Eigen-CAM of ``g ⊙ A``, not centred either. It has no paper; pytorch-grad-cam offers it under
    this name. ``g ⊙ A`` has a sign that means something, for or against the class, so here the
    vector's sign is the one with ``Σ_ij L_ij · H_ij ≥ 0``, where ``H = Σ_k g_k ⊙ A_k`` is
    HiResCAM's map. (That is ``Σ_k V_1k ≥ 0``, because ``Σ_ij L_ij · H_ij = σ² · Σ_k V_1k``.)

    Args:
        activations: ``[N, C, H, W]``.
        gradients: ``[N, C, H, W]``.

    Returns:
        ``[N, H, W]``, signed.
    """
    evidence = gradients * activations
    return _project(evidence, evidence)


def _project(tensor: Tensor, towards: Tensor) -> Tensor:
    """``O·V_1`` of ``[N, C, H, W]``, with the sign that agrees with the channel sum of ``towards``.

    Computed from the smaller of the two Gram matrices ``O·Oᵀ`` and ``Oᵀ·O``, on the tensor's own
    device and in float64: a matrix product in float32 may be a coarser one (TF32).
    A row that is not finite has a map of NaN, and its neighbours theirs.
    """
    rows, channels, height, width = tensor.shape
    matrix = tensor.double().flatten(2).transpose(1, 2)  # [N, H·W, C]
    scale = matrix.abs().amax(dim=(1, 2), keepdim=True)
    # one row that is not finite would make eigh refuse them all
    finite = scale.isfinite()
    unit = torch.where(finite & (scale > 0), scale, 1)
    matrix = torch.where(finite, matrix / unit, 0)  # its squares neither vanish nor overflow
    if channels <= height * width:
        _, vectors = torch.linalg.eigh(matrix.mT @ matrix)  # eigenvalues ascend
        projection = matrix @ vectors[:, :, -1:]
    else:
        values, vectors = torch.linalg.eigh(matrix @ matrix.mT)
        projection = vectors[:, :, -1:] * values[:, None, -1:].clamp(min=0).sqrt()
    reference = towards.double().sum(dim=1).view(rows, -1, 1) / unit
    agreement = (projection * reference).sum(dim=1, keepdim=True)
    projection = torch.where(agreement < 0, -projection, projection) * unit
    projection = torch.where(finite, projection, torch.nan)
    return projection.view(rows, height, width).to(tensor.dtype)
