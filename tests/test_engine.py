"""What the engine answers: maps that a reader can work out, batches, targets, precision."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gradcam import Ask, Explainer, GradcamError, Outcome, RawMap, Top
from hand_networks import Classifier as SmallNetwork
from hand_networks import MeanLinear, OneConv, frozen, pictures, seeded, small_network, two_stages
from oracles import full_autograd_map, relative_error

NETWORK = small_network()
EXPLAINER = Explainer(NETWORK, (12, 12))
BATCH = pictures(5)


def answer(outcome: Outcome | GradcamError) -> Outcome:
    assert isinstance(outcome, Outcome)
    return outcome


def maps_of(
    explainer: Explainer, picture: Tensor, targets: Sequence[int | Top], layer: str | None = None
) -> tuple[RawMap, ...]:
    ask = Ask(tuple(targets), layers=() if layer is None else (layer,))
    (outcome,) = explainer.run(picture[None], [ask])
    return answer(outcome).maps


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


# --- networks whose maps are arithmetic ---


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("trainable", [False, True])
def test_captums_one_convolution_network(*, inplace: bool, trainable: bool) -> None:
    network = OneConv(inplace=inplace).requires_grad_(trainable)
    explainer = Explainer(network, (4, 4))
    picture = torch.zeros(3, 4, 4)
    picture[0] = torch.arange(16.0).view(4, 4)

    # A 3 × 3 window sums to nine times its centre, and the centres are 5, 6, 9 and 10.
    first, second = torch.tensor([[45.0, 54, 81, 90], [45, 54, 81, 90]]) - torch.tensor(
        [[50.0], [75.0]]
    )
    # The logit adds the first channel, and of the second the first cell minus the rest.
    after_relu = 1.0 * first.clamp(min=0) + (1 - 3) / 4 * second.clamp(min=0)
    assert after_relu.tolist() == [0, 4, 28, 32.5]
    # Before the ReLU, cells that it blocks have no gradient: the first one of the first channel,
    # and of the second channel the first two.
    before_relu = 3 / 4 * first + (0 + 0 - 2) / 4 * second
    assert before_relu.tolist() == [11.25, 13.5, 20.25, 22.5]

    (conv,) = maps_of(explainer, picture, [0], "conv1")
    (relu,) = maps_of(explainer, picture, [0], "relu1")
    assert conv.values.flatten().tolist() == before_relu.tolist()
    assert relu.values.flatten().tolist() == after_relu.tolist()
    assert explainer.layers.default == "relu1"


def test_after_the_mean_and_a_linear_layer_the_map_is_cam_over_the_number_of_cells() -> None:
    explainer = Explainer(MeanLinear([[4, -8, 0], [8, 12, 0], [-4, 0, 0], [0, 0, 0]]), (2, 2))
    red, green, blue = [[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, 2.0]], [[9.0, 9.0], [9.0, 9.0]]

    outcome = answer(explainer.run(torch.tensor([[red, green, blue]]), [Ask((0, 1, 2, 3))])[0])

    # means: red 2.5, green 0.75
    assert outcome.logits.tolist() == [4 * 2.5 - 8 * 0.75, 8 * 2.5 + 12 * 0.75, -4 * 2.5, 0]
    difference, total, against, nothing = outcome.maps
    assert difference.values.tolist() == [[1 - 0, 2 - 2], [3 - 0, 4 - 4]]  # red - 2 green
    assert total.values.tolist() == [[2, 4 + 3], [6, 8 + 6]]  # 2 red + 3 green
    assert total.maximum == 14
    close(total.heatmap(), torch.tensor([[2, 7], [6, 14]]) / 14)
    assert against.values.tolist() == [[-1, -2], [-3, -4]]
    assert against.maximum == 0
    assert against.heatmap().tolist() == [[0, 0], [0, 0]]
    # a gradient of zero is an answer, not an error
    assert nothing.values.tolist() == [[0, 0], [0, 0]]
    assert nothing.maximum == 0
    assert nothing.heatmap().tolist() == [[0, 0], [0, 0]]


def test_a_map_says_what_it_is_of() -> None:
    (raw,) = maps_of(EXPLAINER, BATCH[0], [3], "body.2")

    assert (raw.index, raw.layers, raw.method) == (3, ("body.2",), "gradcam")
    assert raw.values.device.type == "cpu"


# --- targets ---


def test_top_means_the_pictures_own_best_classes_and_duplicates_are_answered_once() -> None:
    with torch.no_grad():
        best = NETWORK(BATCH[1:2])[0].sort(descending=True).indices.tolist()

    found = maps_of(EXPLAINER, BATCH[1], [best[1], Top(3), best[0], best[4]])

    assert [raw.index for raw in found] == [best[1], best[0], best[2], best[4]]
    assert len(maps_of(EXPLAINER, BATCH[1], [Top(99)])) == 5


def test_several_targets_are_as_if_each_were_asked_alone() -> None:
    together = maps_of(EXPLAINER, BATCH[2], [4, 0, 2])

    for raw in together:
        (alone,) = maps_of(EXPLAINER, BATCH[2], [raw.index])
        close(raw.values, alone.values)


# --- batches ---

ASKS = [
    Ask((0,)),
    None,
    Ask((4, 1), layers=("body.2",)),
    Ask((Top(2),), layers=("body.3",)),
    Ask((2, 3, 0)),
    Ask((1,), layers=("body.0",)),
]


def test_every_picture_of_a_mixed_batch_gets_its_own_exact_maps() -> None:
    asks = [ASKS[2], ASKS[0], None, ASKS[4], ASKS[5]]

    outcomes = [answer(outcome) for outcome in EXPLAINER.run(BATCH, asks)]

    assert [[raw.index for raw in outcome.maps] for outcome in outcomes] == [
        [4, 1],
        [0],
        [],
        [2, 3, 0],
        [1],
    ]
    for picture, outcome in zip(BATCH, outcomes, strict=True):
        close(outcome.logits, NETWORK(picture[None])[0])
        for raw in outcome.maps:
            expected = full_autograd_map(NETWORK, raw.layers[0], picture, raw.index)
            assert relative_error(raw.values, expected) < 1e-5


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(ASKS)), min_size=1, max_size=6))
def test_a_picture_gets_the_same_answer_alone_and_in_any_batch(
    batch: list[tuple[int, Ask | None]],
) -> None:
    rows = [row for row, _ in batch]

    outcomes = EXPLAINER.run(BATCH[rows], [ask for _, ask in batch])

    for (row, ask), outcome in zip(batch, outcomes, strict=True):
        together, alone = answer(outcome), answer(EXPLAINER.run(BATCH[row : row + 1], [ask])[0])
        close(together.logits, alone.logits)
        assert [raw.index for raw in together.maps] == [raw.index for raw in alone.maps]
        for one, other in zip(together.maps, alone.maps, strict=True):
            assert one.layers == other.layers
            close(one.values, other.values)


def test_a_batch_without_questions_gets_logits_only() -> None:
    outcomes = [answer(outcome) for outcome in EXPLAINER.run(BATCH, [None] * 5)]

    assert all(outcome.maps == () for outcome in outcomes)
    close(torch.stack([outcome.logits for outcome in outcomes]), NETWORK(BATCH))


# --- precision and modes ---


def test_a_network_in_float64_is_explained_in_float64() -> None:
    network = frozen(SmallNetwork(two_stages()), seed=3).double()
    picture = BATCH[0].double()

    (raw,) = maps_of(Explainer(network, (12, 12)), picture, [1])

    assert raw.values.dtype == torch.float64
    assert relative_error(raw.values, full_autograd_map(network, raw.layers[0], picture, 1)) < 1e-12


def test_a_network_in_bfloat16_is_explained_in_float32() -> None:
    network = frozen(SmallNetwork(two_stages()), seed=3).bfloat16()
    picture = BATCH[0].bfloat16()

    outcome = answer(Explainer(network, (12, 12)).run(picture[None], [Ask((1,))])[0])

    (raw,) = outcome.maps
    assert (outcome.logits.dtype, raw.values.dtype) == (torch.float32, torch.float32)
    # bfloat16 has 8 significant bits, and every layer rounds
    assert relative_error(raw.values, full_autograd_map(network, raw.layers[0], picture, 1)) < 0.05


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_the_callers_mode_and_trainable_parameters_change_nothing(
    mode: Callable[[], torch.inference_mode], *, trainable: bool
) -> None:
    network = seeded(SmallNetwork(two_stages())).requires_grad_(trainable)
    with mode():
        made_inside = BATCH[:1] * 1.0
        (raw,) = maps_of(Explainer(network, (12, 12)), made_inside[0], [1])

    assert relative_error(raw.values, full_autograd_map(network, raw.layers[0], BATCH[0], 1)) < 1e-5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_map_on_a_gpu_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    network: nn.Module = small_network().to("cuda")

    outcomes = Explainer(network, (12, 12)).run(BATCH.to("cuda"), [Ask((1, 2))] * 5)

    for picture, outcome in zip(BATCH, outcomes, strict=True):
        assert answer(outcome).logits.device.type == "cpu"
        for raw in answer(outcome).maps:
            expected = full_autograd_map(NETWORK, raw.layers[0], picture, raw.index)
            assert relative_error(raw.values, expected) < 1e-4
