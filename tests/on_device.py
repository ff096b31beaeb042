"""A pytest plugin: explainers run on the device that ``GRADCAM_TEST_DEVICE`` names.

Tests and their oracles go on using the network that they made, on the CPU; an explainer gets a copy
of it on the device, and batches follow. ``tests/test_engine_on_cuda.py`` runs the engine's tests
like that.
"""

import copy
import math
import os
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from gradcam.engine.explainer import Explainer
from gradcam.engine.explanation import Ask


def pytest_configure() -> None:
    """Before any test module is imported, for some make an explainer of their own at once."""
    device = torch.device(os.environ["GRADCAM_TEST_DEVICE"])
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    begin, run = Explainer.__init__, Explainer.run
    originals: WeakKeyDictionary[Explainer, nn.Module] = WeakKeyDictionary()

    def begin_there(self: Explainer, network: nn.Module, *rest: Any, **options: Any) -> None:
        with torch.inference_mode(mode=False):  # or the copy's weights could not be differentiated
            moved = copy.deepcopy(network).to(device)
        begin(self, moved, *rest, **options)
        originals[self] = network

    def run_there(
        self: Explainer, batch: Tensor, asks: Sequence[Ask | None], deadline: float = math.inf
    ) -> Any:
        for own, original in zip(self.network.modules(), originals[self].modules(), strict=True):
            own.training = original.training
        return run(self, batch.to(device), asks, deadline)

    Explainer.__init__ = begin_there  # type: ignore[method-assign]
    Explainer.run = run_there  # type: ignore[method-assign]
