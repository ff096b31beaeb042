"""The questions of a batch, one for every map, and the calls of layers that they are about."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from gradcam.engine.applicability import why_not
from gradcam.engine.explanation import Ask
from gradcam.engine.targets import Goal
from gradcam.errors import UnusableLayer
from gradcam.methods import METHODS
from gradcam.survey.layers import Layer, LayerTable
from gradcam.survey.tap import Tapped

Sites = Mapping[tuple[str, int], "Site"]
"""By layer and call, as a request has them."""


@dataclass(frozen=True)
class Question:
    """One map to be made.

    Attributes:
        row: The picture's place in the batch.
        number: The map's place among the picture's.
        goal: The class, or the difference of two.
        layer: Where.
        call: Which call of the layer, as the request has it: from 0, or from the end below it.
        method: How.
    """

    row: int
    number: int
    goal: Goal
    layer: Layer
    call: int
    method: str


@dataclass(frozen=True)
class LayerMap:
    """A question's answer.

    Attributes:
        values: ``[h, w]`` on the CPU, signed, float32 or float64.
        silent: Whether the gradient at the layer is zero everywhere.
    """

    values: Tensor
    silent: bool = False


@dataclass(frozen=True)
class Site:
    """One call of a layer in a forward pass.

    Attributes:
        call: Which of its calls, from 0.
        output: In the layer's own shape, all rows of the batch, in the autograd graph.
    """

    call: int
    output: Tensor


def layers_of(table: LayerTable, ask: Ask) -> tuple[Layer, ...]:
    """The layers that an ask means.

    Raises:
        UnusableLayer: One of them cannot be used.
    """
    names: Sequence[str | None] = ask.layers or (None,)
    return tuple(dict.fromkeys(table.choose(name) for name in names))


def list_questions(
    table: LayerTable, asks: Sequence[Ask | None], goals: Sequence[Sequence[Goal]]
) -> Iterator[Question]:
    """Every map that a batch asks for.

    Args:
        table: The network's layers.
        asks: One for each row; ``None`` asks for none.
        goals: What each row's targets mean.

    Raises:
        UnusableLayer: A layer cannot be used, or not with the method.
        ValueError: There is no such method.
    """
    for row, ask in enumerate(asks):
        for layer in layers_of(table, ask) if ask else ():
            assert ask is not None
            if ask.method not in METHODS:
                raise ValueError(
                    f"method {ask.method!r} does not exist; there are {', '.join(METHODS)}"
                )
            if reason := why_not(ask.method, layer, ask.call):
                raise UnusableLayer(reason)
            for number, goal in enumerate(goals[row]):
                yield Question(row, number, goal, layer, ask.call, ask.method)


def find_sites(
    table: LayerTable, calls: Sequence[Tapped], questions: Sequence[Question], rows: int
) -> Sites:
    """The calls that questions are about.

    Args:
        table: The network's layers.
        calls: All calls of the named layers in a forward pass, in order.
        questions: Of that pass.
        rows: Pictures in it.

    Raises:
        UnusableLayer: There was no such call, or its output does not belong to the pictures.
    """
    outputs: dict[str, list[Tensor]] = {}
    for called in calls:
        outputs.setdefault(called.name, []).append(called.output)
    sites = {}
    for name, call in dict.fromkeys((q.layer.name, q.call) for q in questions):
        found = outputs.get(name, [])
        if not found:
            raise UnusableLayer(
                f"layer {name!r} was not called for this input; {table.nearest_hint(name)}"
            )
        if not -len(found) <= call < len(found):
            raise UnusableLayer(
                f"layer {name!r} is called {len(found)} times, so there is no call {call}; "
                f"give call 0 to {len(found) - 1}, or -1 for the last"
            )
        site = Site(call % len(found), found[call])
        if len(site.output) != rows:
            raise UnusableLayer(
                f"layer {name!r} gives {len(site.output)} rows for {rows} pictures, so its rows "
                f"belong to no picture; {table.nearest_hint(name)}"
            )
        sites[name, call] = site
    return sites
