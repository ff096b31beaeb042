"""The question that most requests ask, without a stop on the way: one map of one class a picture.

The way of :mod:`gradcam.engine.forward` looks at the logits before it knows which class to explain,
and on a GPU each look waits for the device. Here the device picks the best class itself, so that
forward pass, gradient and map follow one upon the other, can be recorded as a CUDA graph
(:mod:`gradcam.engine.replay`), and are looked at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gradcam.engine.explanation import Ask
from gradcam.engine.forward import Passed, precise
from gradcam.engine.questions import LayerMap, Question, layers_of
from gradcam.engine.replay import Work, to_device, to_host
from gradcam.engine.targets import Top, resolve_targets
from gradcam.errors import UnusableLayer
from gradcam.methods import METHODS, Needs
from gradcam.survey.layers import Layer, LayerTable
from gradcam.survey.tap import tap

_BEST = -1


@dataclass(frozen=True)
class Usual:
    """A layer, a method, and the best class or one that is named.

    Attributes:
        network: In evaluation mode and frozen.
        readout: From its output to logits.
        layer: The target layer; its last call is explained.
        method: One that needs gradients.
        spellings: How asks name the layer.
    """

    network: nn.Module
    readout: Callable[[object], Tensor]
    layer: Layer
    method: str
    spellings: tuple[tuple[str, ...], ...]

    @classmethod
    def of(
        cls, network: nn.Module, readout: Callable[[object], Tensor], table: LayerTable, ask: Ask
    ) -> "Usual | None":
        """The question of an ask; ``None`` where it is not of this kind."""
        layers = layers_of(table, ask)
        if len(layers) > 1 or METHODS[ask.method].needs is not Needs.GRADIENTS:
            return None
        own = (layers[0].name,)
        spellings = (own, ()) if own == (table.default,) else (own,)
        usual = cls(network, readout, layers[0], ask.method, spellings)
        return usual if usual.covers([ask]) else None

    def covers(self, asks: Sequence[Ask | None]) -> bool:
        """Whether every ask is this question, or none, and at least one is."""
        plain = Ask(method=self.method)
        return any(asks) and all(
            ask is None
            or (
                ask.layers in self.spellings
                and len(ask.targets) == 1
                and (ask.targets[0] == Top(1) or isinstance(ask.targets[0], int))
                and replace(ask, targets=plain.targets, layers=()) == plain
            )
            for ask in asks
        )

    def best(self, batch: Tensor) -> Tensor:
        """That of every row the best class is wanted: ``[N]``, on the batch's device."""
        return torch.full((len(batch),), _BEST, device=batch.device)

    def answer(self, batch: Tensor, wanted: Tensor) -> tuple[Tensor, ...]:
        """Predicts and explains a batch, every row of it.

        Args:
            batch: ``[N, 3, H, W]``.
            wanted: ``[N]``, int64: class indices; -1 for the best.

        Returns:
            Logits ``[N, C]``, the classes that were explained ``[N]``, maps ``[N, h, w]`` in at
            least float32 and signed, and whether a row's gradient is zero everywhere ``[N]``; all
            on the batch's device.

        Raises:
            UnusableLayer: The layer was not called, or its output does not belong to the pictures.
        """
        compute = METHODS[self.method].compute
        assert compute is not None
        with (
            torch.inference_mode(mode=False),
            torch.enable_grad(),
            tap(self.network, [self.layer.name]) as calls,
        ):
            # a tensor made in inference mode cannot take part in autograd
            logits = self.readout(self.network(batch.clone() if batch.is_inference() else batch))
            if not calls or len(calls[-1].output) != len(batch):
                raise UnusableLayer(f"layer {self.layer.name!r} does not answer for each picture")
            output = calls[-1].output
            chosen = torch.where(wanted == _BEST, logits.detach().argmax(dim=1), wanted)
            one_hot = torch.zeros_like(logits).scatter_(1, chosen[:, None], 1)
            (gradient,) = torch.autograd.grad(logits, [output], one_hot)
        activations = precise(self.layer.layout.to_maps(output.detach()))
        derived = precise(self.layer.layout.to_maps(gradient))
        silent = derived.abs().amax(dim=(1, 2, 3)) == 0
        return logits.detach(), chosen, compute(activations, derived), silent

    def run(self, batch: Tensor, asks: Sequence[Ask | None], work: Work) -> Passed | None:
        """Answers asks that it covers.

        Args:
            batch: ``[N, 3, H, W]``.
            asks: One for each row.
            work: :meth:`answer`, or a recording of it.

        Returns:
            As :func:`gradcam.engine.forward.run_forward`, without sites and on the CPU. ``None``
            where two logits are equally great and the device picked the later class, which the
            order of classes forbids.
        """
        targets = [ask.targets[0] if ask else Top(1) for ask in asks]
        wanted = [target if isinstance(target, int) else _BEST for target in targets]
        logits, chosen, values, silent = to_host(work(batch, to_device(wanted, batch.device)))
        goals = tuple(
            resolve_targets(ask.targets, row) if ask else ()
            for ask, row in zip(asks, logits, strict=True)
        )
        if any(own and own[0].index != index for own, index in zip(goals, chosen, strict=True)):
            return None
        maps = {
            Question(row, 0, own[0], self.layer, -1, self.method): LayerMap(
                values[row], bool(silent[row])
            )
            for row, own in enumerate(goals)
            if own
        }
        return Passed(logits, goals, {}, maps, (), frozenset())
