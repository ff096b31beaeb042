"""The CAM methods: one pure function per paper, and the registry that everything else reads."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import Tensor

Method = Callable[[Tensor, Tensor], Tensor]
"""``(activations, gradients) -> raw map``.

Both arguments are ``[N, C, H, W]``, float32 or float64, of one image and one target per row: the
target layer's activations and the derivative of that row's logit with respect to them. The result
is ``[N, H, W]``, signed: the method's map *before* its final ReLU, so that the evidence against
a class is not lost.
"""


def gradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM: weight each channel with its mean gradient and sum over channels.

    ``w_k = 1/(H·W) · Σ_ij ∂y/∂A_kij`` and ``L = Σ_k w_k · A_k``; the paper's map is ``ReLU(L)``.
    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", ICCV 2017, equations 1 and 2.

    Args:
        activations: ``[N, C, H, W]``.
        gradients: ``[N, C, H, W]``.

    Returns:
        ``[N, H, W]``, signed, before the ReLU.
    """
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    return (weights * activations).sum(dim=1)


METHODS: Mapping[str, Method] = MappingProxyType({"gradcam": gradcam})
"""Every method by the name that the API, the settings and the documents use."""

DEFAULT_METHOD = "gradcam"
