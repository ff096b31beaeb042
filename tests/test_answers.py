"""Answers in JSON: what they hold, and that the numbers are right."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import sending
from archive_dir import MODEL, NUM_CLASSES, Served, serve, settings, write_archive
from pictures import cat_png, small_cat
from reference import refer
from sending import Answer

KEYS = [
    *("tabby", "Crane (n02)", "Crane (n03)", "maillot (3)", "maillot (4)"),
    *("Schäferhund, deutscher", "seven", "7", "3", "top3", "n01", "11"),
]
"""How ``/predictions`` calls the twelve classes: what repeats has its id or index behind it."""


@pytest.fixture(scope="module")
def explained(served: Served) -> Any:
    return served.ask(sending.form(image=cat_png(), target="top4", top_k=12)).document()


def is_compact(answer: Answer) -> bool:
    text = json.dumps(answer.json(), separators=(",", ":"), ensure_ascii=False)
    return answer.body == text.encode()


def test_predictions_are_label_and_probability_best_first(served: Served) -> None:
    answer = served.ask(sending.form(False, image=cat_png(), top_k=NUM_CLASSES))
    probabilities = refer(served.folder, small_cat()).probabilities()
    order = sorted(range(NUM_CLASSES), key=lambda index: -probabilities[index])
    document = answer.document()
    assert list(document) == [KEYS[index] for index in order]
    assert list(document.values()) == pytest.approx([probabilities[i] for i in order], rel=1e-4)
    assert sum(document.values()) == pytest.approx(1, abs=1e-6)
    assert is_compact(answer)


def test_five_predictions_unless_asked_for_more_or_fewer(served: Served) -> None:
    full = list(served.ask(sending.form(False, image=cat_png(), top_k=12)).document().items())
    for asked, listed in ((None, 5), (1, 1), (11, 11), (13, 12), (10**9, 12)):
        fields: dict[str, Any] = {"image": cat_png()}
        fields |= {} if asked is None else {"top_k": asked}
        document = served.ask(sending.form(False, **fields)).document()
        assert list(document.items()) == full[:listed]


def test_fewer_than_five_classes_and_no_names_work(tmp_path: Path) -> None:
    served = serve(write_archive(tmp_path, 3, names=None), settings(num_classes=3))
    document = served.ask(sending.raw(cat_png(), False)).document()
    assert set(document) == {"0", "1", "2"}
    assert sum(document.values()) == pytest.approx(1, abs=1e-6)
    explained = served.ask(sending.raw(cat_png(), X_Explain_Target="top16")).document()
    assert sorted(entry["index"] for entry in explained["explanations"]) == [0, 1, 2]


def test_full_predictions_are_the_explanation_without_its_explanations(
    served: Served, explained: Any
) -> None:
    full = served.ask(sending.form(False, image=cat_png(), detail="full", top_k=12)).document()
    assert list(full) == ["model", "image", "predictions"]
    assert full["model"] == explained["model"]
    assert full["image"] == {"width": 90, "height": 60}
    assert full["predictions"] == [
        {
            **entry,
            "logit": pytest.approx(entry["logit"], rel=1e-5),
            "probability": pytest.approx(entry["probability"], rel=1e-5),
        }
        for entry in explained["predictions"]
    ]


def test_the_explanation_has_exactly_the_documented_form(explained: Any) -> None:
    assert list(explained) == ["model", "image", "predictions", "explanations"]
    model = explained["model"]
    assert set(model) == {"name", "version", "architecture", "weights_sha256", "handler_version"}
    assert (model["name"], model["version"]) == ("zoo", MODEL["modelVersion"])
    assert model["architecture"] == "demo_net"
    assert re.fullmatch("[0-9a-f]{64}", model["weights_sha256"])
    assert explained["image"] == {"width": 90, "height": 60}
    for entry in explained["predictions"]:
        assert list(entry) == ["index", "id", "label", "logit", "probability"]
    by_index = {entry["index"]: entry for entry in explained["predictions"]}
    assert (by_index[1]["id"], by_index[1]["label"]) == ("n02", "Crane")
    assert (by_index[5]["id"], by_index[5]["label"]) == (None, "Schäferhund, deutscher")
    assert len(explained["explanations"]) == 4
    for entry in explained["explanations"]:
        named = {key: entry[key] for key in ("index", "id", "label", "logit", "probability")}
        assert named == by_index[entry["index"]]
        assert set(entry) - set(named) == {"method", "layer", "evidence", "heatmap"}
        assert (entry["method"], entry["layer"]) == ("gradcam", "layer3")
        assert set(entry["heatmap"]) == {"height", "width", "values", "max", "region"}


def test_predictions_carry_the_true_logits_and_probabilities(
    served: Served, explained: Any
) -> None:
    truth = refer(served.folder, small_cat())
    logits, probabilities = truth.logits(), truth.probabilities()
    entries = explained["predictions"]
    assert [entry["index"] for entry in entries] == logits.argsort(descending=True).tolist()
    for entry in entries:
        assert entry["logit"] == pytest.approx(float(logits[entry["index"]]), rel=1e-4, abs=1e-4)
        assert entry["probability"] == pytest.approx(probabilities[entry["index"]], rel=1e-4)


def test_probabilities_are_the_softmax_of_the_logits_in_the_same_answer(explained: Any) -> None:
    logits = torch.tensor([entry["logit"] for entry in explained["predictions"]]).double()
    said = torch.tensor([entry["probability"] for entry in explained["predictions"]]).double()
    torch.testing.assert_close(logits.softmax(0), said, rtol=2e-6, atol=0)


def test_heatmaps_are_the_maps_of_autograd_divided_by_their_maximum(
    served: Served, explained: Any
) -> None:
    truth = refer(served.folder, small_cat())
    greatest = []
    for entry in explained["explanations"]:
        expected = truth.map(entry["index"])
        heatmap = entry["heatmap"]
        values = torch.tensor(heatmap["values"], dtype=torch.float64)
        assert (heatmap["height"], heatmap["width"]) == tuple(values.shape) == (12, 12)
        assert 0 <= float(values.min()) <= float(values.max()) == 1
        assert heatmap["max"] == pytest.approx(float(expected.max()), rel=1e-4)
        torch.testing.assert_close(values * heatmap["max"], expected, rtol=0, atol=1e-4)
        greatest.append(heatmap["max"])
    assert len(set(greatest)) == 4


def test_numbers_have_six_significant_digits_or_more(served: Served) -> None:
    body = served.ask(sending.raw(cat_png(), X_Explain_Target="top2")).body.decode()
    written = re.findall(r"(?<=[\[,])0\.0*([1-9]\d*)(?=[,\]])", body)
    assert len(written) > 50
    # one in ten numbers ends in a zero that is not written, one in a hundred in two
    assert sum(len(digits) >= 6 for digits in written) > 0.95 * len(written)


def test_the_region_is_the_centre_crop_in_the_picture_s_pixels(explained: Any) -> None:
    # 90×60 is resized to 84×56, of which 48×48 from (18, 4) is seen
    expected = [18 * 90 / 84, 4 * 60 / 56, 48 * 90 / 84, 48 * 60 / 56]
    assert explained["explanations"][0]["heatmap"]["region"] == pytest.approx(expected, abs=1e-3)


def test_targets_are_answered_in_the_order_asked_for_and_once(served: Served) -> None:
    best = served.ask(sending.form(image=cat_png(), target="top2")).document()["explanations"]
    first, second = (entry["index"] for entry in best)
    asked = f"9,tabby,top2,id:n01,index:{second}"
    document = served.ask(sending.form(image=cat_png(), target=asked)).document()
    indices = [entry["index"] for entry in document["explanations"]]
    assert indices == list(dict.fromkeys([9, 0, first, second]))


def test_the_best_class_is_explained_unless_asked_otherwise(served: Served) -> None:
    document = served.ask(sending.raw(cat_png())).document()
    (entry,) = document["explanations"]
    assert entry["index"] == document["predictions"][0]["index"]


def test_another_layer_is_explained_at_its_own_resolution(served: Served) -> None:
    (entry,) = served.ask(sending.form(image=cat_png(), layer="layer1")).document()["explanations"]
    assert entry["layer"] == "layer1"
    assert (entry["heatmap"]["height"], entry["heatmap"]["width"]) == (24, 24)


def test_no_heatmap_when_none_is_asked_for(served: Served) -> None:
    (entry,) = served.ask(sending.form(image=cat_png(), heatmap="none")).document()["explanations"]
    named = {"index", "id", "label", "logit", "probability", "method", "layer"}
    assert set(entry) == named | {"evidence"}


def test_explanation_options_on_predictions_change_nothing_but_are_checked(
    served: Served,
) -> None:
    plain = served.ask(sending.form(False, image=cat_png()))
    unused: dict[str, Any] = {
        "target": "tabby",
        "heatmap": "png",
        "overlay": "png",
        "layer": "layer1",
        "alpha": 1,
    }
    assert served.ask(sending.form(False, image=cat_png(), **unused)) == plain
    wrong = {"target": "crane", "layer": "fc", "alpha": 2, "overlay": "gif", "max_side": "x"}
    for name, value in wrong.items():
        fields: dict[str, Any] = {name: value}
        refused = served.ask(sending.form(False, image=cat_png(), **fields))
        assert name in refused.refused(422)


def test_explanations_are_compact_utf8_json(served: Served) -> None:
    answer = served.ask(sending.form(image=cat_png(), target="5"))
    assert is_compact(answer)
    assert "Schäferhund" in answer.body.decode()


def test_a_difference_of_two_classes_is_explained(served: Served) -> None:
    request = sending.form(image=cat_png(), target="tabby~seven,5", top_k=NUM_CLASSES)
    document = served.ask(request).document()
    difference, plain = document["explanations"]
    assert (difference["index"], difference["versus"]["index"]) == (0, 6)
    assert "versus" not in plain
    logits = {entry["index"]: entry["logit"] for entry in document["predictions"]}
    assert difference["difference"] == pytest.approx(logits[0] - logits[6], rel=1e-4)
    heatmap = difference["heatmap"]
    expected = refer(served.folder, small_cat()).map(0, versus=6)
    values = torch.tensor(heatmap["values"], dtype=torch.float64) * heatmap["max"]
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-4)


def test_the_peak_and_the_box_lie_in_the_region_of_the_map(served: Served) -> None:
    (entry,) = served.ask(sending.form(image=cat_png(), heatmap="grid")).document()["explanations"]
    left, top, width, height = entry["heatmap"]["region"]
    box, (x, y) = entry["evidence"]["box"], entry["evidence"]["peak"]
    assert left <= box[0] < box[0] + box[2] <= left + width + 0.002
    assert top <= box[1] < box[1] + box[3] <= top + height + 0.002
    values = torch.tensor(entry["heatmap"]["values"])
    row, column = divmod(int(values.argmax()), 12)
    expected = (left + (column + 0.5) * width / 12, top + (row + 0.5) * height / 12)
    assert (x, y) == pytest.approx(expected, abs=0.002)
