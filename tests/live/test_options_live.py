"""Options, picture answers and the description, through the live server."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from gradcam.methods import METHODS
from gradcam.request.options import OPTIONS
from live.archives import ZOO_NAMES
from live.client import Client
from live.comparing import differences
from pictures import cat, encode, pixels_of
from sending import b64

pytestmark = pytest.mark.live

PICTURE = encode(cat())
EXPLAIN = "explanations/zoo"


def test_options_in_headers_take_any_letter_case_and_hyphens(client: Client) -> None:
    plain = client.put(EXPLAIN, PICTURE, {"X-Explain-Top-K": "2", "X-Explain-Target": "3"})
    assert len(plain.document()["predictions"]) == 2
    for headers in (
        {"x-explain-top_k": "2", "x-explain-target": "3"},
        {"X-EXPLAIN-TOP_K": "2", "x-ExPlAiN-tArGeT": "3"},
    ):
        assert client.put(EXPLAIN, PICTURE, headers).body == plain.body


@pytest.mark.parametrize(
    "label", ["Schäferhund", "schäferhund", "SCHÄFERHUND", "label:Schäferhund"]
)
def test_a_label_beyond_ascii_goes_into_a_header_as_utf_8(client: Client, label: str) -> None:
    answer = client.put(EXPLAIN, PICTURE, {"X-Explain-Target": label.encode()}).document()
    assert [entry["label"] for entry in answer["explanations"]] == ["Schäferhund"]


def test_a_label_beyond_ascii_goes_into_a_form_and_into_json(client: Client) -> None:
    form = client.form(
        EXPLAIN,
        [("target", (None, "schäferhund".encode(), "")), ("image", ("a", PICTURE, "image/png"))],
    )
    body = client.json(EXPLAIN, {"image": b64(PICTURE), "target": "schäferhund"})
    for answer in (form, body):
        assert answer.document()["explanations"][0]["index"] == 2


def test_a_label_with_a_comma_goes_into_a_list(client: Client) -> None:
    header = client.put(EXPLAIN, PICTURE, {"X-Explain-Target": '["drake, male", 0]'})
    body = client.json(EXPLAIN, {"image": b64(PICTURE), "target": ["Drake, Male", 0]})
    assert [entry["index"] for entry in header.document()["explanations"]] == [3, 0]
    assert differences(header.document(), body.document()) == []


def test_a_bodys_option_beats_a_headers(client: Client) -> None:
    document = {"image": b64(PICTURE), "target": 3}
    answer = client.json(EXPLAIN, document, {"X-Explain-Target": "0", "X-Explain-Top-K": "1"})
    assert [entry["index"] for entry in answer.document()["explanations"]] == [3]
    assert len(answer.document()["predictions"]) == 1


def test_accept_png_gives_the_photographs_size(client: Client) -> None:
    answer = client.put(EXPLAIN, PICTURE, {"Accept": "image/png"})
    assert (answer.status, answer.content_type) == (200, "image/png")
    overlay = pixels_of(answer.body)
    original = np.asarray(cat())
    assert overlay.shape == original.shape
    region = client.put(EXPLAIN, PICTURE).document()["explanations"][0]["heatmap"]["region"]
    left, top, width, height = region
    inside = np.zeros(original.shape[:2], bool)
    inside[round(top) : round(top + height), round(left) : round(left + width)] = True
    changed = (overlay != original).any(axis=2)
    assert not changed[~inside].any()
    assert changed[inside].mean() > 0.9


def test_several_targets_are_panels_in_order(client: Client) -> None:
    panels = []
    for target in ("2", "0"):
        headers = {"Accept": "image/png", "X-Explain-Target": target}
        panels.append(pixels_of(client.put(EXPLAIN, PICTURE, headers).body))
    assert (panels[0] != panels[1]).any()
    headers = {"Accept": "image/png", "X-Explain-Target": "2,0"}
    both = pixels_of(client.put(EXPLAIN, PICTURE, headers).body)
    assert np.array_equal(both, np.concatenate(panels, axis=1))


def test_overlay_colormap_alpha_and_max_side(client: Client) -> None:
    options = {"overlay": "png", "colormap": "gray", "alpha": "1", "max_side": "100"}
    headers = {f"X-Explain-{name}": value for name, value in options.items()}
    (entry,) = client.put(EXPLAIN, PICTURE, headers).document()["explanations"]
    assert entry["overlay"]["content_type"] == "image/png"
    drawn = pixels_of(base64.b64decode(entry["overlay"]["data"]))
    assert drawn.shape == (67, 100, 3)
    centre = drawn[10:57, 25:75]  # well inside the region, where only the grey map is left
    assert (centre[:, :, 0] == centre[:, :, 1]).all()
    assert (centre[:, :, 1] == centre[:, :, 2]).all()


def test_heatmap_png_is_grey_and_none_is_absent(client: Client) -> None:
    headers = {"X-Explain-Heatmap": "png"}
    (entry,) = client.put(EXPLAIN, PICTURE, headers).document()["explanations"]
    heatmap = entry["heatmap"]
    assert "values" not in heatmap
    with Image.open(io.BytesIO(base64.b64decode(heatmap["data"]))) as grey:
        assert (grey.mode, grey.size) == ("L", cat().size)
        levels = np.asarray(grey)
    left, _, width, _ = heatmap["region"]
    assert levels[:, : int(left) - 1].max() == 0
    assert levels[:, round(left + width) + 1 :].max() == 0
    assert levels.max() > 200
    nothing = client.put(EXPLAIN, PICTURE, {"X-Explain-Heatmap": "none"}).document()
    assert "heatmap" not in nothing["explanations"][0]


def test_a_crop_is_answered_as_the_cropped_picture_in_the_wholes_coordinates(
    client: Client,
) -> None:
    box = (40, 20, 300, 220)
    headers = {"X-Explain-Crop": ",".join(map(str, box))}
    whole = client.put(EXPLAIN, PICTURE, headers).document()
    part = encode(cat().crop((box[0], box[1], box[0] + box[2], box[1] + box[3])))
    alone = client.put(EXPLAIN, part).document()
    assert whole["image"] == {"width": 451, "height": 300}
    shift = np.array([box[0], box[1], 0, 0])
    for part_of, name in (("heatmap", "region"), ("evidence", "box"), ("evidence", "peak")):
        places = [one["explanations"][0][part_of].pop(name) for one in (whole, alone)]
        moved = np.array(places[1]) + shift[: len(places[1])]
        assert places[0] == pytest.approx(list(moved), abs=0.01)
    del whole["image"], alone["image"]
    assert differences(whole, alone) == []


def test_method_and_layer(client: Client) -> None:
    headers = {"X-Explain-Method": "gradcam", "X-Explain-Layer": "stage3"}
    (entry,) = client.put(EXPLAIN, PICTURE, headers).document()["explanations"]
    assert (entry["method"], entry["layer"]) == ("gradcam", "stage3")
    assert (entry["heatmap"]["height"], entry["heatmap"]["width"]) == (14, 14)


def test_a_difference_of_two_classes(client: Client) -> None:
    (entry,) = client.put(EXPLAIN, PICTURE, {"X-Explain-Target": "2~3"}).document()["explanations"]
    assert (entry["index"], entry["versus"]["index"]) == (2, 3)
    difference = entry["logit"] - entry["versus"]["logit"]
    assert entry["difference"] == pytest.approx(difference, rel=1e-5, abs=1e-5)
    refused = client.put(EXPLAIN, PICTURE, {"X-Explain-Target": "2~2"})
    assert "against itself" in refused.refused(422)


def test_the_maps_of_an_answer_on_one_scale(client: Client) -> None:
    headers = {"X-Explain-Target": "0,1,2,3", "X-Explain-Scale": "shared"}
    entries = client.put(EXPLAIN, PICTURE, headers).document()["explanations"]
    tops = [np.max(entry["heatmap"]["values"]) for entry in entries]
    assert max(tops) == 1
    for entry, top in zip(entries, tops, strict=True):
        assert entry["shared_max"] == max(one["heatmap"]["max"] for one in entries)
        assert top == pytest.approx(entry["heatmap"]["max"] / entry["shared_max"], rel=1e-5)


def test_the_box_shrinks_as_the_threshold_rises(client: Client) -> None:
    areas = []
    for threshold in ("0.15", "0.5", "0.9"):
        headers = {"X-Explain-Threshold": threshold, "X-Explain-Heatmap": "none"}
        (entry,) = client.put(EXPLAIN, PICTURE, headers).document()["explanations"]
        left, top, width, height = entry["evidence"]["box"]
        assert min(left, top) >= 0
        assert left + width <= cat().width
        assert top + height <= cat().height
        areas.append(width * height)
    assert areas[0] > areas[1] > areas[2] > 0


def test_too_many_further_passes_are_refused(client: Client) -> None:
    refused = client.put(EXPLAIN, PICTURE, {"X-Explain-Smooth": "3001"})
    assert "lower smooth" in refused.refused(413)


def test_the_management_api_describes_the_model(management: Client) -> None:
    answer = management.send("GET", "models/zoo?customized=true")
    (model,) = json.loads(answer.body)
    told = model["customizedMetadata"]
    told = json.loads(told) if isinstance(told, str) else told
    labels = [entry["label"] for entry in told["classes"]]
    assert labels == ["crane", "crane", ZOO_NAMES["2"], ZOO_NAMES["3"]]
    ids = [entry.get("id") for entry in told["classes"]]  # TorchServe leaves nulls out
    assert ids == ["n02012849", "n03126707", None, None]
    assert told["layers"]["default"] == "conv5"
    stage3 = {"name": "stage3", "channels": 96, "height": 14, "width": 14}
    assert stage3 in told["layers"]["candidates"]
    assert told["methods"]["default"] == "gradcam"
    assert told["methods"]["available"] == list(METHODS)
    assert told["preprocessing"]["crop_size"] == [224, 224]
    assert told["limits"]["max_bytes"] == 20_000_000
    assert [option["name"] for option in told["options"]] == list(OPTIONS)


def test_a_client_cannot_ask_for_an_explanation_of_predictions(client: Client) -> None:
    plain = client.put("predictions/zoo", PICTURE).document()
    for name in ("explain", "Explain", "EXPLAIN"):
        assert client.put("predictions/zoo", PICTURE, {name: "True"}).document() == plain


@pytest.mark.parametrize("name", ["describe", "Describe"])
def test_a_client_cannot_turn_a_picture_into_a_question(client: Client, name: str) -> None:
    answer = client.put("predictions/zoo", PICTURE, {name: "True"})
    assert differences(answer.document(), client.put("predictions/zoo", PICTURE).document()) == []
