"""The one question that evaluation and inspection put to the engine, and how they read logits."""

from collections.abc import Sequence

from torch import Tensor

from gradcam import METHODS, Ask, Explainer, Target
from gradcam.engine.perturbation import passes

COSTLY = tuple(name for name in METHODS if passes(name, channels=1))
"""Methods that take a forward pass, of the network or of its head, for every channel."""


def probabilities(explainer: Explainer, logits: Tensor) -> Tensor:
    """What a model's answer calls probabilities: ``[…, C]`` to ``[…, C]``."""
    return explainer.probabilities(logits)


def ask_for(targets: Sequence[Target], method: str, layer: str) -> Ask:
    """A method at one layer, without smoothing or fusion."""
    return Ask(targets=tuple(targets), method=method, layers=(layer,))
