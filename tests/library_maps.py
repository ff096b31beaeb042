"""The maps of pytorch-grad-cam, torch-cam and captum, as raw as each of them gives them out.

``[h, w]`` in float64 of one picture ``[3, H, W]`` and one class. Nothing here comes from
``gradcam``.
"""

import contextlib
import copy
import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytorch_grad_cam
import torch
import torchcam.methods
from captum.attr import LayerGradCam
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

Array = npt.NDArray[np.float64]


def exact_tensors(
    network: nn.Module, layer: str, picture: Tensor, index: int
) -> tuple[Tensor, Tensor]:
    """The layer's activations and gradients by full autograd: ``[C, h, w]`` in float64 each.

    A zero is added to a copy of the layer's output: nothing that follows can write into what is
    kept, and the derivative with respect to the zero is that with respect to the output.
    """
    exact = copy.deepcopy(network).double().requires_grad_(requires_grad=True)
    kept: list[Tensor] = []

    def add_zero(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        kept[:] = [output.detach().clone(), torch.zeros_like(output, requires_grad=True)]
        return output + kept[1]

    handle = exact.get_submodule(layer).register_forward_hook(add_zero)
    logits = exact(picture[None].double().requires_grad_())
    handle.remove()
    (gradient,) = torch.autograd.grad(logits[0, index], kept[1])
    return kept[0][0], gradient[0]


def jacobgil(name: str, network: nn.Module, layer: str, picture: Tensor, index: int) -> Array:
    """pytorch-grad-cam's map before its own ReLU, min-max and resizing.

    Args:
        name: A class of the package, such as ``"GradCAMPlusPlus"``.
        network: In evaluation mode; it is copied.
        layer: A dotted module name.
        picture: ``[3, H, W]``.
        index: The class.
    """
    network = copy.deepcopy(network).requires_grad_(requires_grad=True)
    kept: list[Any] = []

    class Raw(getattr(pytorch_grad_cam, name)):  # type: ignore[misc]
        def get_cam_image(self, *args: Any, **options: Any) -> Any:
            kept.append(super().get_cam_image(*args, **options))
            return kept[-1]

    with contextlib.redirect_stderr(io.StringIO()):  # progress bars
        Raw(network, [network.get_submodule(layer)])(
            picture[None].clone().requires_grad_(), [ClassifierOutputTarget(index)]
        )
    return np.asarray(kept[0][0], dtype=np.float64)


def jacobgil_of(name: str, activations: Tensor, gradients: Tensor) -> Array:
    """The same package's arithmetic alone, of ``[C, h, w]`` that are given to it."""
    extractor = getattr(pytorch_grad_cam, name)(nn.Conv2d(1, 1, 1), [])
    found = extractor.get_cam_image(
        None, None, None, activations[None].numpy(), gradients[None].numpy(), eigen_smooth=False
    )
    return np.asarray(found[0], dtype=np.float64)


def frgfm(
    name: str,
    network: nn.Module,
    layer: str,
    picture: Tensor,
    index: int,
    *,
    normalized: bool = False,
) -> Array:
    """torch-cam's map, without its min-max unless asked; most of its classes take the ReLU."""
    network = copy.deepcopy(network).requires_grad_(requires_grad=True)
    with getattr(torchcam.methods, name)(network, layer) as extractor:
        logits = network(picture[None].clone().requires_grad_())
        (found,) = extractor(index, logits, normalized=normalized)
    return np.asarray(found[0].detach().numpy(), dtype=np.float64)


def captum(network: nn.Module, layer: str, picture: Tensor, index: int) -> Array:
    """captum's Grad-CAM without its ReLU, which is an option there."""
    attribution = LayerGradCam(network, network.get_submodule(layer))
    found = attribution.attribute(picture[None].clone().requires_grad_(), target=index)
    return np.asarray(found[0, 0].detach().numpy(), dtype=np.float64)


def scaled(values: Array | Tensor) -> Array:
    """After the ReLU, over the maximum: what two maps are compared by."""
    positive = np.maximum(np.asarray(values, dtype=np.float64), 0)
    return positive / positive.max() if positive.max() > 0 else positive


def distance(found: Array | Tensor, expected: Array | Tensor) -> float:
    """The greatest difference of two maps of 0…1 (:func:`scaled`), 0…1."""
    return float(np.abs(scaled(found) - scaled(expected)).max())
