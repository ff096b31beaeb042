"""Faithfulness: against masking by hand."""

import itertools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from engine_asking import BATCH, EXPLAINER, maps_of
from gradcam import Ask, Explainer
from gradcam.engine.targets import Difference
from hand_networks import (
    Around,
    Classifier,
    MeanLinear,
    frozen,
    pictures,
)


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
