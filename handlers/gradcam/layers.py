"""Which layers of a network a map can be made at, and which of them is the default.

A layer's fitness is read off one forward pass's shapes, autograd graph and gradients, not off its
name or type.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from operator import itemgetter

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from gradcam.attention import find_attentions, find_insides
from gradcam.graph import Graph, is_pooled, node_of, origin
from gradcam.head import (
    is_blind,
    is_class_maps,
    is_even,
    is_linear_head,
    is_silent,
    is_vector,
    measure_gradients,
)
from gradcam.layer_table import Layer, LayerTable
from gradcam.layout import Layout
from gradcam.readout import Readout
from gradcam.recognise import recognise_layouts
from gradcam.tap import Tapped, tap

__all__ = ["Layer", "LayerTable", "survey_layers"]

_READOUT = Readout()
_REMEDY = "name a layer, or explain a network with a convolutional last stage"
_BLIND = (
    "feeds the logits through its class token only: at every other token the gradient is exactly "
    "zero, and so would be the map"
)


@dataclass(frozen=True)
class _Pass:
    """One forward pass with every module tapped, and what is known about it.

    Attributes:
        logits: ``[1, C]``.
        graph: From the logits to where their dependence on the picture can be followed to.
        attentions: Nodes that mix tokens, from the logits on.
        groups: One name per distinct tensor, that of the outermost module that made it, in the
            order of execution.
        layouts: By module, how its last call's output holds a map, or why it holds none.
        outputs: By module, the output of its last call.
        inside: The modules that give an attention's queries, keys, values or weights.
    """

    logits: Tensor
    graph: Graph
    attentions: Sequence[Node]
    groups: Mapping[str, Tensor]
    layouts: Mapping[str, Layout | str]
    outputs: Mapping[str, Tensor]
    inside: Set[str]

    @property
    def maps(self) -> dict[str, Layout]:
        """The modules whose last call's output holds a map."""
        return {name: lay for name, lay in self.layouts.items() if isinstance(lay, Layout)}


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
        seen = _follow(logits, calls, picture)
        blind = _find_blind(seen)
        modules = _judge_all(names, seen, blind)
        bottlenecks = [
            name for name, output in seen.groups.items() if seen.graph.is_bottleneck(output)
        ]
        candidates = _pick_candidates(bottlenecks, modules, seen)
        default = _pick_default(
            candidates, modules, seen, cells_matter=blind.isdisjoint(bottlenecks)
        )
        reason = _why_no_default(default, bottlenecks, modules, seen, blind)
    return LayerTable(modules, tuple(candidates), None if reason else default, reason)


def _follow(logits: Tensor, calls: Sequence[Tapped], picture: Tensor) -> _Pass:
    graph = Graph(logits, picture)
    attentions = find_attentions(graph)
    insides = find_insides(graph, attentions)
    layouts = recognise_layouts(calls, picture, insides, connected=graph.reaches_input)
    if not graph.reaches_input:
        # a backbone under its own no_grad: its last tap is where gradients end
        ends = [call.output for call in calls if call.output.is_leaf and graph.is_used(call.output)]
        graph = Graph(logits, *ends) if len(ends) == 1 else graph
    return _Pass(
        logits,
        graph,
        attentions,
        _group_by_tensor(calls),
        {call.name: layout for call, layout in zip(calls, layouts, strict=True)},
        {call.name: call.output for call in calls},
        {call.name for call in calls if node_of(call.output) in insides},
    )


def _group_by_tensor(calls: Sequence[Tapped]) -> dict[str, Tensor]:
    """One name per distinct tensor: the outermost of the modules that made it.

    Modules that merely hand their input on (identity, dropout in evaluation) made nothing.
    """
    numbers: dict[Node, int] = {
        call.output.grad_fn: number for number, call in enumerate(calls) if call.output.grad_fn
    }
    makers: list[int] = []
    outermost: dict[int, str] = {}
    for number, call in enumerate(calls):
        copied = origin(call.output, numbers)
        maker = number if copied is None else makers[copied]
        makers.append(maker)
        encloses = copied is None or calls[maker].name.startswith(f"{call.name}.")
        if encloses:
            outermost[maker] = call.name  # children finish first, so the last one is outermost
    last_makers = {name: maker for maker, name in sorted(outermost.items())}
    in_order = sorted(last_makers.items(), key=itemgetter(1))
    return {name: calls[maker].output for name, maker in in_order}


