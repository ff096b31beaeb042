"""The usual question in one go, held against the general way; and recordings where none can be."""

import copy
import logging

import pytest
import torch
from torch import Tensor, nn

from gradcam import Ask, Explainer, Outcome, Top
from gradcam.engine.replay import Recording, Replays, Work, record, to_host
from gradcam.engine.usual import Usual
from hand_networks import frozen, pictures, small_network

NETWORK = small_network()
BATCH = pictures(5)
MIXED = [Ask(), None, Ask((3,)), Ask((Top(1),)), Ask((0,))]


def usual_of(network: nn.Module = NETWORK, **question: object) -> tuple[Usual, Explainer]:
    explainer = Explainer(network, (12, 12))
    ask = Ask(**question)  # type: ignore[arg-type]
    usual = Usual.of(network, explainer.readout, explainer.layers, ask)
    assert usual is not None
    return usual, explainer


def same(found: object, expected: object) -> None:
    assert isinstance(found, Outcome)
    assert isinstance(expected, Outcome)
    torch.testing.assert_close(found.logits, expected.logits)
    assert len(found.maps) == len(expected.maps)
    for mine, other in zip(found.maps, expected.maps, strict=True):
        assert (mine.index, mine.layers, mine.method, mine.versus, mine.silent, mine.bypassed) == (
            (other.index, other.layers, other.method, other.versus, other.silent, other.bypassed)
        )
        torch.testing.assert_close(mine.values, other.values)


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "gradcam++", "layercam"])
def test_a_mixed_batch_is_answered_as_on_the_general_way(method: str) -> None:
    asks = [ask and Ask(ask.targets, method) for ask in MIXED]
    general, at_once = Explainer(NETWORK, (12, 12)), Explainer(NETWORK, (12, 12))
    at_once.warm_up([1, 5], Ask(method=method), at_once=True)
    for found, expected in zip(at_once.run(BATCH, asks), general.run(BATCH, asks), strict=True):
        same(found, expected)


@pytest.mark.parametrize(
    "ask",
    [
        Ask((1, 2)),
        Ask((Top(2),)),
        Ask(method="hirescam"),
        Ask(smooth=2),
        Ask(flip=True),
        Ask(score=True),
        Ask(call=0),
        Ask(layers=("body.0",)),
    ],
    ids=lambda ask: repr(ask)[4:50],
)
def test_any_other_question_is_none_of_its_business(ask: Ask) -> None:
    usual, explainer = usual_of()
    assert not usual.covers([Ask(), ask])
    warm = Explainer(NETWORK, (12, 12))
    warm.warm_up([2], Ask(), at_once=True)
    for found, expected in zip(
        warm.run(BATCH[:2], [Ask(), ask]), explainer.run(BATCH[:2], [Ask(), ask]), strict=True
    ):
        same(found, expected)


def test_predictions_alone_are_no_question() -> None:
    usual, _ = usual_of()
    assert not usual.covers([None, None])


def test_the_layer_may_be_named_or_be_the_default() -> None:
    usual, explainer = usual_of()
    assert explainer.layers.default
    assert usual.covers([Ask(layers=(explainer.layers.default,)), Ask()])
    other, _ = usual_of(layers=("body.0",))
    assert other.covers([Ask(layers=("body.0",))])
    assert not other.covers([Ask()])


@pytest.mark.parametrize("method", ["eigencam", "scorecam"])
def test_methods_without_gradients_are_none_of_its_business(method: str) -> None:
    explainer = Explainer(NETWORK, (12, 12))
    assert Usual.of(NETWORK, explainer.readout, explainer.layers, Ask(method=method)) is None


def test_of_two_equal_logits_the_first_class_is_explained() -> None:
    network = copy.deepcopy(NETWORK)
    head = network.get_submodule("fc")
    assert isinstance(head, nn.Linear)
    head.weight.data[3] = head.weight.data[1]
    head.bias.data[[1, 3]] = 50  # so that both are the best

    explainer = Explainer(frozen_as_it_is(network), (12, 12))
    explainer.warm_up([2], Ask(), at_once=True)

    for outcome in explainer.run(BATCH[:2], [Ask()] * 2):
        assert isinstance(outcome, Outcome)
        assert outcome.maps[0].index == 1


def frozen_as_it_is(network: nn.Module) -> nn.Module:
    return network.eval().requires_grad_(requires_grad=False)


