"""What the engine leaves as it was, and what it refuses and how it says so."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradcam import Ask, EngineFault, Explainer, Outcome, UnusableLayer
from hand_networks import Alone, Classifier, Fragile, Sided, frozen, pictures, seeded, two_stages


def make_trainable() -> nn.Module:
    return seeded(Classifier(two_stages()))


def hooks_of(network: nn.Module) -> list[int]:
    return [
        len(hooks)
        for module in network.modules()
        for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    ]


class Failing(nn.Module):
    """Fails for batches of two, after the layers before it have run."""

    def forward(self, x: Tensor) -> Tensor:
        if len(x) == 2:
            raise ZeroDivisionError("inside forward")
        return x


# --- state ---


def test_gradients_modes_and_flags_stay_as_they_were() -> None:
    network = make_trainable()
    network.get_parameter("body.0.weight").requires_grad_(False)
    weight = network.get_parameter("fc.weight")
    weight.grad = torch.full_like(weight, 7.0)
    flags = [parameter.requires_grad for parameter in network.parameters()]
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    batch = pictures(2)

    Explainer(network, (12, 12)).run(batch, [Ask((0, 1)), Ask((2,), layers=("body.2",))])

    assert weight.grad.eq(7).all()
    others = [p.grad for name, p in network.named_parameters() if name != "fc.weight"]
    assert others == [None] * len(others)
    assert [parameter.requires_grad for parameter in network.parameters()] == flags
    assert not any(module.training for module in network.modules())
    for name, tensor in network.state_dict().items():
        assert tensor.equal(state[name]), name
    assert batch.equal(pictures(2))
    assert not batch.requires_grad


def test_hooks_stay_as_they_were_and_those_of_the_caller_see_every_pass() -> None:
    network = make_trainable()
    seen: list[Any] = []
    network.get_submodule("body").register_forward_hook(lambda *_: seen.append(None))
    before = hooks_of(network)
    explainer = Explainer(network, (12, 12))
    surveyed = len(seen)

    explainer.run(pictures(1), [Ask()])

    assert hooks_of(network) == before
    assert (surveyed, len(seen)) == (1, 2)


def test_hooks_are_gone_after_an_exception_inside_forward() -> None:
    network = frozen(Classifier(nn.Sequential(two_stages(), Failing())))
    explainer = Explainer(network, (12, 12))

    with pytest.raises(ZeroDivisionError, match="inside forward"):
        explainer.run(pictures(2), [Ask(), Ask(layers=("body.0.2",))])

    assert not any(hooks_of(network))
    assert isinstance(explainer.run(pictures(1), [Ask()])[0], Outcome)


def test_the_same_question_twice_gets_the_same_answer_to_the_bit() -> None:
    explainer = Explainer(make_trainable(), (12, 12))
    asks = [Ask((0, 1)), Ask((2,), layers=("body.2",)), None]

    for one, other in zip(*(explainer.run(pictures(3), asks) for _ in range(2)), strict=True):
        assert isinstance(one, Outcome)
        assert isinstance(other, Outcome)
        assert one.logits.equal(other.logits)
        assert len(one.maps) == len(other.maps)
        for first, second in zip(one.maps, other.maps, strict=True):
            assert first.values.equal(second.values)


# --- refusals ---


def test_training_mode_is_refused_and_named() -> None:
    network = make_trainable()
    explainer = Explainer(network, (12, 12))
    network.get_submodule("body.1").train()

    with pytest.raises(EngineFault, match=r"training mode \(body\.1\).*\.eval\(\)"):
        explainer.run(pictures(1), [Ask()])
    with pytest.raises(EngineFault, match="training mode"):
        explainer.run(pictures(1), [None])
    with pytest.raises(EngineFault, match="training mode"):
        Explainer(network, (12, 12))


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ("body.side", "body.side' has no influence on the logits.*nearest usable layer is body"),
        ("body.never", "body.never' is never called.*nearest usable layer is body"),
        ("fc", r"fc' gives a tensor of shape \[1, 5\].*nearest usable layer is body"),
        ("body.convv", "'body.convv' does not exist; the closest are body.conv"),
        ("nothing-alike", "'nothing-alike' does not exist; the default is body"),
        ("", "'' does not exist; the default is body"),
    ],
)
def test_a_layer_that_gives_no_map_is_refused_with_the_nearest_that_does(
    layer: str, says: str
) -> None:
    explainer = Explainer(frozen(Classifier(Sided())), (12, 12))

    with pytest.raises(UnusableLayer, match=says) as caught:
        explainer.run(pictures(2), [Ask(), Ask(layers=(layer,))])

    assert caught.value.status == 422


def test_a_map_of_one_cell_is_refused_with_the_nearest_layer_that_has_more() -> None:
    body = nn.Sequential(two_stages(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 6, 1))
    explainer = Explainer(frozen(Classifier(body)), (12, 12))

    with pytest.raises(UnusableLayer, match=r"'body.1' has a 1×1 output.*layer is body\.0\.5"):
        explainer.run(pictures(1), [Ask(layers=("body.1",))])


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ("body.called", "'body.called' was not called for this input; the nearest usable layer is"),
        ("body.used", "'body.used' has no influence.*unused.*the nearest usable layer is"),
    ],
)
def test_a_layer_that_only_some_inputs_reach_is_refused_for_the_others(
    layer: str, says: str
) -> None:
    explainer = Explainer(frozen(Classifier(Alone())), (12, 12))

    assert isinstance(explainer.run(pictures(1), [Ask(layers=(layer,))])[0], Outcome)
    with pytest.raises(UnusableLayer, match=says):
        explainer.run(pictures(2), [Ask(layers=(layer,)), None])


def test_an_unknown_method_and_a_question_too_few_are_refused() -> None:
    explainer = Explainer(make_trainable(), (12, 12))

    with pytest.raises(ValueError, match="'gradcat' does not exist; there are gradcam"):
        explainer.run(pictures(1), [Ask(method="gradcat")])
    with pytest.raises(ValueError, match="1 asks for 2 pictures"):
        explainer.run(pictures(2), [Ask()])


def test_a_network_that_gives_no_logits_is_refused() -> None:
    with pytest.raises(EngineFault, match=r"\[1, 6, 5, 5\], not logits of shape \[N, C\]"):
        Explainer(frozen(two_stages()), (12, 12)).run(pictures(1), [None])


# --- numbers that are not finite ---


def reds(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).clone()


def test_a_gradient_that_is_not_finite_strikes_only_its_own_picture() -> None:
    explainer = Explainer(Fragile(lambda mean: mean.abs().sqrt()), (2, 2))

    struck, sound, unasked = explainer.run(reds(0, 4, 0), [Ask((0,)), Ask((1,)), None])

    assert isinstance(struck, EngineFault)
    assert "gradient of class 0 at layer 'features' is not finite" in struck.message
    # sqrt(4) has the slope 1/4, class 1 is twice that, and each of four cells has a quarter of it
    assert isinstance(sound, Outcome)
    assert sound.maps[0].values.tolist() == [[4 * 2 / 4 / 4] * 2] * 2
    # nobody asked for the third picture's gradient, and its logits are sound
    assert isinstance(unasked, Outcome)
    assert unasked.logits.tolist() == [0, 0]


@pytest.mark.parametrize("asked", [True, False])
def test_logits_that_are_not_finite_strike_only_their_own_picture(*, asked: bool) -> None:
    explainer = Explainer(Fragile(torch.log), (2, 2))

    outcomes = explainer.run(reds(-1, 1, 0), [Ask((0,)) if asked else None] * 3)

    for struck in (outcomes[0], outcomes[2]):  # not a number, and infinite
        assert isinstance(struck, EngineFault)
        assert "output for this picture is not finite" in struck.message
    assert isinstance(outcomes[1], Outcome)
    assert outcomes[1].logits.tolist() == [0, 0]
    # the slope of log at 1 is 1
    assert [raw.values.tolist() for raw in outcomes[1].maps] == [[[1 / 4] * 2] * 2] * asked
