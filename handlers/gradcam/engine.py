"""Logits and raw maps of a batch: one forward pass, and a backward pass of the head per target."""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gradcam.errors import EngineFault, GradcamError, UnusableLayer, out_of_time
from gradcam.explanation import Ask, Outcome, RawMap
from gradcam.layers import LayerTable, check_logits, survey_layers
from gradcam.methods import METHODS
from gradcam.tap import Tapped, tap
from gradcam.targets import resolve_targets


class Explainer:
    """A network together with what a survey found out about its layers.

    It keeps nothing between calls, and leaves hooks, gradients and modes of the network as they
    were. One explanation costs one forward pass and the backward pass of what follows the target
    layer, provided that the network's parameters are frozen (:func:`gradcam.freeze`); otherwise
    the result is the same, but autograd records the whole forward pass.
    """

    def __init__(self, network: nn.Module, input_size: tuple[int, int] = (224, 224)) -> None:
        """Surveys the network with one forward pass.

        Args:
            network: Takes ``[N, 3, H, W]`` and gives logits ``[N, C]``; in evaluation mode.
            input_size: ``(H, W)``.

        Raises:
            EngineFault: The network is in training mode, gives something else, or fails on
                pictures of this size.
        """
        self.layers: LayerTable
        self.network = network
        self.device, self.dtype = _where(network)
        _check_evaluating(network)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn((1, 3, *input_size), generator=generator)
        try:
            self.layers = survey_layers(network, noise.to(self.device, self.dtype))
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

        Args:
            batch: ``[N, 3, H, W]``, normalised, on the network's device.
            asks: One for each picture; ``None`` asks for the logits only.
            deadline: On :func:`time.monotonic`'s clock. Every picture's first map is computed in
                any case, further ones until then.

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
        _check_evaluating(self.network)
        layers = [self.layers.choose(ask.layer).name if ask else "" for ask in asks]
        if not any(layers):
            with torch.inference_mode():
                return [_outcome(row) for row in check_logits(self.network(batch)).cpu()]
        with (
            torch.inference_mode(mode=False),
            torch.enable_grad(),
            tap(self.network, {name for name in layers if name}) as calls,
        ):
            # a tensor made in inference mode cannot take part in autograd
            logits = check_logits(self.network(batch.clone() if batch.is_inference() else batch))
            maps = self._explain(logits, calls, asks, layers, deadline)
        outcomes = [_outcome(row) for row in logits.detach().cpu()]
        return [_attach(outcome, found) for outcome, found in zip(outcomes, maps, strict=True)]

    def _explain(
        self,
        logits: Tensor,
        calls: Sequence[Tapped],
        asks: Sequence[Ask | None],
        layers: Sequence[str],
        deadline: float,
    ) -> list[list[RawMap] | GradcamError]:
        outputs = {call.name: call.output for call in calls}  # a module's last call counts
        for name in layers:
            if name and name not in outputs:
                raise UnusableLayer(
                    f"layer {name!r} was not called for this input; "
                    f"{self.layers.nearest_hint(name)}"
                )
        on_cpu = logits.detach().cpu()
        wanted = [
            resolve_targets(ask.targets, row) if ask else ()
            for ask, row in zip(asks, on_cpu, strict=True)
        ]
        maps: dict[int, list[RawMap]] = {row: [] for row in range(len(asks))}
        late: dict[int, GradcamError] = {}
        rounds = max(len(indices) for indices in wanted)
        for number in range(rounds):
            rows = [row for row, indices in enumerate(wanted) if number < len(indices)]
            if number and time.monotonic() > deadline:
                late = dict.fromkeys(rows, out_of_time())
                break
            used = list(dict.fromkeys(layers[row] for row in rows))
            chosen = logits[rows, [wanted[row][number] for row in rows]].sum()
            gradients = _gradients(
                chosen, [outputs[name] for name in used], keep_graph=number + 1 < rounds
            )
            for name, gradient in zip(used, gradients, strict=True):
                if gradient is None:
                    raise UnusableLayer(
                        f"layer {name!r} has no influence on the logits (autograd reports it as "
                        f"unused); {self.layers.nearest_hint(name)}"
                    )
                here = [row for row in rows if layers[row] == name]
                for method in dict.fromkeys(_method(asks[row]) for row in here):
                    same = [row for row in here if _method(asks[row]) == method]
                    layout = self.layers.choose(name).layout
                    seen = layout.to_maps(outputs[name]), layout.to_maps(gradient)
                    values = _raw_maps(method, *seen, same)
                    for row, value in zip(same, values, strict=True):
                        maps[row].append(RawMap(wanted[row][number], name, method, value))
        return [late.get(row, found) for row, found in maps.items()]


def _gradients(
    chosen: Tensor, outputs: Sequence[Tensor], *, keep_graph: bool
) -> Sequence[Tensor | None]:
    """The derivatives of ``chosen``; ``None`` where it does not depend on an output."""
    if not chosen.requires_grad:
        return [None] * len(outputs)
    return torch.autograd.grad(chosen, outputs, retain_graph=keep_graph, allow_unused=True)


def _raw_maps(method: str, output: Tensor, gradient: Tensor, rows: Sequence[int]) -> Tensor:
    if method not in METHODS:
        raise ValueError(f"method {method!r} does not exist; there are {', '.join(METHODS)}")
    activations, gradients = output.detach(), gradient
    if len(rows) != len(output):
        activations, gradients = activations[rows], gradients[rows]
    # whatever precision the network computes in, the map's sums are at least float32
    precise = torch.promote_types(output.dtype, torch.float32)
    return METHODS[method](activations.to(precise), gradients.to(precise)).cpu()


def _method(ask: Ask | None) -> str:
    return ask.method if ask else ""


def _attach(
    outcome: Outcome | GradcamError, maps: list[RawMap] | GradcamError
) -> Outcome | GradcamError:
    if isinstance(outcome, GradcamError):
        return outcome
    if isinstance(maps, GradcamError):
        return maps
    for raw in maps:
        if not bool(raw.values.isfinite().all()):
            return EngineFault(
                f"the gradient of class {raw.index} at layer {raw.layer!r} is not finite, so there "
                "is no map; ask for another layer, and check the model's weights"
            )
    return Outcome(outcome.logits, tuple(maps))


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