def _judge_all(names: Sequence[str], seen: _Pass, blind: Set[str]) -> dict[str, Layer | str]:
    sizes = {
        name: layout.to_maps(seen.outputs[name]).shape[1:] for name, layout in seen.maps.items()
    }
    used = {name for name in seen.maps if seen.graph.is_used(seen.outputs[name])}
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
        )

    return {name: judge(name) for name in names}


def _find_blind(seen: _Pass) -> set[str]:
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


def _find_linear_heads(seen: _Pass) -> set[str]:
    straight = [name for name in seen.maps if is_linear_head(seen.graph, seen.outputs[name])]
    gradients = measure_gradients(seen.logits, [seen.outputs[name] for name in straight])
    pairs = zip(straight, gradients, strict=True)
    return {name for name, gradient in pairs if is_even(gradient, seen.maps[name])}


def _pick_candidates(
    bottlenecks: Sequence[str], modules: Mapping[str, Layer | str], seen: _Pass
) -> list[str]:
    """The bottlenecks at which a map can be made, without the stacks of class maps at the end."""
    candidates: list[str] = []
    classes, may_be_stack = seen.logits.shape[1], True
    for name in reversed(bottlenecks):
        found = modules[name]
        if not isinstance(found, Layer):
            continue
        if may_be_stack and found.channels == classes:
            may_be_stack = is_class_maps(seen.logits, seen.groups[name], found.layout)
            if may_be_stack:
                continue
        candidates.insert(0, name)
    return candidates


def _pick_default(
    candidates: Sequence[str],
    modules: Mapping[str, Layer | str],
    seen: _Pass,
    *,
    cells_matter: bool,
) -> str | None:
    ends = [name for name in candidates if not is_pooled(seen.groups[name])]
    end = ends[-1] if ends else None
    if end is not None and cells_matter:
        (gradient,) = measure_gradients(seen.logits, [seen.groups[end]])
        # with a head of zeros nobody can tell; class tokens are there to be read
        if not seen.maps[end].skipped or not is_silent(gradient):
            return end
    return _last_read_by_attention(modules, seen) or end


def _last_read_by_attention(modules: Mapping[str, Layer | str], seen: _Pass) -> str | None:
    """What the last attention whose cells have a gradient reads its tokens from."""
    first: str | None = None
    for attention in seen.attentions:
        reader = seen.graph.rooted_at(attention)
        name = next(
            (
                name
                for name, output in reversed(list(seen.groups.items()))
                if isinstance(modules[name], Layer) and reader.is_bottleneck(output)
            ),
            None,
        )
        if name is None:
            continue
        (gradient,) = measure_gradients(seen.logits, [seen.groups[name]])
        if gradient is None or bool(seen.maps[name].to_maps(gradient).any()):
            return name
        first = first or name
    return first


def _why_no_default(
    default: str | None,
    bottlenecks: Sequence[str],
    modules: Mapping[str, Layer | str],
    seen: _Pass,
    blind: Set[str],
) -> str:
    usable = [name for name in seen.groups if isinstance(modules[name], Layer)]
    if usable and not any(seen.graph.is_used(seen.groups[name]) for name in usable):
        maps = [name for name in usable if not is_pooled(seen.groups[name])] or usable
        return (
            "the logits have no gradient at any layer (a quantised head has none, nor one that "
            f"detaches its input); ask for method eigencam and a layer such as {maps[-1]}"
        )
    if not seen.graph.reaches_input:
        return (
            f"the logits do not depend differentiably on the picture, so no map exists; {_REMEDY}"
        )
    if default is None:
        return f"no feature map with a height and a width lies on every path; {_REMEDY}"
    later = bottlenecks[bottlenecks.index(default) + 1 :] if default in bottlenecks else []
    chosen = modules[default]
    gradients = measure_gradients(seen.logits, [seen.groups[name] for name in later])
    for name, gradient in zip(later, gradients, strict=True):
        shape = seen.groups[name].shape
        if (
            isinstance(chosen, Layer)
            and len(shape) == 3
            and name not in blind | seen.inside
            and isinstance(modules[name], str)
            and not is_vector(gradient)
            and max(shape[1:]) >= chosen.height * chosen.width
        ):
            return (
                f"the network's last stage works on tokens whose grid is not known ({name}), not "
                f"on a feature map; {_REMEDY}"
            )
    return ""
