"""Architectures by name, and networks with their weights: built, loaded, frozen."""

import difflib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from gradcam.demo_network import DemoNet
from gradcam.errors import SettingsError

_OWN: Mapping[str, type[nn.Module]] = {"demo_net": DemoNet}

# These two carry auxiliary heads that only training uses.
_AUXILIARY_HEADS = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}


def architectures() -> tuple[str, ...]:
    """Every architecture that can be built: torchvision's classifiers and our own."""
    return (*models.list_models(module=models), *_OWN)


def build_network(
    architecture: str, num_classes: int, options: Mapping[str, Any] | None = None
) -> nn.Module:
    """Builds a network with freshly initialised weights, drawn from torch's global generator.

    Args:
        architecture: One of :func:`architectures`.
        num_classes: How many logits.
        options: Further keyword arguments of the architecture's constructor.

    Raises:
        SettingsError: No such architecture, or it does not take these options.
    """
    keywords = {"num_classes": num_classes, **(options or {})}
    try:
        if architecture in _OWN:
            return _OWN[architecture](**keywords)
        if architecture not in architectures():
            close = difflib.get_close_matches(architecture, architectures(), n=3, cutoff=0.0)
            raise SettingsError(
                f"architecture {architecture!r} does not exist; the closest are {', '.join(close)}"
            )
        if architecture in _AUXILIARY_HEADS:
            keywords = {"aux_logits": False, "init_weights": True, **keywords}
        network: nn.Module = models.get_model(architecture, weights=None, **keywords)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"architecture {architecture}: {error}") from error
    return network


def build_skeleton(
    architecture: str, num_classes: int, options: Mapping[str, Any] | None = None
) -> nn.Module:
    """Builds a network whose tensors have shapes but, where possible, no values.

    Initialising what is then overwritten would take seconds for a VGG.

    Raises:
        SettingsError: As :func:`build_network`.
    """
    try:
        with torch.device("meta"):
            return build_network(architecture, num_classes, options)
    except NotImplementedError:  # a RegNet computes its widths with tensors, so they must be real
        return build_network(architecture, num_classes, options)


def load_network(
    architecture: str,
    num_classes: int,
    state: Mapping[str, Tensor],
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Builds a network around given weights, in evaluation mode and frozen.

    Args:
        architecture: One of :func:`architectures`.
        num_classes: How many logits.
        state: The state dict; half-precision weights are widened to float32.
        options: Further keyword arguments of the architecture's constructor.

    Raises:
        SettingsError: The weights do not fit; the message names the first that does not.
    """
    auxiliary = _AUXILIARY_HEADS.get(architecture, ())
    weights = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
        if not name.startswith(auxiliary)
    }
    network = build_skeleton(architecture, num_classes, options)
    _check_fit(architecture, network, weights)
    # its own state dict knows, beside the tensors, the version of its format: an MNASNet wants that
    complete = network.state_dict()
    complete.update(weights)
    network.load_state_dict(complete, assign=True)
    if any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers())):
        # a buffer that the state dict does not hold must be computed for real
        network = build_network(architecture, num_classes, options)
        network.load_state_dict(complete)
    return freeze(network.eval())


def freeze(network: nn.Module) -> nn.Module:
    """Lets no parameter require a gradient, so that autograd records only what follows a tap."""
    return network.requires_grad_(requires_grad=False)


def _check_fit(architecture: str, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name, shape in expected.items():
        if name not in given:
            raise SettingsError(f"the weights do not fit {architecture}: {name} is missing")
        if shape != given[name]:
            raise SettingsError(
                f"the weights do not fit {architecture}: {name} has shape {list(given[name])}, "
                f"expected {list(shape)} (is num_classes right?)"
            )
    for name in given:
        if name not in expected:
            raise SettingsError(
                f"the weights do not fit {architecture}: {name} is not one of its tensors"
            )
