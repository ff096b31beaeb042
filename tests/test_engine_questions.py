"""Many questions in one pass, further passes, and scores: against asking one by one, by hand."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gradcam import (
    METHODS,
    Ask,
    Explainer,
    GradcamError,
    Outcome,
    RawMap,
    Top,
    UnusableLayer,
    forward,
    passes,
)
from gradcam.errors import TooLarge
from gradcam.gradients import derive
from gradcam.targets import Difference
from hand_networks import Classifier, MeanLinear, frozen, pictures, small_network, two_stages
from oracles import full_autograd_map, relative_error

NETWORK = small_network()
EXPLAINER = Explainer(NETWORK, (12, 12))
BATCH = pictures(3)


def maps_of(explainer: Explainer, picture: Tensor, ask: Ask) -> tuple[RawMap, ...]:
    (outcome,) = explainer.run(picture[None], [ask])
    assert isinstance(outcome, Outcome), outcome
    return outcome.maps


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


# --- several targets, differences ---


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


# --- flip and smooth ---


def test_flipping_averages_with_the_mirrored_pictures_map_turned_back() -> None:
    (flipped,) = maps_of(EXPLAINER, BATCH[0], Ask((1,), flip=True))

    own = full_autograd_map(NETWORK, "body", BATCH[0], 1)
    turned = full_autograd_map(NETWORK, "body", BATCH[0].flip(-1), 1).flip(-1)
    assert relative_error(flipped.values, (own + turned) / 2) < 1e-5


def test_smoothing_averages_the_maps_of_noisy_copies_for_the_pictures_own_class() -> None:
    picture = BATCH[1]
    (smoothed,) = maps_of(EXPLAINER, picture, Ask(smooth=3, noise=0.4, seed=7))
    with torch.no_grad():
        best = int(NETWORK(picture[None]).argmax())

    generator = torch.Generator().manual_seed(7)
    deviation = 0.4 * (picture.max() - picture.min())
    drawn = [torch.randn(picture.shape, generator=generator) for _ in range(3)]
    copies = picture + deviation * torch.stack(drawn)
    expected = sum(full_autograd_map(NETWORK, "body", copy, best) for copy in copies) / 3
    assert isinstance(expected, Tensor)
    assert smoothed.index == best
    assert relative_error(smoothed.values, expected) < 1e-5


def test_more_copies_than_rows_take_several_passes_and_change_nothing() -> None:
    ask = Ask((1, 2), smooth=5, flip=True)
    few = Explainer(NETWORK, (12, 12), rows=2)

    for one, other in zip(
        maps_of(few, BATCH[0], ask), maps_of(EXPLAINER, BATCH[0], ask), strict=True
    ):
        close(one.values, other.values)


# --- scores ---


def test_scores_at_the_layer_are_those_of_masking_it_by_hand() -> None:
    network = MeanLinear([[4, -8, 0], [8, 12, 0], [-4, 0, 0], [0, 0, 0]])
    explainer = Explainer(network, (4, 4))
    picture = pictures(1, 4, seed=3)[0]

    (raw,) = maps_of(explainer, picture, Ask((0,), score=True))

    # the features are the picture, so masking one is masking the other
    order = raw.values.flatten().argsort(descending=True)
    kept, removed = [], []
    for step in range(11):
        best = torch.zeros(16)
        best[order[: round(step * 16 / 10)]] = 1
        removed.append(network((picture * (1 - best.view(4, 4)))[None]).softmax(1)[0, 0])
        kept.append(network((picture * best.view(4, 4))[None]).softmax(1)[0, 0])
    positive = raw.values.clamp(min=0)
    through = network((picture * positive / positive.max())[None]).softmax(1)[0, 0]
    whole = removed[0]
    score = raw.faithfulness
    assert score is not None
    assert (score.space, score.steps) == ("layer", 10)
    assert score.deletion == pytest.approx(trapezia(removed), abs=1e-5)
    assert score.insertion == pytest.approx(trapezia(kept), abs=1e-5)
    assert score.average_drop == pytest.approx(
        float((whole - through).clamp(min=0) / whole), abs=1e-5
    )
    assert score.increase is bool(through > whole)


def trapezia(curve: Sequence[Tensor]) -> float:
    points = [float(point) for point in curve]
    return sum((a + b) / 20 for a, b in itertools.pairwise(points))


class Around(nn.Module):
    """A layer, and a way around it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.layer = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        total: Tensor = x + self.layer(x)
        return total


