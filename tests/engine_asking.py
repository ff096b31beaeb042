"""Asking the engine about one picture, and the small network that most tests ask."""

import torch
from torch import Tensor

from gradcam import Ask, Explainer, Outcome, RawMap
from hand_networks import pictures, small_network

NETWORK = small_network()
EXPLAINER = Explainer(NETWORK, (12, 12))
BATCH = pictures(3)


def maps_of(explainer: Explainer, picture: Tensor, ask: Ask) -> tuple[RawMap, ...]:
    """The maps that an ask about ``picture`` (``[3, H, W]``) is answered with."""
    (outcome,) = explainer.run(picture[None], [ask])
    assert isinstance(outcome, Outcome), outcome
    return outcome.maps


def close(found: Tensor, expected: Tensor) -> None:
    """Equal but for float32's rounding."""
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
