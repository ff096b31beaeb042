"""The one question that the evaluation and the inspection put to the engine."""

from collections.abc import Sequence

from gradcam import Ask, Target

COSTLY = ("scorecam", "ablationcam")
"""Methods that take a forward pass, of the network or of its head, for every channel."""


def ask_for(targets: Sequence[Target], method: str, layer: str) -> Ask:
    """A method at one layer, without smoothing or fusion."""
    return Ask(targets=tuple(targets), method=method, layer=layer)
