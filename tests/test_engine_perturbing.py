"""The methods that perturb, run through the engine: against loops over channels."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everybody calls it that

from gradcam import Ask, Explainer, Outcome, RawMap, UnusableLayer
from gradcam.engine.targets import Difference
from hand_networks import Around, Classifier, frozen, pictures, small_network, two_stages
from oracles import relative_error

NETWORK = small_network()
PICTURE = pictures(1, seed=4)[0]
CHANNELS = 6


def maps_of(explainer: Explainer, ask: Ask) -> tuple[RawMap, ...]:
    (outcome,) = explainer.run(PICTURE[None], [ask])
    assert isinstance(outcome, Outcome), outcome
    return outcome.maps


def activation_of(network: nn.Module, layer: str) -> Tensor:
    kept: list[Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: kept.append(output.clone())
    )
    with torch.no_grad():
        network(PICTURE[None])
    handle.remove()
    return kept[0][0]


def without_channel(network: nn.Module, layer: str, channel: int) -> Tensor:
    def silence(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        changed = output.clone()
        changed[:, channel] = 0
        return changed

    handle = network.get_submodule(layer).register_forward_hook(silence)
    with torch.no_grad():
        logits: Tensor = network(PICTURE[None])[0]
    handle.remove()
    return logits


@pytest.mark.parametrize("rows", [1, 4, 16])
def test_ablationcam_silences_one_channel_at_a_time(rows: int) -> None:
    explainer = Explainer(NETWORK, (12, 12), rows=rows)

    class_map, difference = maps_of(explainer, Ask((2, Difference(2, 4)), method="ablationcam"))

    activation = activation_of(NETWORK, "body")
    with torch.no_grad():
        whole = NETWORK(PICTURE[None])[0]
    ablated = torch.stack([without_channel(NETWORK, "body", k) for k in range(CHANNELS)])
    for found, goal in ((class_map, whole * 0), (difference, whole * 0)):
        goal[found.index] = 1
        if found.versus is not None:
            goal[found.versus] = -1
        score = goal @ whole
        weights = (score - ablated @ goal) / score.abs()  # the sign of the logit is left out
        expected = torch.einsum("k,kij->ij", weights, activation)
        assert relative_error(found.values, expected) < 1e-4


def test_ablation_leaves_a_path_around_the_layer_as_it_was() -> None:
    network = frozen(Classifier(Around()))

    (found,) = maps_of(
        Explainer(network, (12, 12)), Ask((1,), method="ablationcam", layers=("body.layer",))
    )

    with torch.no_grad():
        score = network(PICTURE[None])[0, 1]
    ablated = torch.stack([without_channel(network, "body.layer", k)[1] for k in range(CHANNELS)])
    expected = torch.einsum(
        "k,kij->ij", (score - ablated) / score.abs(), activation_of(network, "body.layer")
    )
    assert relative_error(found.values, expected) < 1e-4


class OneRow(nn.Module):
    """Holds on to the number of rows that it began with."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = two_stages()

    def forward(self, x: Tensor) -> Tensor:
        rows = len(x)
        out: Tensor = self.layer(x).reshape(rows, 6, 5, 5)
        return out


def test_a_head_that_cannot_be_run_on_its_own_is_refused_and_scored_in_the_picture() -> None:
    explainer = Explainer(frozen(Classifier(OneRow())), (12, 12))
    ask = Ask((1,), method="ablationcam", layers=("body.layer",))

    (refused,) = explainer.run(PICTURE[None], [ask])
    (scored,) = maps_of(explainer, Ask((1,), layers=("body.layer",), score=True))

    assert isinstance(refused, UnusableLayer)
    assert "cannot be run on its own" in refused.message
    assert "scorecam" in refused.message
    assert scored.faithfulness is not None
    assert scored.faithfulness.space == "input"


@pytest.mark.parametrize("rows", [1, 4, 16])
def test_scorecam_shows_the_picture_through_one_channel_at_a_time(rows: int) -> None:
    explainer = Explainer(NETWORK, (12, 12), rows=rows)

    maps = maps_of(explainer, Ask((0, 3), method="scorecam"))

    activation = activation_of(NETWORK, "body")
    scores = []
    with torch.no_grad():
        baseline = NETWORK(torch.zeros(1, 3, 12, 12))[0]
        for channel in activation:
            mask = F.interpolate(channel[None, None], (12, 12), mode="bilinear")
            low, high = mask.min(), mask.max()
            mask = (mask - low) / (high - low) if high > low else mask * 0
            scores.append(NETWORK(PICTURE * mask)[0] - baseline)
    for found in maps:
        weights = torch.stack(scores)[:, found.index].softmax(0)
        expected = torch.einsum("k,kij->ij", weights, activation)
        assert relative_error(found.values, expected) < 1e-4
