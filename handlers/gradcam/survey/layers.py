"""Which layers of a network a map can be made at, and which of them is the default.

A layer's fitness is read off one forward pass's shapes, autograd graph and gradients, not off its
name or type.
"""

from collections.abc import Callable, Sequence, Set

import torch
from torch import Tensor, nn

from gradcam.survey.default_layer import pick_candidates, pick_default, why_no_default
from gradcam.survey.head import is_blind, is_even, is_linear_head, measure_gradients
from gradcam.survey.layer_table import Layer, LayerTable
from gradcam.survey.readout import Readout
from gradcam.survey.survey_pass import SurveyPass, follow
from gradcam.survey.tap import tap

__all__ = ["Layer", "LayerTable", "survey_layers"]

_READOUT = Readout()
_BLIND = (
    "feeds the logits through class tokens only: at every other token the gradient is exactly "
    "zero, and so would be the map"
)


def survey_layers(
    network: nn.Module, example: Tensor, readout: Callable[[object], Tensor] = _READOUT
) -> LayerTable:
    """Runs one forward pass with every module tapped, and sorts the modules.

    Args:
        network: In evaluation mode.
        example: ``[1, 3, H, W]``, an input as the network gets it; noise will do. On the meta
            device no gradient can be measured, and shapes and the graph must do.
        readout: From the network's output to logits.

    Raises:
        EngineFault: The network does not give logits.
    """
    with torch.inference_mode(mode=False), torch.enable_grad():
        picture = example.detach().clone().requires_grad_()
        names = [name for name, _ in network.named_modules() if name]
        with tap(network, names) as calls:
            logits = readout(network(picture.clone()))
        seen = follow(logits, calls, picture)
        blind = _find_blind(seen)
        modules = _judge_all(names, seen, blind)
        bottlenecks = [
            name for name, output in seen.groups.items() if seen.graph.is_bottleneck(output)
        ]
        candidates = pick_candidates(bottlenecks, modules, seen)
        default = pick_default(
            candidates, modules, seen, cells_matter=blind.isdisjoint(bottlenecks)
        )
        reason = why_no_default(default, bottlenecks, modules, seen, blind)
    return LayerTable(
        modules, tuple(candidates), None if reason else default, reason, seen.logits.shape[1]
    )


def _judge_all(names: Sequence[str], seen: SurveyPass, blind: Set[str]) -> dict[str, Layer | str]:
    sizes = {
        name: layout.to_maps(seen.outputs[name]).shape[1:] for name, layout in seen.maps.items()
    }
    used = {
        name
        for name, (_, height, width) in sizes.items()
        if height * width > 1 and seen.graph.is_used(seen.outputs[name])
    }
    straight = _find_linear_heads(seen)

    def judge(name: str) -> Layer | str:
        layout = seen.layouts.get(name)
        if layout is None:
            return "is never called in a forward pass, or gives no floating-point tensor"
        if isinstance(layout, str):
            return layout
        channels, height, width = sizes[name]
        if height * width == 1:
            return "has a 1×1 output, and a map of one cell says nothing"
        if used and name not in used:
            return "has no influence on the logits (autograd reports it as unused)"
        if name in blind:
            return _BLIND
        is_bypassed = bool(used) and not seen.graph.is_bottleneck(seen.outputs[name])
        return Layer(
            *(name, channels, height, width, layout, is_bypassed),
            linear_head=name in straight,
            differentiable=bool(used),
            calls=seen.counts[name],
        )

    return {name: judge(name) for name in names}


def _find_blind(seen: SurveyPass) -> set[str]:
    """The layers of which only class and register tokens reach the logits.

    What the last attention reads has cells that matter, so that only the head is differentiated.
    """
    reader = seen.graph.rooted_at(seen.attentions[0]) if seen.attentions else None
    late = [
        name
        for name, layout in seen.maps.items()
        if layout.skipped and not (reader and reader.is_used(seen.outputs[name]))
    ]
    gradients = measure_gradients(seen.logits, [seen.outputs[name] for name in late])
    pairs = zip(late, gradients, strict=True)
    return {name for name, gradient in pairs if is_blind(gradient, seen.maps[name])}


def _find_linear_heads(seen: SurveyPass) -> set[str]:
    straight = [name for name in seen.maps if is_linear_head(seen.graph, seen.outputs[name])]
    gradients = measure_gradients(seen.logits, [seen.outputs[name] for name in straight])
    pairs = zip(straight, gradients, strict=True)
    return {name for name, gradient in pairs if is_even(gradient, seen.maps[name])}
