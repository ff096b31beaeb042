"""From logits to what is called a probability, by the model's ``activation``."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor


def _softmax(logits: Tensor) -> Tensor:
    return torch.softmax(logits.double(), dim=-1)


def _sigmoid(logits: Tensor) -> Tensor:
    return torch.sigmoid(logits.double())


def _none(logits: Tensor) -> Tensor:
    return logits.double()


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"softmax": _softmax, "sigmoid": _sigmoid, "none": _none}
)
"""By name: logits ``[…, C]`` to float64 ``[…, C]``: one of many classes, each of several on its
own, or the scores as they are."""

DEFAULT_ACTIVATION = "softmax"
