"""The tap by itself, and the networks that trip a careless one."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everybody calls it that

from gradcam import Ask, Explainer, Outcome
from gradcam.survey.tap import input_projections, tap
from hand_networks import (
    Branching,
    Classifier,
    Named,
    Packing,
    Passing,
    Skipping,
    Twice,
    frozen,
    pictures,
    two_stages,
)
from hand_transformers import Encoder
from oracles import full_autograd_map, relative_error


def error_at(network: nn.Module, layer: str, oracle_layer: str | None = None) -> float:
    """The engine's greatest relative error over three pictures with a class each."""
    batch = pictures(3)
    outcomes = Explainer(network, (12, 12)).run(
        batch, [Ask((row,), layers=(layer,)) for row in range(3)]
    )
    errors = []
    for row, (picture, outcome) in enumerate(zip(batch, outcomes, strict=True)):
        assert isinstance(outcome, Outcome)
        expected = full_autograd_map(network, oracle_layer or layer, picture, row)
        errors.append(relative_error(outcome.maps[0].values, expected))
    return max(errors)


# --- the tap ---


def test_a_tap_keeps_a_private_copy_that_starts_the_graph() -> None:
    network = frozen(Classifier(two_stages()))
    with torch.no_grad():
        untouched = network.get_submodule("body.0")(pictures(1))

    with torch.enable_grad(), tap(network, ["body.0"]) as calls:
        logits = network(pictures(1))

    (call,) = calls
    assert call.name == "body.0"
    assert call.output.is_leaf
    assert call.output.equal(untouched)
    assert logits.requires_grad


def test_a_tap_further_down_stays_in_the_graph_of_the_one_above() -> None:
    network = frozen(Classifier(two_stages()))

    with torch.enable_grad(), tap(network, ["body.3", "body.0"]) as calls:
        network(pictures(1))

    assert [(call.name, call.output.is_leaf) for call in calls] == [
        ("body.0", True),
        ("body.3", False),
    ]


def test_every_call_is_recorded_in_order() -> None:
    network = frozen(Classifier(Twice()))

    with tap(network, ["body.relu", "body.conv"]) as calls:
        network(pictures(1))

    assert [call.name for call in calls] == ["body.conv", "body.relu"] * 2


def test_hooks_go_when_the_context_closes_even_if_a_name_does_not_exist() -> None:
    network = frozen(Classifier(two_stages()))

    with pytest.raises(AttributeError), tap(network, ["body.0", "elsewhere"]):
        pytest.fail("the context must not open")

    assert not any(module._forward_hooks for module in network.modules())


@dataclass
class Output(OrderedDict[str, Any]):
    """A mapping that is a dataclass, as those of ``transformers`` are."""

    steps: Tensor
    features: Tensor

    def __post_init__(self) -> None:
        super().__init__(steps=self.steps, features=self.features)


PACKINGS: dict[str, tuple[Callable[[Tensor, Tensor], object], Callable[[Any], Tensor]]] = {
    "tuple": (lambda steps, features: (steps, features), lambda output: output[1]),
    "list": (lambda steps, features: [steps, features], lambda output: output[1]),
    "nested": (lambda steps, features: (steps, [features]), lambda output: output[1][0]),
    "first": (lambda _, features: (features, "text", None), lambda output: output[0]),
    "namedtuple": (Named, lambda output: output.features),
    "dict": (
        lambda steps, features: {"steps": steps, "features": features},
        lambda output: output["features"],
    ),
    "dataclass": (Output, lambda output: output.features),
}


@pytest.mark.parametrize("name", PACKINGS)
def test_a_feature_map_is_found_in_whatever_holds_it(name: str) -> None:
    pack, take = PACKINGS[name]
    network = frozen(Classifier(Packing(pack), after=take))

    assert error_at(network, "body", "body.conv") < 1e-5


@pytest.mark.parametrize("name", PACKINGS)
def test_what_holds_the_feature_map_keeps_its_type_and_the_rest_of_its_content(name: str) -> None:
    module = Packing(PACKINGS[name][0])
    plain = module(pictures(1))

    with tap(nn.ModuleDict({"module": module}), ["module"]):
        tapped = module(pictures(1))

    assert type(tapped) is type(plain)
    assert str(tapped).split("grad_fn")[0][:40] == str(plain)[:40]
    assert len(tapped) == len(plain)


