"""The maps of methods that perturb: they ask the network again about changed pictures."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gradcam.engine.forward import Passed, precise
from gradcam.engine.perturbation import run_ablationcam, run_scorecam
from gradcam.engine.questions import LayerMap, Question
from gradcam.engine.runner import Head, Runner, agree
from gradcam.engine.targets import objectives
from gradcam.errors import UnusableLayer
from gradcam.methods import METHODS, Needs
from gradcam.survey.layers import Layer


def answer_open(
    runner: Runner, picture: Tensor, passed: Passed, questions: Sequence[Question]
) -> dict[Question, LayerMap]:
    """Answers the open questions of one picture; those at one layer share their passes.

    Args:
        runner: Of the network.
        picture: ``[3, H, W]``.
        passed: The forward pass that left them open.
        questions: All of one row.

    Raises:
        TooLarge: Time was up.
        UnusableLayer: What follows the layer cannot be run on its own.
    """
    groups: dict[tuple[str, int, str], list[Question]] = {}
    for q in questions:
        groups.setdefault((q.layer.name, q.call, q.method), []).append(q)
    maps: dict[Question, LayerMap] = {}
    for group in groups.values():
        first = group[0]
        head = head_of(runner, passed, first.row, first.layer, first.call)
        coefficients = objectives([q.goal for q in group], passed.logits.shape[1])
        own = precise(head.maps()[0])
        if METHODS[first.method].needs is Needs.HEAD_PASSES:
            _check_head(head, picture, passed.logits[first.row])
            values = run_ablationcam(
                own, _behind(runner, head, picture), coefficients.to(own), head.room
            )
        else:
            values = run_scorecam(picture, own, runner.forward, coefficients.to(own), runner.rows)
        maps |= {q: LayerMap(value) for q, value in zip(group, values.cpu(), strict=True)}
    return maps


def head_of(runner: Runner, passed: Passed, row: int, layer: Layer, call: int) -> Head:
    """What follows a layer, for one picture of a forward pass."""
    site = passed.sites[layer.name, call]
    return Head(
        runner.network, runner.readout, layer, site.call, site.output.detach()[row : row + 1]
    )


def _behind(runner: Runner, head: Head, picture: Tensor) -> Callable[[Tensor], Tensor]:
    """The head as a function of activations that keeps to the deadline."""

    def run(maps: Tensor) -> Tensor:
        runner.check_time()
        return head.instead(picture[None], maps)

    return run


def _check_head(head: Head, picture: Tensor, logits: Tensor) -> None:
    """Two rows of what was there anyway must give the logits that there were."""
    try:
        again = head.instead(picture[None], head.maps().repeat(2, 1, 1, 1))
        same = agree(again, logits, head.output.dtype)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # the network holds on to the number of rows that it began with
        same = False
    if not same:
        raise UnusableLayer(
            f"what follows layer {head.layer.name!r} cannot be run on its own, as this method "
            "needs; ask for method scorecam, or a layer nearer to the logits"
        )
