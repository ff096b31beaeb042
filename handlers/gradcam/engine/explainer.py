"""Logits and raw maps of a batch: one forward pass, and what is asked for beyond it."""

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from gradcam.engine.arranging import lower_precision, naming_faults, survey_laid_out, where
from gradcam.engine.explanation import Ask, Outcome
from gradcam.engine.finish import Finisher
from gradcam.engine.forward import Passed, run_forward, tapped_layers
from gradcam.engine.price import further_passes
from gradcam.engine.probability import ACTIVATIONS
from gradcam.engine.questions import layers_of
from gradcam.engine.replay import Work, record
from gradcam.engine.runner import Runner
from gradcam.engine.usual import Usual
from gradcam.errors import EngineFault, GradcamError
from gradcam.survey.layers import LayerTable
from gradcam.survey.readout import Readout
from gradcam.survey.tap import input_projections

logger = logging.getLogger(__name__)


class Explainer:
    """A network together with what a survey found out about its layers.

    It keeps nothing between calls but what a warm-up made, and leaves hooks, gradients and modes of
    the network as they were. Threads may share it: while one runs, its hooks are on the network, so
    the others wait.
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
        dtype: torch.dtype | None = None,
        channels_last: bool | None = False,
    ) -> None:
        """Surveys the network with one forward pass.

        Args:
            network: Takes ``[N, 3, H, W]`` and gives logits ``[N, C]`` (``[N, 1]`` are read as two
                classes, see :class:`gradcam.survey.readout.Readout`), or something that holds
                them; in evaluation mode. What ``torch.compile`` made predicts batches of the sizes
                that :meth:`warm_up` is told, and explains the question that it is told; all else
                is answered through the network that it was made of, for compiling takes longer
                than any request may.
            input_size: ``(H, W)``.
            output: The name or position of the logits in the network's output; ``None`` finds them.
            activation: One of :data:`gradcam.engine.probability.ACTIVATIONS`.
            rows: Pictures in one pass at most, of those that smoothing and perturbing add.
            dtype: What the network is to compute in; ``None`` leaves it as it is. The network is
                surveyed first and then cast, see :func:`gradcam.engine.arranging.lower_precision`.
            channels_last: Whether the network's weights and its pictures are to be laid out like
                that; ``None`` does so if the network can take it.

        Raises:
            EngineFault: The network is in training mode, gives something else, or fails on
                pictures of this size or in this precision.
        """
        self.layers: LayerTable
        self.network = network
        self.rows = rows
        self._size = input_size
        self._turn = threading.Lock()
        self._compiled_for: frozenset[str] | None = None
        self._compiled_sizes: frozenset[int] = frozenset()
        self._usual: tuple[Usual, Work] | None = None
        self._predict: Work = self._forward
        self.readout = Readout(output)
        self.probabilities: Callable[[Tensor], Tensor] = ACTIVATIONS[activation]
        self._activation = activation
        self.device, self.dtype = where(network)
        self._eager: nn.Module = getattr(network, "_orig_mod", network)
        # walking through a network takes as long as running a small one
        self._modules = dict(self._eager.named_modules())
        self._projections = input_projections(self._modules.values())
        _check_evaluating(self._modules)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn((1, 3, *input_size), generator=generator)
        noise = noise.to(self.device, self.dtype)
        size = f"pictures of {input_size[0]}×{input_size[1]}, as preprocessing: crop_size has them"
        with naming_faults(f"the network fails on {size}"):
            self.layers, self._format = survey_laid_out(
                self._eager, noise, self.readout, channels_last=channels_last
            )
        if dtype is not None and dtype != self.dtype:
            with naming_faults(f"the network fails on {size}, in {dtype} (execution: precision)"):
                lower_precision(self._eager, dtype, self.readout, noise)
                self.dtype = dtype
                (outcome,) = self.run(noise, [Ask()] if self.layers.default else [None])
            if isinstance(outcome, GradcamError):
                raise outcome

    def run(
        self, batch: Tensor, asks: Sequence[Ask | None], deadline: float = math.inf
    ) -> list[Outcome | GradcamError]:
        """Predicts and explains a batch in one forward pass.

        Smoothing, flipping, scoring and the methods that perturb take further passes.

        Args:
            batch: ``[N, 3, H, W]``, normalised, on the network's device, in any layout.
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
            return self._run(self._laid_out(batch), asks, deadline)

    def warm_up(
        self,
        sizes: Sequence[int],
        ask: Ask | None,
        *,
        at_once: bool | None = None,
        graphs: bool = True,
    ) -> None:
        """Predicts and explains batches of noise, so that no later one of their sizes is slow.

        Much is made once for each size and kept: convolutions choose their algorithms, and memory
        is taken from the system. What ``torch.compile`` made is compiled now, and used for these
        sizes only, for another may have it compiled again; if that fails, the network that it was
        made of takes its place.

        Args:
            sizes: Pictures in a batch.
            ask: The usual question; ``None`` if there is none but for predictions.
            at_once: Whether that is answered without a look at the logits on the way
                (:mod:`gradcam.engine.usual`); ``None`` does so on a CUDA device.
            graphs: Whether a CUDA device records predictions and such answers as graphs. What
                cannot be recorded is run as it is.

        Raises:
            torch.OutOfMemoryError: One of the sizes is too much.
        """
        if ask:
            self._compiled_for = tapped_layers(self.layers, [ask])
        self._compiled_sizes = frozenset(sizes)
        batches = [
            self._laid_out(torch.randn((size, 3, *self._size), device=self.device))
            for size in sorted(set(sizes), reverse=True)
        ]
        try:
            self._try(batches, ask)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            if self.network is self._eager:
                raise
            # such as for want of a C++ compiler; a request must not meet that
            logger.warning("gradcam: the network is not compiled, for that failed: %s", error)
            self.network = self._eager
            self._try(batches, ask)
        if self.network is not self._eager or not (self.device.type == "cuda" or at_once):
            return
        explain = (
            Usual.of(self._eager, self.readout, self.layers, ask)
            if ask and at_once is not False
            else None
        )
        self._usual = (explain, explain.answer) if explain else None
        if graphs and self.device.type == "cuda":
            self._predict = record(self._predict, [(batch,) for batch in batches])
            if explain:
                examples = [(batch, explain.best(batch)) for batch in batches]
                self._usual = (explain, record(explain.answer, examples))

    def _try(self, batches: Sequence[Tensor], ask: Ask | None) -> None:
        for batch in batches:
            for one in dict.fromkeys((None, ask)):
                self.run(batch, [one] * len(batch))

    def _laid_out(self, batch: Tensor) -> Tensor:
        return batch.to(self.dtype).contiguous(memory_format=self._format)

    def _run(
        self, batch: Tensor, asks: Sequence[Ask | None], deadline: float
    ) -> list[Outcome | GradcamError]:
        _check_evaluating(self._modules)
        if not any(asks):
            return [_outcome(row) for row in self._predict(batch)[0].cpu()]
        passed = self._pass(batch, asks, deadline)
        runner = Runner(self._eager, self.readout, self.rows, deadline)
        finisher = Finisher(runner, self.layers, self._activation)
        outcomes = [_outcome(row) for row in passed.logits.cpu()]
        for row in self._cheapest_first(asks, passed):
            outcome, ask = outcomes[row], asks[row]
            if ask and isinstance(outcome, Outcome):
                outcomes[row] = _finished(finisher, outcome, batch[row], ask, passed, row)
        return outcomes

    def _pass(self, batch: Tensor, asks: Sequence[Ask | None], deadline: float) -> Passed:
        if self._usual and self._usual[0].covers(asks):
            passed = self._usual[0].run(batch, asks, self._usual[1])
            if passed:
                return passed
        known = self._compiled_for == tapped_layers(self.layers, asks)
        compiled = self.network if known and len(batch) in self._compiled_sizes else None
        return run_forward(
            *(self._eager, self.layers, self.readout, batch, asks, deadline),
            compiled,
            self._projections,
        )

    def _forward(self, batch: Tensor) -> tuple[Tensor]:
        network = self.network if len(batch) in self._compiled_sizes else self._eager
        with torch.inference_mode():
            return (self.readout(network(batch)),)

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


def _check_evaluating(modules: Mapping[str, nn.Module]) -> None:
    for name, module in modules.items():
        if module.training:
            raise EngineFault(
                f"the network is in training mode ({name or 'all of it'}), where pictures of a "
                "batch disturb each other; call .eval() first"
            )
