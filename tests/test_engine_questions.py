"""Many questions in one pass: against asking one by one, and against full autograd."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from engine_asking import BATCH, EXPLAINER, NETWORK, close, maps_of
from gradcam import METHODS, Ask, Explainer, Outcome, Top
from gradcam.engine import forward
from gradcam.engine.gradients import derive
from gradcam.engine.targets import Difference
from hand_networks import (
    Classifier,
    frozen,
    two_stages,
)
from oracles import full_autograd_map, relative_error


def test_a_difference_is_the_difference_of_the_maps() -> None:
    difference, first, second = maps_of(EXPLAINER, BATCH[0], Ask((Difference(3, 1), 3, 1)))

    assert (difference.index, difference.versus) == (3, 1)
    assert (first.versus, second.versus) == (None, None)
    # Grad-CAM is linear in the logit
    close(difference.values, first.values - second.values)


class NoBatchingRule(torch.autograd.Function):
    """The identity, with a derivative that autograd cannot batch."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient * float(gradient.abs().max() >= 0)  # float() of a batched tensor raises


class Unbatched(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        identity: Tensor = NoBatchingRule.apply(x)
        return identity


def test_where_gradients_cannot_be_batched_each_target_has_a_pass_of_its_own() -> None:
    network = frozen(Classifier(nn.Sequential(two_stages(), Unbatched())))
    logits = torch.zeros(1, 2, requires_grad=True)
    unbatched = NoBatchingRule.apply(logits)
    with pytest.raises(RuntimeError):  # so that this test is known to test the loop
        torch.autograd.grad(unbatched, logits, torch.eye(2)[:, None], is_grads_batched=True)

    explainer = Explainer(network, (12, 12))
    maps = maps_of(explainer, BATCH[0], Ask((0, 2, 4), layers=("body.0",)))

    for raw in maps:
        expected = full_autograd_map(NETWORK, "body", BATCH[0], raw.index)
        assert relative_error(raw.values, expected) < 1e-5


def test_derivatives_together_are_those_one_by_one() -> None:
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    inputs = torch.randn(2, 6, generator=torch.Generator().manual_seed(2)).requires_grad_()
    unused = torch.zeros(3, requires_grad=True)
    logits = inputs @ weight.T
    coefficients = torch.randn(5, 2, 4, generator=torch.Generator().manual_seed(3))

    gradient, nothing = derive(logits, [inputs, unused], coefficients, keep_graph=False)

    assert gradient is not None
    close(gradient, coefficients @ weight)
    assert nothing is None
    assert derive(logits.detach(), [inputs], coefficients, keep_graph=False) == [None]


def test_a_batch_of_unlike_questions_is_answered_as_one_by_one() -> None:
    asks = [
        Ask((Top(3), Difference(0, 4)), method="hirescam"),
        Ask((2,), method="eigencam", layers=("body.2",)),
        Ask((1, 0), layers=("body.2", "body.5"), fuse="max", flip=True),
    ]

    together = EXPLAINER.run(BATCH, asks)

    for picture, ask, outcome in zip(BATCH, asks, together, strict=True):
        assert isinstance(outcome, Outcome)
        alone = maps_of(EXPLAINER, picture, ask)
        assert [(r.index, r.versus) for r in outcome.maps] == [(r.index, r.versus) for r in alone]
        for one, other in zip(outcome.maps, alone, strict=True):
            close(one.values, other.values)


def test_fused_maps_keep_their_parts() -> None:
    layers = ("body.2", "body.5")
    (fused,) = maps_of(EXPLAINER, BATCH[0], Ask((1,), layers=layers))

    for layer, part in zip(layers, fused.parts, strict=True):
        assert relative_error(part, full_autograd_map(NETWORK, layer, BATCH[0], 1)) < 1e-5
    assert maps_of(EXPLAINER, BATCH[0], Ask((1,)))[0].parts == ()


def test_a_map_that_no_class_moves_is_made_once_for_all_targets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []
    eigencam = METHODS["eigencam"].compute
    assert eigencam is not None

    def count(activations: Tensor, gradients: Tensor) -> Tensor:
        made.append(len(activations))
        assert eigencam is not None
        return eigencam(activations, gradients)

    counted = {**METHODS, "eigencam": replace(METHODS["eigencam"], compute=count)}
    monkeypatch.setattr(forward, "METHODS", counted)

    maps = maps_of(EXPLAINER, BATCH[0], Ask((Top(5),), method="eigencam"))

    assert made == [1]
    assert len(maps) == 5
    assert all(raw.values.equal(maps[0].values) for raw in maps)
