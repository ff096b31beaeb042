"""Architectures by name: torchvision's classifiers, timm's and our own, built and loaded."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from gradcam.errors import SettingsError
from gradcam.networks import timm_models
from gradcam.networks.demo_network import DemoNet
from gradcam.networks.weights import check_fit, freeze, widen

_OWN: Mapping[str, type[nn.Module]] = {"demo_net": DemoNet}

# These two carry auxiliary heads that only training uses.
_AUXILIARY_HEADS = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}


def architectures() -> tuple[str, ...]:
    """Every architecture that can be built without timm: torchvision's classifiers and our own."""
    return (*models.list_models(module=models), *_OWN)


def build_network(
    architecture: str,
    num_classes: int,
    options: Mapping[str, Any] | None = None,
    source: str = "torchvision",
) -> nn.Module:
    """Builds a network with freshly initialised weights, drawn from torch's global generator.

    Args:
        architecture: One of :func:`architectures`, or any name that timm can create.
        num_classes: How many logits.
        options: Further keyword arguments of the architecture's constructor.
        source: ``torchvision`` (our own included) or ``timm``.

    Raises:
        SettingsError: No such architecture, or it does not take these options, or timm is missing.
    """
    keywords = {"num_classes": num_classes, **(options or {})}
    try:
        if source == "timm":
            return timm_models.create(architecture, keywords)
        if architecture in _OWN:
            return _OWN[architecture](**keywords)
        if architecture not in architectures():
            raise SettingsError(_unknown(architecture, architectures()))
        if architecture in _AUXILIARY_HEADS:
            keywords = {"aux_logits": False, "init_weights": True, **keywords}
        network: nn.Module = models.get_model(architecture, weights=None, **keywords)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"architecture {architecture}: {error}") from error
    return network


def build_skeleton(
    architecture: str,
    num_classes: int,
    options: Mapping[str, Any] | None = None,
    source: str = "torchvision",
) -> nn.Module:
    """Builds a network whose tensors have shapes but, where possible, no values.

    Initialising what is then overwritten would take seconds for a VGG.

    Raises:
        SettingsError: As :func:`build_network`.
    """
    try:
        with torch.device("meta"):
            return build_network(architecture, num_classes, options, source)
    except (NotImplementedError, RuntimeError) as error:
        if isinstance(error, SettingsError):
            raise
        # a RegNet, and several of timm's, compute with tensors what must be a number
        return build_network(architecture, num_classes, options, source)


def load_network(
    architecture: str,
    num_classes: int,
    state: Mapping[str, Tensor],
    options: Mapping[str, Any] | None = None,
    source: str = "torchvision",
) -> nn.Module:
    """Builds a network around given weights, in evaluation mode and frozen.

    Args:
        architecture: As for :func:`build_network`.
        num_classes: How many logits.
        state: The state dict; half-precision weights are widened to float32.
        options: As for :func:`build_network`.
        source: Likewise.

    Raises:
        SettingsError: As :func:`build_network`; or the weights do not fit, and the message names
            the first that does not.
    """
    auxiliary = _AUXILIARY_HEADS.get(architecture, ()) if source == "torchvision" else ()
    weights = widen({name: state[name] for name in state if not name.startswith(auxiliary)})
    network = build_skeleton(architecture, num_classes, options, source)
    check_fit(architecture, network, weights)
    # its own state dict knows, beside the tensors, the version of its format: an MNASNet wants that
    complete = network.state_dict()
    complete.update(weights)
    network.load_state_dict(complete, assign=True)
    if any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers())):
        # a buffer that the state dict does not hold must be computed for real
        network = build_network(architecture, num_classes, options, source)
        network.load_state_dict(complete)
    return freeze(network.eval())


def _unknown(architecture: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(architecture, known, n=3, cutoff=0.0)
    return f"architecture {architecture!r} does not exist; the closest are {', '.join(close)}"