def test_projections_are_frozen_again_and_no_map_is_another_for_it() -> None:
    torch.manual_seed(0)
    network = frozen(Encoder(norm_first=True))
    layers = [module for module in network.modules() if isinstance(module, nn.MultiheadAttention)]
    assert len(input_projections(network.modules())) == len(layers) > 1
    recorded: list[bool] = []
    layers[0].register_forward_hook(
        lambda module, _inputs, _output: recorded.append(module.in_proj_weight.requires_grad)
    )
    explainer = Explainer(network, (12, 12))
    last = explainer.layers.default
    assert last is not None
    before = [weight.requires_grad for weight in network.parameters()]
    recorded.clear()

    (outcome,) = explainer.run(pictures(1), [Ask()])

    assert isinstance(outcome, Outcome)
    assert recorded == [False]  # what comes before the layer is still not recorded
    assert not any(before)
    assert not any(weight.requires_grad for weight in network.parameters())

    def fail() -> None:
        with tap(network, [last], input_projections(layers)):
            network(pictures(1))
            assert layers[-1].in_proj_weight.requires_grad
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not layers[-1].in_proj_weight.requires_grad


def test_whole_numbers_are_not_tapped() -> None:
    module = nn.Identity()

    with tap(nn.ModuleDict({"module": module}), ["module"]) as calls:
        steps = torch.arange(3)
        assert module(steps) is steps

    assert calls == []


# --- traps ---


@pytest.mark.parametrize("layer", ["body.0", "body.1", "body.2", "body.3", "body.4", "body.5"])
@pytest.mark.parametrize("trainable", [False, True])
def test_in_place_operations_around_the_layer_disturb_nothing(
    layer: str, *, trainable: bool
) -> None:
    network = frozen(Classifier(two_stages(inplace=True))).requires_grad_(trainable)

    assert error_at(network, layer) < 1e-5


def test_a_functional_in_place_relu_after_the_layer_disturbs_nothing() -> None:
    body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6))
    network = frozen(Classifier(body, after=lambda x: F.relu(x, inplace=True)))

    assert error_at(network, "body") < 1e-5


@pytest.mark.parametrize("alias", [nn.Identity(), nn.Dropout(), nn.Dropout2d(inplace=True)])
def test_a_layer_that_returns_its_own_input_which_is_overwritten_later(alias: nn.Module) -> None:
    network = frozen(Classifier(Passing(alias)))

    assert error_at(network, "body.alias") < 1e-5


def test_of_a_layer_that_is_called_twice_the_last_call_counts() -> None:
    network = frozen(Classifier(Twice()))

    assert error_at(network, "body.conv") < 1e-5
    assert error_at(network, "body.relu") < 1e-5


@pytest.mark.parametrize("layer", ["body.stem", "body.late"])
def test_a_way_around_the_layer(layer: str) -> None:
    assert error_at(frozen(Classifier(Skipping())), layer) < 1e-5


@pytest.mark.parametrize("layer", ["body.stem", "body.left", "body.right", "body"])
def test_branches_side_by_side(layer: str) -> None:
    assert error_at(frozen(Classifier(Branching())), layer) < 1e-5


def test_layers_tapped_together_are_each_exact() -> None:
    network = frozen(Classifier(nn.Sequential(OrderedDict(first=Branching(), last=Skipping()))))
    network.get_submodule("body.last").stem = nn.Conv2d(6, 6, 3)
    frozen(network)
    layers = ["body.first.left", "body.last.late", "body.first.right", "body.last", "body.first"]
    batch = pictures(5)

    asks = [Ask((row,), layers=(layer,)) for row, layer in enumerate(layers)]
    outcomes = Explainer(network, (12, 12)).run(batch, asks)

    for row, (layer, outcome) in enumerate(zip(layers, outcomes, strict=True)):
        assert isinstance(outcome, Outcome)
        expected = full_autograd_map(network, layer, batch[row], row)
        assert relative_error(outcome.maps[0].values, expected) < 1e-5


def test_a_backbone_under_its_own_no_grad_can_be_explained_at_its_end() -> None:
    class Sealed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stages = two_stages()

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                features: Tensor = self.stages(x)
            return features

    sealed, plain = frozen(Classifier(Sealed())), frozen(Classifier(two_stages()))

    (outcome,) = Explainer(sealed, (12, 12)).run(pictures(1), [Ask((2,), layers=("body.stages",))])

    assert isinstance(outcome, Outcome)
    expected = full_autograd_map(plain, "body", pictures(1)[0], 2)
    assert relative_error(outcome.maps[0].values, expected) < 1e-5
