"""Which layers of a network a map can be made at, and which of them is the default.

A layer's fitness is read off the autograd graph of one forward pass, not off its name or type.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from gradcam.errors import EngineFault, UnusableLayer
from gradcam.graph import Graph, is_pooled, origin
from gradcam.tap import Tapped, tap


@dataclass(frozen=True)
class Layer:
    """A layer that a map can be made at.

    Attributes:
        name: The module's dotted name.
        channels: Of its activation.
        height: Of its activation, and so of the map.
        width: Likewise.
    """

    name: str
    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class LayerTable:
    """What a survey of a network found.

    Attributes:
        modules: For every module, in the network's order, either the layer that a map can be made
            at or the reason why it is none.
        candidates: From input to logits, the layers through which every path from the picture to
            the logits passes and that are not stacks of class maps; one name per tensor.
        default: The last of them, before the pooling that ends or follows it; ``None`` where the
            network has none.
        why_no_default: The reason for that, else empty.
    """

    modules: Mapping[str, Layer | str]
    candidates: tuple[str, ...]
    default: str | None
    why_no_default: str

    @property
    def usable(self) -> tuple[str, ...]:
        """The names of all layers that a map can be made at."""
        return tuple(name for name, found in self.modules.items() if isinstance(found, Layer))

    def choose(self, name: str | None) -> Layer:
        """The layer of that name, or the default.

        Raises:
            UnusableLayer: With the reason, and the nearest layer that can be used.
        """
        if name is None:
            if self.default is None:
                raise UnusableLayer(self.why_no_default)
            name = self.default
        found = self.modules.get(name)
        if found is None:
            close = difflib.get_close_matches(name[:200], self.usable, n=3, cutoff=0.4)
            hint = f"the closest are {', '.join(close)}" if close else self._default_hint()
            raise UnusableLayer(f"layer {name[:200]!r} does not exist; {hint}")
        if isinstance(found, str):
            raise UnusableLayer(f"layer {name!r} {found}; {self.nearest_hint(name)}")
        return found

    def nearest_hint(self, name: str) -> str:
        """Names the usable layer nearest to a module in the network's order."""
        order = list(self.modules)
        here = order.index(name)
        others = [other for other in self.usable if other != name]
        if not others:
            return "this network has no layer that can be used"
        return (
            f"the nearest usable layer is {min(others, key=lambda o: abs(order.index(o) - here))}"
        )

    def _default_hint(self) -> str:
        return f"the default is {self.default}" if self.default else self.why_no_default


def survey_layers(network: nn.Module, example: Tensor) -> LayerTable:
    """Runs one forward pass with every module tapped, and sorts the modules.

    Args:
        network: In evaluation mode.
        example: ``[1, 3, H, W]``, an input as the network gets it; noise will do.

    Raises:
        EngineFault: The network does not give logits.
    """
    with torch.inference_mode(mode=False), torch.enable_grad():
        picture = example.detach().clone().requires_grad_()
        names = [name for name, _ in network.named_modules() if name]
        with tap(network, names) as calls:
            logits = check_logits(network(picture.clone()))
        graph = Graph(logits, picture)
        last_calls = {call.name: call for call in calls}
        modules = {name: _judge(name, last_calls.get(name), graph) for name in names}
        groups = _group_by_tensor(calls)
        bottlenecks = {
            name: call for name, call in groups.items() if graph.is_bottleneck(call.output)
        }
        candidates = {
            name: call
            for name, call in bottlenecks.items()
            if isinstance(modules[name], Layer) and not _is_class_maps(call.output, logits)
        }
        default = _pick_default(candidates)
        reason = _why_no_default(graph, candidates, default, bottlenecks)
    return LayerTable(modules, tuple(candidates), None if reason else default, reason)


def check_logits(output: object) -> Tensor:
    """What a network gave, if it is ``[N, C]``.

    Raises:
        EngineFault: It is something else.
    """
    if isinstance(output, Tensor) and output.dim() == 2:
        return output
    shape = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
    raise EngineFault(f"the network gave {shape}, not logits of shape [N, C]")


def _judge(name: str, call: Tapped | None, graph: Graph) -> Layer | str:
    if call is None:
        return "is never called in a forward pass, or gives no floating-point tensor"
    shape = list(call.output.shape)
    if len(shape) != 4:
        return f"gives a tensor of shape {shape}, not channels with a height and a width"
    if shape[2] * shape[3] == 1:
        return "has a 1×1 output, and a map of one cell says nothing"
    if not graph.is_used(call.output):
        return "has no influence on the logits (autograd reports it as unused)"
    return Layer(name, shape[1], shape[2], shape[3])


def _group_by_tensor(calls: Sequence[Tapped]) -> dict[str, Tapped]:
    """One name per distinct tensor: the outermost of the modules that made it.

    Modules that merely hand their input on (identity, dropout in evaluation) made nothing.
    """
    numbers: dict[Node | None, int] = {
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
    return {name: calls[maker] for name, maker in sorted(last_makers.items(), key=itemgetter(1))}


def _is_class_maps(activation: Tensor, logits: Tensor) -> bool:
    """Whether channel ``c`` influences logit ``c`` only: then pooling is all that follows."""
    classes = logits.shape[1]
    if activation.shape[1] != classes:
        return False
    silent = True
    for index in logits[0].topk(min(4, classes)).indices.tolist():
        gradient = torch.autograd.grad(logits[0, index], activation, retain_graph=True)[0][0]
        channels = gradient.flatten(1).abs().sum(dim=1).nonzero().flatten().tolist()
        if channels not in ([], [index]):
            return False
        silent = silent and not channels
    return not silent


def _pick_default(candidates: Mapping[str, Tapped]) -> str | None:
    for name in reversed(list(candidates)):
        if not is_pooled(candidates[name].output):
            return name
    return None


def _why_no_default(
    graph: Graph,
    candidates: Mapping[str, Tapped],
    default: str | None,
    bottlenecks: Mapping[str, Tapped],
) -> str:
    remedy = "name a layer, or explain a network with a convolutional last stage"
    if not graph.reaches_input:
        return f"the logits do not depend differentiably on the picture, so no map exists; {remedy}"
    if default is None:
        return f"no feature map with a height and a width lies on every path; {remedy}"
    chosen = candidates[default].output
    cells = chosen.shape[2] * chosen.shape[3]
    names = list(bottlenecks)
    for call in (bottlenecks[name] for name in names[names.index(default) + 1 :]):
        shape = call.output.shape
        if len(shape) == 3 and max(shape[1:]) >= cells:
            return (
                f"the network's last stage works on tokens ({call.name}), not on a feature map; "
                f"{remedy}"
            )
    return ""