def test_where_a_path_leads_around_the_layer_the_picture_is_masked() -> None:
    network = frozen(Classifier(Around()))
    explainer = Explainer(network, (12, 12))
    picture = BATCH[0]

    (raw,) = maps_of(explainer, picture, Ask((0,), layers=("body.layer",), score=True))

    score = raw.faithfulness
    assert score is not None
    assert score.space == "input"
    order = raw.values.flatten().argsort(descending=True, stable=True)
    with torch.no_grad():
        removed = []
        for step in range(11):
            mask = torch.ones(144)
            mask[order[: round(step * 144 / 10)]] = 0  # the layer is as large as the picture
            removed.append(network((picture * mask.view(12, 12))[None]).softmax(1)[0, 0])
    assert score.deletion == pytest.approx(trapezia(removed), abs=1e-5)


def test_every_one_of_several_maps_has_its_own_score() -> None:
    together = maps_of(EXPLAINER, BATCH[2], Ask((0, 1, Difference(2, 3)), score=True))

    for raw in together:
        target = raw.index if raw.versus is None else Difference(raw.index, raw.versus)
        (alone,) = maps_of(EXPLAINER, BATCH[2], Ask((target,), score=True))
        one, other = raw.faithfulness, alone.faithfulness
        assert one is not None
        assert other is not None
        assert (one.deletion, one.insertion, one.average_drop) == pytest.approx(
            (other.deletion, other.insertion, other.average_drop), abs=1e-6
        )


# --- calls, outputs ---


class Twice(nn.Module):
    """One module, called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3)
        self.again = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        again: Tensor = self.again(self.again(self.stem(x)))
        return again


def unrolled(network: nn.Module) -> nn.Module:
    """The same with a module for each call."""
    body: nn.Module = network.get_submodule("body")
    again = body.get_submodule("again")
    twice = nn.Sequential(body.get_submodule("stem"), again, nn.Sequential(*again.children()))
    single = Classifier(twice)
    single.fc = network.get_submodule("fc")  # type: ignore[assignment]
    return single.eval()


@pytest.mark.parametrize(
    ("call", "layer"), [(0, "body.1"), (1, "body.2"), (-1, "body.2"), (-2, "body.1")]
)
def test_which_call_of_a_module_is_explained(call: int, layer: str) -> None:
    network = frozen(Classifier(Twice()))
    explainer = Explainer(network, (12, 12))

    (raw,) = maps_of(explainer, BATCH[0], Ask((1,), layers=("body.again",), call=call))

    assert (
        relative_error(raw.values, full_autograd_map(unrolled(network), layer, BATCH[0], 1)) < 1e-5
    )


def test_a_call_that_does_not_happen_is_refused() -> None:
    explainer = Explainer(frozen(Classifier(Twice())), (12, 12))

    with pytest.raises(UnusableLayer, match=r"called 2 times.*no call 2; give call 0 to 1, or -1"):
        explainer.run(BATCH[:1], [Ask(layers=("body.again",), call=2)])


class Wrapped(nn.Module):
    """A network whose logits lie in something."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.network(x)
        return {"hidden": x, "other": -logits, "logits": logits}


@pytest.mark.parametrize(("output", "sign"), [(None, 1), ("logits", 1), ("other", -1)])
def test_logits_in_a_mapping_are_explained(output: str | None, sign: int) -> None:
    explainer = Explainer(Wrapped(NETWORK).eval(), (12, 12), output=output)

    (raw,) = maps_of(explainer, BATCH[0], Ask((2,)))

    assert relative_error(raw.values, sign * full_autograd_map(NETWORK, "body", BATCH[0], 2)) < 1e-5


def test_both_sides_of_one_logit_are_explained() -> None:
    network = frozen(Classifier(two_stages()))
    network.fc = nn.Linear(6, 1).eval().requires_grad_(requires_grad=False)
    explainer = Explainer(network, (12, 12), activation="sigmoid")

    negative, positive = maps_of(explainer, BATCH[0], Ask((0, 1)))

    expected = full_autograd_map(network, "body", BATCH[0], 0)
    assert relative_error(positive.values, expected) < 1e-5
    assert relative_error(negative.values, -expected) < 1e-5


