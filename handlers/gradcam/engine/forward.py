"""One forward pass of a batch, and every map that its rows ask for.

forward, tapped --> logits --> goals --> questions --derive--> gradients --method--> maps
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradcam.engine.explanation import Ask
from gradcam.engine.gradients import derive
from gradcam.engine.questions import (
    LayerMap,
    Question,
    Sites,
    find_sites,
    layers_of,
    list_questions,
)
from gradcam.engine.targets import Goal, objectives, resolve_targets
from gradcam.errors import UnusableLayer
from gradcam.methods import METHODS, Needs
from gradcam.survey.layers import LayerTable
from gradcam.survey.tap import tap

_MOST_NUMBERS = 32_000_000
"""How many numbers the gradients of one backward pass may have together."""


@dataclass(frozen=True)
class Passed:
    """What one forward pass gave.

    Attributes:
        logits: ``[N, C]``, detached, on the serving device.
        goals: What each row's targets mean.
        sites: The tapped call for every layer and call that the rows name.
        maps: The answer to every question that one forward pass can answer.
        open: The questions that take further passes.
        late: Rows that time was up for.
    """

    logits: Tensor
    goals: tuple[tuple[Goal, ...], ...]
    sites: Sites
    maps: Mapping[Question, LayerMap]
    open: tuple[Question, ...]
    late: frozenset[int]


def run_forward(
    network: nn.Module,
    table: LayerTable,
    readout: Callable[[object], Tensor],
    batch: Tensor,
    asks: Sequence[Ask | None],
    deadline: float,
    compiled: Callable[[Tensor], object] | None = None,
    projections: Sequence[Tensor] = (),
) -> Passed:
    """Runs a batch once, and makes every map that needs no further pass.

    Args:
        network: In evaluation mode.
        table: Its layers.
        readout: From its output to logits.
        batch: ``[N, 3, H, W]``.
        asks: One for each row.
        deadline: On :func:`time.monotonic`'s clock; each row's first map is made in any case.
        compiled: What ``torch.compile`` made of the network, to be called in its place.
        projections: As :func:`gradcam.survey.tap.tap` takes them.

    Raises:
        UnusableLayer: A layer that is asked for cannot be used.
    """
    named = tapped_layers(table, asks)
    call = network if compiled is None else compiled  # a compiled network may be false
    with (
        torch.inference_mode(mode=False),
        torch.enable_grad(),
        tap(network, named, () if compiled is not None else projections) as calls,
    ):
        # a tensor made in inference mode cannot take part in autograd
        logits = readout(call(batch.clone() if batch.is_inference() else batch))
        on_cpu = logits.detach().cpu()
        goals = tuple(
            resolve_targets(ask.targets, row) if ask else ()
            for ask, row in zip(asks, on_cpu, strict=True)
        )
        questions = list(list_questions(table, asks, goals))
        # checkpointing calls modules again during the backward pass, so what was called is now
        sites = find_sites(table, tuple(calls), questions, len(batch))
        maps, late = _answer(logits, sites, questions, table, deadline)
    pending = tuple(q for q in questions if METHODS[q.method].compute is None)
    return Passed(logits.detach(), goals, sites, maps, pending, late)


def tapped_layers(table: LayerTable, asks: Sequence[Ask | None]) -> frozenset[str]:
    """The names of the layers that some asks are about.

    Raises:
        UnusableLayer: One of them cannot be used.
    """
    return frozenset(layer.name for ask in asks if ask for layer in layers_of(table, ask))


def precise(tensor: Tensor) -> Tensor:
    """In at least float32, whatever precision the network computes in."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _answer(
    logits: Tensor,
    sites: Sites,
    questions: Sequence[Question],
    table: LayerTable,
    deadline: float,
) -> tuple[dict[Question, LayerMap], frozenset[int]]:
    """Answers questions, of which every row's first is answered in any case."""
    maps: dict[Question, LayerMap] = {}
    activating = [q for q in questions if METHODS[q.method].needs is Needs.ACTIVATIONS]
    for group in _by_site_and_method(activating):
        maps |= _map_activations(group, sites)
    deriving = [
        q for q in questions if METHODS[q.method].needs in (Needs.GRADIENTS, Needs.LINEAR_HEAD)
    ]
    used = list(dict.fromkeys((q.layer.name, q.call) for q in deriving))
    outputs = [sites[key].output for key in used]
    numbers = sorted({q.number for q in deriving})
    together = max(1, _MOST_NUMBERS // max(1, sum(output.numel() for output in outputs)))
    # when time is up already, only the first of every row is left to be made
    first = 1 if time.monotonic() > deadline else together
    rounds = [numbers[:first]] if numbers else []
    rounds += [numbers[at : at + together] for at in range(first, len(numbers), together)]
    for turn, current in enumerate(rounds):
        asked = [q for q in deriving if q.number in current]
        if turn and time.monotonic() > deadline:
            late = frozenset(q.row for q in deriving if q.number >= current[0])
            return maps, late
        coefficients = logits.new_zeros((len(current), *logits.shape))
        for q in asked:
            row = objectives([q.goal], logits.shape[1])[0]
            coefficients[current.index(q.number), q.row] = row.to(coefficients)
        derived = derive(logits, outputs, coefficients, keep_graph=turn + 1 < len(rounds))
        gradients = dict(zip(used, derived, strict=True))
        for group in _by_site_and_method(asked):
            layer = group[0].layer
            gradient = gradients[layer.name, group[0].call]
            if gradient is None:
                raise UnusableLayer(
                    f"layer {layer.name!r} has no influence on the logits (autograd reports it "
                    f"as unused); {table.nearest_hint(layer.name)}"
                )
            maps |= _map_group(group, sites, gradient, current)
    return maps, frozenset()


def _by_site_and_method(questions: Sequence[Question]) -> list[list[Question]]:
    groups: dict[tuple[str, int, str], list[Question]] = {}
    for q in questions:
        groups.setdefault((q.layer.name, q.call, q.method), []).append(q)
    return list(groups.values())


def _map_activations(group: Sequence[Question], sites: Sites) -> dict[Question, LayerMap]:
    """Makes the maps of questions that share site and method, where no gradient is needed.

    They are the same for every class, so there is one for each picture.
    """
    layer, compute = group[0].layer, METHODS[group[0].method].compute
    assert compute is not None
    output = sites[layer.name, group[0].call].output.detach()
    rows = list(dict.fromkeys(q.row for q in group))
    together = max(1, _MOST_NUMBERS // output[0].numel())
    found: dict[int, LayerMap] = {}
    for chunk in (rows[at : at + together] for at in range(0, len(rows), together)):
        activations = precise(layer.layout.to_maps(output[chunk]))
        values = compute(activations, activations).cpu()
        found |= {row: LayerMap(value) for row, value in zip(chunk, values, strict=True)}
    return {q: found[q.row] for q in group}


def _map_group(
    group: Sequence[Question],
    sites: Sites,
    gradient: Tensor,
    numbers: Sequence[int],
) -> dict[Question, LayerMap]:
    """Makes the maps of questions that share site and method, from gradients.

    Args:
        group: The questions.
        sites: Of the forward pass.
        gradient: ``[K, N, …]``, of the site's output.
        numbers: Which numbers the ``K`` belong to.
    """
    layer, compute = group[0].layer, METHODS[group[0].method].compute
    assert compute is not None
    output = precise(layer.layout.to_maps(sites[layer.name, group[0].call].output.detach()))
    answered: list[Question] = []
    values, nothing = [], []
    # one number after the other, for then what all rows want is taken as it is, and nothing copied
    for number, own in zip(numbers, gradient, strict=True):
        asked = [q for q in group if q.number == number]
        if not asked:
            continue
        rows = [q.row for q in asked]
        whole = rows == list(range(len(output)))
        derived = precise(layer.layout.to_maps(own if whole else own[rows]))
        values.append(compute(output if whole else output[rows], derived))
        nothing.append(derived.abs().amax(dim=(1, 2, 3)) == 0)
        answered += asked
    made = zip(answered, torch.cat(values).cpu(), torch.cat(nothing).tolist(), strict=True)
    return {q: LayerMap(value, silent) for q, value, silent in made}
