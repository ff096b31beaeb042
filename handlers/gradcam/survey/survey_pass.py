"""One forward pass with every module tapped, and what its shapes and its graph say."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from operator import itemgetter

from torch import Tensor
from torch.autograd.graph import Node

from gradcam.survey.attention import find_attentions, find_insides
from gradcam.survey.graph import Graph, node_of, origin
from gradcam.survey.layout import Layout
from gradcam.survey.recognise import recognise_layouts
from gradcam.survey.tap import Tapped


@dataclass(frozen=True)
class SurveyPass:
    """What a forward pass of one picture left behind.

    Attributes:
        logits: ``[1, C]``.
        graph: From the logits to where their dependence on the picture can be followed to.
        attentions: Nodes that mix tokens, from the logits on.
        groups: One name per distinct tensor, that of the outermost module that made it, in the
            order of execution.
        layouts: By module, how its last call's output holds a map, or why it holds none.
        outputs: By module, the output of its last call.
        inside: The modules that give an attention's queries, keys, values or weights.
        counts: By module, how many times it was called.
    """

    logits: Tensor
    graph: Graph
    attentions: Sequence[Node]
    groups: Mapping[str, Tensor]
    layouts: Mapping[str, Layout | str]
    outputs: Mapping[str, Tensor]
    inside: Set[str]
    counts: Mapping[str, int]

    @property
    def maps(self) -> dict[str, Layout]:
        """The modules whose last call's output holds a map."""
        return {name: lay for name, lay in self.layouts.items() if isinstance(lay, Layout)}


def follow(logits: Tensor, calls: Sequence[Tapped], picture: Tensor) -> SurveyPass:
    """Follows the graph from the logits back, and sorts the tensors on the way.

    Args:
        logits: ``[1, C]``.
        calls: All that was tapped, in the order of execution.
        picture: ``[1, 3, H, W]``, which the network got a copy of; requires a gradient.
    """
    graph = Graph(logits, picture)
    attentions = find_attentions(graph)
    insides = find_insides(graph, attentions)
    layouts = recognise_layouts(calls, picture, insides, connected=graph.reaches_input)
    if not graph.reaches_input:
        # a backbone under its own no_grad: its last tap is where gradients end
        ends = [call.output for call in calls if call.output.is_leaf and graph.is_used(call.output)]
        graph = Graph(logits, *ends) if len(ends) == 1 else graph
    return SurveyPass(
        logits,
        graph,
        attentions,
        _group_by_tensor(calls),
        {call.name: layout for call, layout in zip(calls, layouts, strict=True)},
        {call.name: call.output for call in calls},
        {call.name for call in calls if node_of(call.output) in insides},
        Counter(call.name for call in calls),
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