# --- under real use ---


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stages = two_stages(inplace=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = checkpoint(self.stages, x, use_reentrant=False)
        return out


@pytest.mark.parametrize("layer", ["body.stages", "body.stages.2"])
def test_a_checkpointed_network_is_exact(layer: str) -> None:
    network = frozen(Classifier(Checkpointed()))

    maps = maps_of(Explainer(network, (12, 12)), BATCH[0], Ask((1, 3), layers=(layer,)))

    plain = frozen(Classifier(two_stages(inplace=False)))
    for raw in maps:
        name = layer.replace("body.stages", "body")
        assert (
            relative_error(raw.values, full_autograd_map(plain, name, BATCH[0], raw.index)) < 1e-5
        )


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_network_is_explained_as_the_one_that_it_was_made_of(backend: str) -> None:
    compiled = torch.compile(NETWORK, backend=backend)
    assert isinstance(compiled, nn.Module)
    explainer = Explainer(compiled, (12, 12))

    (plain,) = explainer.run(BATCH[:1], [None])
    (raw,) = maps_of(explainer, BATCH[0], Ask((1,)))

    assert isinstance(plain, Outcome)
    close(plain.logits, NETWORK(BATCH[:1])[0])
    assert raw.layers == ("body",)
    assert relative_error(raw.values, full_autograd_map(NETWORK, "body", BATCH[0], 1)) < 1e-5


def test_channels_last_changes_nothing() -> None:
    network = small_network().to(memory_format=torch.channels_last)
    batch = BATCH.to(memory_format=torch.channels_last)

    (outcome, *_) = Explainer(network, (12, 12)).run(batch, [Ask((1,))] * 3)

    assert isinstance(outcome, Outcome)
    expected = full_autograd_map(NETWORK, "body", BATCH[0], 1)
    assert relative_error(outcome.maps[0].values, expected) < 1e-5


def test_under_autocast_maps_are_float32_sums() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        (raw,) = maps_of(EXPLAINER, BATCH[0], Ask((1,)))

    assert raw.values.dtype == torch.float32
    # bfloat16 has 8 significant bits, and every layer rounds
    assert relative_error(raw.values, full_autograd_map(NETWORK, "body", BATCH[0], 1)) < 0.05


@pytest.mark.filterwarnings("ignore")  # torch moves quantisation to a package of its own
def test_a_quantised_head_has_no_gradient_and_eigencam_is_offered() -> None:
    quantised = torch.ao.quantization.quantize_dynamic(  # type: ignore[no-untyped-call]
        small_network(), {nn.Linear}, torch.qint8
    )
    explainer = Explainer(quantised.eval(), (12, 12))

    with pytest.raises(UnusableLayer, match=r"gradient.*method eigencam"):
        explainer.run(BATCH[:1], [Ask((1,), layers=("body",))])
    (eigen,) = maps_of(explainer, BATCH[0], Ask((1,), layers=("body",), method="eigencam"))

    (exact,) = maps_of(EXPLAINER, BATCH[0], Ask((1,), layers=("body",), method="eigencam"))
    close(eigen.values, exact.values)  # the body is not quantised, and no more than it is looked at


def test_time_that_is_up_refuses_further_passes_for_their_picture_alone() -> None:
    asks = [Ask((1,)), Ask((1,), smooth=2), Ask((1,), method="scorecam")]

    first, *others = EXPLAINER.run(BATCH, asks, deadline=0.0)

    assert isinstance(first, Outcome)
    for other in others:
        assert isinstance(other, GradcamError)
        assert other.status == 413


class Clock:
    """Time that runs out after so many looks at it."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def monotonic(self) -> float:
        self.looks -= 1
        return 0.0 if self.looks >= 0 else 2.0


@pytest.mark.parametrize("ask", [Ask((0, 1), flip=True), Ask((0, 1), smooth=3)])
@pytest.mark.parametrize("looks", range(8))
def test_time_that_runs_out_anywhere_gives_the_whole_answer_or_none(
    monkeypatch: pytest.MonkeyPatch, ask: Ask, looks: int
) -> None:
    expected = maps_of(EXPLAINER, BATCH[0], ask)
    clock = Clock(looks)
    for module in (forward, passes):
        monkeypatch.setattr(module, "time", clock)

    (outcome,) = EXPLAINER.run(BATCH[:1], [ask], deadline=1.0)

    if isinstance(outcome, TooLarge):
        return
    assert isinstance(outcome, Outcome)
    for found, whole in zip(outcome.maps, expected, strict=True):
        close(found.values, whole.values)
    assert looks > 1  # or no clock was looked at


def test_what_takes_least_is_finished_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asks = [Ask((1,), method="scorecam"), Ask((1,), flip=True), Ask((1,))]
    monkeypatch.setattr(passes, "time", Clock(2))

    scored, flipped, plain = EXPLAINER.run(BATCH, asks, deadline=1.0)

    assert isinstance(plain, Outcome)
    assert isinstance(flipped, Outcome)
    assert isinstance(scored, TooLarge)


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


def test_fused_maps_keep_their_parts() -> None:
    layers = ("body.2", "body.5")
    (fused,) = maps_of(EXPLAINER, BATCH[0], Ask((1,), layers=layers))

    for layer, part in zip(layers, fused.parts, strict=True):
        assert relative_error(part, full_autograd_map(NETWORK, layer, BATCH[0], 1)) < 1e-5
    assert maps_of(EXPLAINER, BATCH[0], Ask((1,)))[0].parts == ()