def test_the_later_of_two_equal_logits_is_handed_back_to_the_general_way() -> None:
    usual, _ = usual_of()

    def picks_the_last(batch: Tensor, wanted: Tensor) -> tuple[Tensor, ...]:
        logits, chosen, values, silent = usual.answer(batch, wanted)
        return torch.zeros_like(logits), torch.full_like(chosen, 4), values, silent

    assert usual.run(BATCH, [Ask()] * 5, usual.answer) is not None
    assert usual.run(BATCH, [Ask()] * 5, picks_the_last) is None


def test_a_picture_that_was_made_in_inference_mode() -> None:
    usual, _ = usual_of()
    with torch.inference_mode():
        batch = BATCH * 1.0
        passed = usual.run(batch, [Ask()] * 5, usual.answer)
    assert passed is not None
    assert len(passed.maps) == 5


# --- recording ---


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device, which can record")
def test_what_cannot_be_recorded_is_run_as_it_is_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def double(batch: Tensor) -> tuple[Tensor]:
        return (batch * 2,)

    with caplog.at_level(logging.WARNING):
        work = record(double, [(BATCH,)])
    assert work is double
    assert "no CUDA graph is used" in caplog.text


def test_a_batch_without_a_recording_is_run_as_it_is() -> None:
    (doubled,) = Replays(lambda batch: (batch * 2,))(BATCH)
    assert doubled.equal(BATCH * 2)


def on_the_cpu(work: Work, *inputs: Tensor) -> Recording:
    """Records as a CUDA graph does: memory of its own, which a replay reads and writes."""
    kept = tuple(each.clone() for each in inputs)
    outputs = tuple(each.clone() for each in work(*kept))

    def replay() -> None:
        for output, found in zip(outputs, work(*kept), strict=True):
            output.copy_(found)

    return Recording(replay, kept, outputs)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
def test_a_batch_between_recorded_sizes_is_answered_beside_an_earlier_ones_rows(rows: int) -> None:
    usual, _ = usual_of()
    replays = Replays(usual.answer, on_the_cpu)
    for size in (2, 4):
        replays.record(BATCH[:size], usual.best(BATCH[:size]))
    spoilt = torch.full_like(BATCH[:4], torch.nan)
    replays(spoilt, usual.best(spoilt))
    expected = usual.answer(BATCH[:rows], usual.best(BATCH[:rows]))
    found = replays(BATCH[:rows], usual.best(BATCH[:rows]))
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other)


def test_a_recording_that_always_gives_the_same_is_not_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stuck(work: Work, *inputs: Tensor) -> Recording:
        return Recording(lambda: None, tuple(each.clone() for each in inputs), work(*inputs))

    def double(batch: Tensor) -> tuple[Tensor]:
        return (batch * 2,)

    with caplog.at_level(logging.WARNING):
        assert record(double, [(BATCH,)], stuck) is double
        assert isinstance(record(double, [(BATCH,)], on_the_cpu), Replays)
    assert "a replay differs" in caplog.text


def test_what_is_on_the_cpu_stays_there() -> None:
    tensors = [BATCH, torch.arange(3)]
    assert to_host(tensors) == tensors


def test_a_warm_up_changes_no_answer() -> None:
    explainer = Explainer(NETWORK, (12, 12))
    before = explainer.run(BATCH, MIXED)
    explainer.warm_up([4, 1, 4], Ask())
    for found, expected in zip(explainer.run(BATCH, MIXED), before, strict=True):
        same(found, expected)


def test_a_network_without_a_layer_can_be_warmed_up_for_predictions() -> None:
    network = frozen(nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 4)))
    explainer = Explainer(network, (12, 12))
    assert explainer.layers.default is None
    explainer.warm_up([2], None)


def test_a_size_that_was_not_warmed_up_is_never_compiled_for() -> None:
    compiled = []

    def backend(graph: torch.fx.GraphModule, _inputs: object) -> object:
        compiled.append(graph)
        return graph.forward

    torch.compiler.reset()
    explainer = Explainer(torch.compile(NETWORK, backend=backend), (12, 12))  # type: ignore[arg-type]
    explainer.warm_up([1, 2], Ask())
    assert compiled
    before = len(compiled)
    plain = Explainer(NETWORK, (12, 12))
    for rows in (5, 4, 3, 2, 1):
        for asks in ([None] * rows, [Ask()] * rows):
            for found, expected in zip(
                explainer.run(BATCH[:rows], asks), plain.run(BATCH[:rows], asks), strict=True
            ):
                same(found, expected)
    assert len(compiled) == before
