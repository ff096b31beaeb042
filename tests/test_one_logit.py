"""A network of one logit, from the settings to the answers."""

import json
from typing import Any

import pytest
import torch
from torch import nn

from gradcam.answer.document import ModelCard
from gradcam.errors import SettingsError
from gradcam.labels import parse_class_names
from gradcam.service import Service, make_explainer
from gradcam.settings import Preprocessing, Settings
from hand_networks import Classifier, frozen, two_stages
from pictures import cat_png

PREPROCESSING = Preprocessing(resize=12, crop_size=(12, 12), squash=True)


def served(activation: str, logits: int = 1, num_classes: int = 1) -> Service:
    network = frozen(Classifier(two_stages()))
    network.fc = nn.Linear(6, logits).eval().requires_grad_(requires_grad=False)
    settings = Settings("small", num_classes, activation=activation, preprocessing=PREPROCESSING)
    classes = parse_class_names({}, settings.class_count)
    card = ModelCard("small", "1.0", "small", "0" * 64)
    return Service(make_explainer(network, settings), settings, classes, card)


def ask(service: Service, *, explain: bool, **headers: str) -> Any:
    asked = {"explain": str(explain), **{f"X-Explain-{key}": headers[key] for key in headers}}
    (response,) = service.answer([({"body": bytearray(cat_png())}, asked)])
    assert response.status == 200, response.body
    return json.loads(response.body)


def test_under_a_sigmoid_the_two_probabilities_are_one_together() -> None:
    told = ask(served("sigmoid"), explain=False)

    assert set(told) == {"0", "1"}
    assert sum(told.values()) == pytest.approx(1)


def test_without_an_activation_the_scores_are_answered() -> None:
    service = served("none")

    told = ask(service, explain=False)
    document = ask(service, explain=True, Target="0,1", Score="true")

    assert told["0"] == -told["1"]
    assert [entry["probability"] for entry in document["predictions"]] == [None, None]
    for entry in document["explanations"]:
        assert entry["faithfulness"]["of"] == "score"
        assert entry["faithfulness"]["average_drop"] is None
    negative, positive = (entry["heatmap"] for entry in document["explanations"])
    # what speaks for one side speaks against the other
    shown = torch.tensor(negative["values"]) * torch.tensor(positive["values"])
    assert float(shown.abs().max()) == 0


def test_another_number_of_logits_than_the_settings_have_stops_the_load() -> None:
    with pytest.raises(SettingsError, match=r"logits of 3 classes, and the settings have 2"):
        served("sigmoid", logits=3)
    with pytest.raises(SettingsError, match=r"logits of 2 classes, and the settings have 5"):
        served("softmax", num_classes=5)
