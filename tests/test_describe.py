"""What the management API tells of a model."""

import json
from dataclasses import asdict

import pytest

import sending
from archive_dir import NAMES, NUM_CLASSES, PREPROCESSING, Served, serve, settings
from gradcam.methods import METHODS
from gradcam.request.options import OPTIONS
from gradcam.settings import Execution, Limits
from pictures import cat_png
from sending import Request

DESCRIBE = Request({"describe": "True"})
"""As TorchServe asks: an empty row with this header."""


def test_it_tells_classes_layers_methods_preprocessing_and_limits(served: Served) -> None:
    told = served.ask(DESCRIBE).document()
    assert [entry["index"] for entry in told["classes"]] == list(range(NUM_CLASSES))
    assert told["classes"][1] == {"index": 1, "id": "n02", "label": "Crane"}
    assert told["classes"][5] == {"index": 5, "id": None, "label": NAMES["5"]}
    assert told["methods"]["default"] == "gradcam"
    assert told["methods"]["available"] == list(METHODS)
    for row, (name, method) in zip(told["methods"]["table"], METHODS.items(), strict=True):
        assert row["name"] == name
        assert row["paper"] == method.paper
    for name, value in PREPROCESSING.items():
        assert told["preprocessing"][name] == value
    assert told["preprocessing"]["squash"] is False
    assert told["limits"] == asdict(Limits())
    assert told["execution"] == asdict(Execution())
    assert [option["name"] for option in told["options"]] == list(OPTIONS)
    assert told["model"]["name"] == "zoo"


def test_the_layers_that_it_tells_can_be_asked_for(served: Served) -> None:
    layers = served.ask(DESCRIBE).document()["layers"]
    assert layers["default"] == "layer3"
    candidates = {layer["name"]: layer for layer in layers["candidates"]}
    assert {"layer1", "layer2", "layer3"} <= set(candidates)
    for name, layer in candidates.items():
        document = served.ask(sending.form(image=cat_png(), layer=name)).document()
        (entry,) = document["explanations"]
        assert entry["layer"] == name
        heatmap = entry["heatmap"]
        assert (heatmap["height"], heatmap["width"]) == (layer["height"], layer["width"])


def test_the_archive_s_own_layer_and_limits_are_told(served: Served) -> None:
    own = serve(served.folder, settings(layer="layer2", limits={"max_targets": 3}))
    told = own.ask(DESCRIBE).document()
    assert told["layers"]["default"] == "layer2"
    assert told["limits"]["max_targets"] == 3
    (entry,) = own.ask(sending.raw(cat_png())).document()["explanations"]
    assert entry["layer"] == "layer2"


def test_it_may_share_a_batch_with_requests(served: Served) -> None:
    answers = served.batch(sending.raw(cat_png()), DESCRIBE, sending.raw(b"hello"))
    assert answers[0] == served.ask(sending.raw(cat_png()))
    assert answers[1] == served.ask(DESCRIBE)
    assert answers[2].status == 415


@pytest.mark.parametrize("explain", [True, False])
def test_a_client_s_own_describe_header_changes_nothing(served: Served, explain: bool) -> None:
    plain = served.ask(sending.raw(cat_png(), explain))
    assert served.ask(sending.raw(cat_png(), explain, describe="True")) == plain
    assert served.ask(sending.form(explain, {"describe": "True"}, image=cat_png())) == plain


def test_a_description_beyond_the_limit_leaves_the_classes_out(served: Served) -> None:
    told = served.limited(max_answer_bytes=100).ask(DESCRIBE).document()
    assert len(json.dumps(told)) < 10_000
    assert told["classes"] == []
    assert told["classes_left_out"] == 12
