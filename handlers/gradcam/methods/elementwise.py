"""Methods that weight every cell of every channel by itself.

Arguments are ``[N, C, H, W]``, float32 or float64; results ``[N, H, W]`` in their dtype. ``A`` are
the activations, ``g = ∂y/∂A`` the gradients, and sums are over channels.
"""

from torch import Tensor


def hirescam(activations: Tensor, gradients: Tensor) -> Tensor:
    """HiResCAM: gradient times activation, summed over channels.

    ``L = Σ_k g_k ⊙ A_k``, with no ReLU inside. Where the rest of the network is linear, ``Σ_ij L``
    and the bias make up the logit. Draelos and Carin, "Use HiResCAM instead of Grad-CAM for
    faithful explanations of convolutional neural networks", arXiv:2011.08891, 2020.

    Args:
        activations: ``[N, C, H, W]``.
        gradients: ``[N, C, H, W]``.

    Returns:
        ``[N, H, W]``, signed.
    """
    return (gradients * activations).sum(dim=1)


def gradcam_elementwise(activations: Tensor, gradients: Tensor) -> Tensor:
    """Gradient times activation where that is positive, summed over channels.

    ``L = Σ_k ReLU(g_k ⊙ A_k)``. It has no paper; pytorch-grad-cam offers it under this name. No
    channel can speak against the class, so unlike HiResCAM's its sum is no part of the logit.

    Args:
        activations: ``[N, C, H, W]``.
        gradients: ``[N, C, H, W]``.

    Returns:
        ``[N, H, W]``, not negative.
    """
    return (gradients * activations).clamp(min=0).sum(dim=1)


def layercam(activations: Tensor, gradients: Tensor) -> Tensor:
    """LayerCAM: weight every activation with its own gradient, where that is positive.

    ``L = Σ_k ReLU(g_k) ⊙ A_k``; the paper's map is ``ReLU(L)``. Jiang et al., "LayerCAM: Exploring
    Hierarchical Class Activation Maps for Localization", IEEE Transactions on Image Processing 30,
    2021.

    Args:
        activations: ``[N, C, H, W]``.
        gradients: ``[N, C, H, W]``.

    Returns:
        ``[N, H, W]``, signed where the activations are.
    """
    return (gradients.clamp(min=0) * activations).sum(dim=1)
