"""Which call of a layer, and logits in whatever a network gives."""

import pytest
from torch import Tensor, nn

from engine_asking import BATCH, NETWORK, maps_of
from gradcam import Ask, Explainer, UnusableLayer
from hand_networks import (
    Classifier,
    frozen,
    two_stages,
)
from oracles import full_autograd_map, relative_error


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
