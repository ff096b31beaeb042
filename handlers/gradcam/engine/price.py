"""What an ask costs, in forward passes."""

from collections.abc import Sequence

from gradcam.engine.explanation import Ask
from gradcam.engine.faithfulness import STEPS
from gradcam.engine.perturbation import passes
from gradcam.survey.layers import Layer

_PASSES_OF_A_SCORE = 2 * STEPS + 1  # deletion, insertion, and the picture through its map


def further_passes(ask: Ask, layers: Sequence[Layer], maps: int) -> int:
    """How many forward passes of one picture an ask takes beyond the first, at most.

    Every noisy copy is one, and every mirrored one; a method that perturbs takes its own for each
    of them; a score takes its own for each map, priced as if in input space. A pass of the layers
    behind the target layer only counts as a whole one.

    Args:
        ask: What is asked.
        layers: Its target layers.
        maps: How many maps it may ask for.
    """
    copies = (1 + ask.smooth) * (1 + ask.flip)
    perturbed = sum(passes(ask.method, layer.channels) for layer in layers)
    return copies - 1 + copies * perturbed + maps * ask.score * _PASSES_OF_A_SCORE
