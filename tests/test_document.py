"""The entries of an answer, from maps and logits made by hand."""

import json
import math
from typing import Any

import pytest
import torch

from archive_dir import NAMES, NUM_CLASSES, vocabulary
from gradcam import Faithfulness, RawMap
from gradcam.answer import document
from gradcam.answer.document import Scores
from gradcam.labels import parse_class_names
from gradcam.request.options import Options, parse_options

CLASSES = parse_class_names(NAMES, NUM_CLASSES)
LOGITS = torch.linspace(-2, 3.5, NUM_CLASSES)
VALUES = torch.tensor([[1.0, -2.0], [4.0, 0.0]])


def options(**sent: object) -> Options:
    return parse_options(sent, vocabulary())


def raw(layers: tuple[str, ...] = ("layer3",), **more: Any) -> RawMap:
    return RawMap(5, layers, "gradcam", VALUES, **more)


def test_probabilities_of_one_class_among_all() -> None:
    exact = [math.exp(logit) for logit in LOGITS.tolist()]
    found = Scores.of(LOGITS).probabilities
    assert found is not None
    assert found.tolist() == pytest.approx([value / sum(exact) for value in exact], rel=1e-12)


def test_probabilities_of_each_class_on_its_own() -> None:
    found = Scores.of(LOGITS, "sigmoid").probabilities
    assert found is not None
    exact = [1 / (1 + math.exp(-logit)) for logit in LOGITS.tolist()]
    assert found.tolist() == pytest.approx(exact, rel=1e-12)
    # the two sides of one logit
    sides = Scores.of(torch.tensor([-1.5, 1.5]), "sigmoid").probabilities
    assert sides is not None
    assert sides.sum() == pytest.approx(1)


def test_a_model_without_probabilities_has_none() -> None:
    assert document.class_entry(5, Scores.of(LOGITS, "none"), CLASSES) == {
        "index": 5,
        "id": None,
        "label": "Schäferhund, deutscher",
        "logit": pytest.approx(0.5),
        "probability": None,
    }


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("none", 3.5), ("sigmoid", 1 / (1 + math.exp(-3.5)))],
)
def test_plain_predictions_without_softmax(activation: str, expected: float) -> None:
    found = document.label_probabilities(Scores.of(LOGITS, activation), 2, CLASSES)
    assert list(found) == ["11", "n01"]
    assert found["11"] == pytest.approx(expected)


def test_a_difference_names_the_other_class_and_keeps_its_own_logit() -> None:
    scores = Scores.of(LOGITS)
    entry = document.goal_entry(raw(versus=0), scores, CLASSES)
    assert entry == {
        **document.class_entry(5, scores, CLASSES),
        "versus": document.class_entry(0, scores, CLASSES),
        "difference": pytest.approx(2.5),
    }
    assert entry["versus"]["id"] == "n01"
    assert list(document.goal_entry(raw(), scores, CLASSES)) == [
        *("index", "id", "label", "logit", "probability")
    ]


def test_what_is_ordinary_is_left_out() -> None:
    assert document.asked_entry(raw(), options()) == {"method": "gradcam", "layer": "layer3"}


def test_several_layers_are_a_list_with_their_fusion() -> None:
    entry = document.asked_entry(raw(layers=("layer3", "layer1")), options(fuse="max"))
    assert entry == {"method": "gradcam", "layer": ["layer3", "layer1"], "fuse": "max"}


def test_smoothing_and_flipping_are_told() -> None:
    entry = document.asked_entry(raw(), options(smooth=8, noise=0.2, seed=3, flip=True))
    assert entry["smooth"] == {"copies": 8, "noise": 0.2, "seed": 3}
    assert entry["flip"] is True


def test_a_bypass_is_told() -> None:
    assert document.asked_entry(raw(bypassed=True), options())["bypassed"] is True


def test_measured_faithfulness_is_told() -> None:
    measured = Faithfulness(1 / 3, 0.75, 0.0, True, "probability", "layer", 10)
    entry = document.asked_entry(raw(faithfulness=measured), options(score=True))
    assert entry["faithfulness"] == {
        "deletion": 0.3333333,
        "insertion": 0.75,
        "average_drop": 0.0,
        "increase": True,
        "of": "probability",
        "space": "layer",
        "steps": 10,
    }
    assert json.loads(document.to_json(entry))["faithfulness"]["increase"] is True


def test_a_grid_is_on_the_scale_that_it_is_given() -> None:
    assert document.grid_entry(document.grid_of(raw())) == [[0.25, 0], [1, 0]]
    assert document.grid_entry(document.grid_of(raw(), 16.0)) == [[0.0625, 0], [0.25, 0]]


def test_a_call_that_is_not_the_last_is_told() -> None:
    assert "call" not in document.asked_entry(raw(), options())
    assert document.asked_entry(raw(), options(call=0))["call"] == 0


def test_of_several_layers_each_ones_own_map_is_told() -> None:
    fused = raw(layers=("a", "b"), parts=(torch.tensor([[3.0, -1.0]]), torch.tensor([[-2.0]])))

    assert document.parts_entry(fused) == [
        {"layer": "a", "max": 3, "positive_share": 0.75},
        {"layer": "b", "max": 0, "positive_share": 0},
    ]
