"""Logits and raw maps of a batch: one forward pass, and what is asked for beyond it."""

import math
import threading
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gradcam.errors import EngineFault, GradcamError
from gradcam.explanation import Ask, Outcome
from gradcam.finish import Finisher
from gradcam.forward import Passed, run_forward
from gradcam.layers import LayerTable, survey_layers
from gradcam.price import further_passes
from gradcam.probability import ACTIVATIONS
from gradcam.questions import layers_of
from gradcam.readout import Readout
from gradcam.runner import Runner


class Explainer:
    """A network together with what a survey found out about its layers.

    It keeps nothing between calls, and leaves hooks, gradients and modes of the network as they
    were. Threads may share it: while one runs, its hooks are on the network, so the others wait.
    One explanation costs one forward pass and the backward pass of what follows the target layer,
    provided that the network's parameters are frozen (:func:`gradcam.freeze`); otherwise the result
    is the same, but autograd records the whole forward pass.
    """

    def __init__(
        self,
        network: nn.Module,
        input_size: tuple[int, int] = (224, 224),
        *,
        output: str | int | None = None,
        activation: str = "softmax",
        rows: int = 16,
    ) -> None:
        """Surveys the network with one forward pass.

        Args:
            network: Takes ``[N, 3, H, W]`` and gives logits ``[N, C]`` (``[N, 1]`` are read as two
                classes, see :class:`gradcam.readout.Readout`), or something that holds them; in
                evaluation mode. What ``torch.compile`` made predicts as it is and is explained
                through the network that it was made of.
            input_size: ``(H, W)``.
            output: The name or position of the logits in the network's output; ``None`` finds them.
            activation: One of :data:`gradcam.probability.ACTIVATIONS`.
            rows: Pictures in one pass at most, of those that smoothing and perturbing add.

        Raises:
            EngineFault: The network is in training mode, gives something else, or fails on
                pictures of this size.
        """
        self.layers: LayerTable
        self.network = network
        self.rows = rows
        self._turn = threading.Lock()
        self.readout = Readout(output)
        self.probabilities: Callable[[Tensor], Tensor] = ACTIVATIONS[activation]
        self._activation = activation
        self.device, self.dtype = _where(network)
        self._eager: nn.Module = getattr(network, "_orig_mod", network)
        _check_evaluating(network)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn((1, 3, *input_size), generator=generator)
        try:
            self.layers = survey_layers(
                self._eager, noise.to(self.device, self.dtype), self.readout
            )
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, AssertionError) as error:  # such as too small for all the strides
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise EngineFault(
                f"the network fails on pictures of {input_size[0]}×{input_size[1]}, as "
                f"preprocessing: crop_size has them: {reason}"
            ) from error

    def run(
        self, batch: Tensor, asks: Sequence[Ask | None], deadline: float = math.inf
    ) -> list[Outcome | GradcamError]:
        """Predicts and explains a batch in one forward pass.

        Smoothing, flipping, scoring and the methods that perturb take further passes.

        Args:
            batch: ``[N, 3, H, W]``, normalised, on the network's device.
            asks: One for each picture; ``None`` asks for the logits only.
            deadline: On :func:`time.monotonic`'s clock. Every picture's first map is computed in
                any case, further ones and further passes until then.

        Returns:
            One for each picture. An error stands only where that picture's numbers are not finite,
            or where time was up.

        Raises:
            UnusableLayer: A layer that is asked for cannot be used; the message says which can.
            EngineFault: The network is in training mode.
            ValueError: The lengths differ, or a method does not exist.
        """
        if len(asks) != len(batch):
            raise ValueError(f"{len(asks)} asks for {len(batch)} pictures")
        with self._turn:
            return self._run(batch, asks, deadline)

    def _run(
        self, batch: Tensor, asks: Sequence[Ask | None], deadline: float
    ) -> list[Outcome | GradcamError]:
        _check_evaluating(self._eager)
        if not any(asks):
            with torch.inference_mode():
                return [_outcome(row) for row in self.readout(self.network(batch)).cpu()]
        passed = run_forward(self._eager, self.layers, self.readout, batch, asks, deadline)
        runner = Runner(self._eager, self.readout, self.rows, deadline)
        finisher = Finisher(runner, self.layers, self._activation)
        outcomes = [_outcome(row) for row in passed.logits.cpu()]
        for row in self._cheapest_first(asks, passed):
            outcome, ask = outcomes[row], asks[row]
            if ask and isinstance(outcome, Outcome):
                outcomes[row] = _finished(finisher, outcome, batch[row], ask, passed, row)
        return outcomes

    def _cheapest_first(self, asks: Sequence[Ask | None], passed: Passed) -> list[int]:
        """Rows in the order in which they are finished, so that time runs out for the dearest."""

        def price(row: int) -> int:
            ask = asks[row]
            if ask is None:
                return 0
            return further_passes(ask, layers_of(self.layers, ask), len(passed.goals[row]))

        return sorted(range(len(asks)), key=price)


def _finished(
    finisher: Finisher, outcome: Outcome, picture: Tensor, ask: Ask, passed: Passed, row: int
) -> Outcome | GradcamError:
    try:
        return Outcome(outcome.logits, finisher.maps(picture, ask, passed, row))
    except GradcamError as error:
        return error


def _outcome(logits: Tensor) -> Outcome | GradcamError:
    if not bool(logits.isfinite().all()):
        return EngineFault(
            "the network's output for this picture is not finite; check the model's weights"
        )
    return Outcome(logits if logits.dtype == torch.float64 else logits.float())


def _check_evaluating(network: nn.Module) -> None:
    for name, module in network.named_modules():
        if module.training:
            raise EngineFault(
                f"the network is in training mode ({name or 'all of it'}), where pictures of a "
                "batch disturb each other; call .eval() first"
            )


def _where(network: nn.Module) -> tuple[torch.device, torch.dtype]:
    for parameter in network.parameters():
        if parameter.is_floating_point():
            return parameter.device, parameter.dtype
    return torch.device("cpu"), torch.float32
