"""Every way of sending a picture over HTTP says the same, and what it says is right."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from PIL import Image
from ts.torch_handler.image_classifier import ImageClassifier

from gradcam.settings import IMAGENET_STD
from live.archives import ZOO_NAMES
from live.client import Client, Part
from live.comparing import differences
from live.exact import Exact, served_map
from oracles import relative_error
from pictures import cat, encode
from sending import Answer, b64

pytestmark = pytest.mark.live

PICTURE = encode(cat())
JPEG = encode(cat(), "JPEG", quality=95)
ZOO_KEYS = ("crane (n02012849)", "crane (n03126707)", ZOO_NAMES["2"], ZOO_NAMES["3"])
OPTIONS = {"target": "index:2,n02012849", "top_k": "3", "detail": "full", "layer": "stage4"}
HEADERS = {f"X-Explain-{name}": value for name, value in OPTIONS.items()}
Send = Callable[[Client, str], Any]


def _form(field: str, kind: str) -> Send:
    def send(client: Client, verb: str) -> Any:
        options: list[Part] = [(name, (None, value, "")) for name, value in OPTIONS.items()]
        picture: Part = (field, ("cat.png", PICTURE, kind))
        return client.form(f"{verb}/zoo", [*options, picture]).document()

    return send


def _raw(method: str, **headers: str) -> Send:
    def send(client: Client, verb: str) -> Any:
        return client.send(method, f"{verb}/zoo", PICTURE, {**HEADERS, **headers}).document()

    return send


def _json(document: Mapping[str, object]) -> Send:
    def send(client: Client, verb: str) -> Any:
        return client.json(f"{verb}/zoo", {**document, **OPTIONS}).document()

    return send


def _kserve(instance: Mapping[str, object], native: bool = False) -> Send:
    def send(client: Client, verb: str) -> Any:
        ending = {"predictions": "predict", "explanations": "explain"}[verb]
        path = f"v1/models/zoo:{ending}" if native else f"{verb}/zoo"
        answer = client.json(path, {"instances": [instance], "parameters": OPTIONS}).document()
        assert list(answer) == [verb]
        (only,) = answer[verb]
        return only

    return send


ENCODED = b64(PICTURE)
WAYS: Mapping[str, Send] = {
    "POST without a content type": _raw("POST"),
    "PUT as image/png": _raw("PUT", **{"Content-Type": "image/png"}),
    "POST as octets": _raw("POST", **{"Content-Type": "application/octet-stream"}),
    "form, image": _form("image", "image/png"),
    "form, data": _form("data", ""),
    "JSON": _json({"image": ENCODED}),
    "JSON, data URL": _json({"image": f"data:image/png;base64,{ENCODED}"}),
    "KServe": _kserve({"image": {"b64": ENCODED}}),
    "KServe, b64": _kserve({"b64": ENCODED}),
    "KServe, data": _kserve({"data": ENCODED}),
    "KServe's own path": _kserve({"image": {"b64": ENCODED}}, native=True),
}


@pytest.fixture(scope="module", params=["predictions", "explanations"])
def verb(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def reference(client: Client, verb: str) -> Any:
    """What ``curl -T`` gets."""
    return client.put(f"{verb}/zoo", PICTURE, HEADERS).document()


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_sending_gets_the_same_answer(
    client: Client, verb: str, reference: Any, way: str
) -> None:
    assert differences(WAYS[way](client, verb), reference) == []


def test_that_answer_has_the_right_numbers(verb: str, reference: Any, zoo: Exact) -> None:
    logits = zoo.logits(cat())
    probabilities = torch.softmax(logits, 0)
    assert [entry["index"] for entry in reference["predictions"]] == logits.topk(3).indices.tolist()
    told = [*reference["predictions"], *reference.get("explanations", [])]
    for entry in told:
        assert entry["logit"] == pytest.approx(float(logits[entry["index"]]), rel=1e-4, abs=1e-4)
        assert entry["probability"] == pytest.approx(float(probabilities[entry["index"]]), abs=1e-5)
    assert reference["image"] == {"width": 451, "height": 300}
    assert ("explanations" in reference) == (verb == "explanations")


def test_its_maps_are_those_of_full_autograd(client: Client, zoo: Exact) -> None:
    answer = client.put("explanations/zoo", PICTURE, HEADERS).document()
    assert [entry["index"] for entry in answer["explanations"]] == [2, 0]
    for entry in answer["explanations"]:
        assert entry["layer"] == "stage4"
        exact = zoo.raw_map(cat(), "stage4", entry["index"])
        assert exact.max() > 0
        gap = (served_map(entry) - exact.relu()).abs().max() / exact.abs().max()
        assert gap < 1e-4
    first, second = (served_map(entry) for entry in answer["explanations"])
    assert relative_error(first, second) > 0.1  # or one map for both would have passed


@pytest.mark.parametrize("path", ["predictions/zoo/2.1", "explanations/zoo/2.1"])
def test_the_version_in_the_path_changes_nothing(client: Client, path: str) -> None:
    unversioned = client.put(path.removesuffix("/2.1"), PICTURE)
    assert differences(client.put(path, PICTURE).document(), unversioned.document()) == []


def test_another_version_does_not_exist(client: Client) -> None:
    assert client.put("predictions/zoo/9.9", PICTURE).status == 404


def test_a_jpeg_is_a_picture_too(client: Client, zoo: Exact) -> None:
    with Image.open(io.BytesIO(JPEG)) as image:
        expected = torch.softmax(zoo.logits(image), 0).sort(descending=True).values.tolist()
    kinds: list[dict[str, str]] = [{}, {"Content-Type": "image/jpeg"}]
    for headers in kinds:
        told = client.put("predictions/zoo", JPEG, headers).document()
        assert list(told.values()) == pytest.approx(expected, abs=1e-4)


def test_predictions_are_what_image_classifier_gives(client: Client, zoo: Exact) -> None:
    answer = client.put("predictions/zoo", PICTURE)
    assert answer.content_type == "application/json"
    probabilities = torch.softmax(zoo.logits(cat()), 0)
    best = probabilities.argsort(descending=True).tolist()
    told = answer.document()
    assert list(told) == [ZOO_KEYS[index] for index in best]
    assert list(told.values()) == pytest.approx(probabilities[best].tolist(), abs=1e-5)


def test_probabilities_are_the_stock_handlers_but_for_a_grey_level(
    client: Client, zoo: Exact
) -> None:
    prepared = ImageClassifier.image_processing(cat())
    grey_levels = (prepared - zoo.prepare(cat())) * torch.tensor(IMAGENET_STD)[:, None, None] * 255
    assert grey_levels.abs().max() < 1.01
    # its way resizes with Pillow, ours with torch; a network of random weights makes much of that
    stock = torch.softmax(zoo.network.double()(prepared[None].double())[0].detach(), 0)
    told = client.put("predictions/zoo", PICTURE).document()
    expected = stock.sort(descending=True)
    assert list(told) == [ZOO_KEYS[index] for index in expected.indices.tolist()]
    assert list(told.values()) == pytest.approx(expected.values.tolist(), abs=0.02)


def test_several_instances_are_answered_in_order(client: Client) -> None:
    pictures = [PICTURE, encode(cat().rotate(90)), encode(cat().crop((200, 0, 400, 200)))]
    alone = [client.put("explanations/zoo", picture).document() for picture in pictures]
    body = {"instances": [{"b64": b64(picture)} for picture in pictures]}
    for path in ("explanations/zoo", "v1/models/zoo:explain"):
        together = client.json(path, body).document()["explanations"]
        assert differences(together, alone, 1e-4) == []
    assert differences(alone[0], alone[1], 1e-4) != []  # or any order would do


def test_every_answer_says_what_it_is(client: Client) -> None:
    sent: list[tuple[str, Answer]] = [
        ("application/json", client.put("predictions/zoo", PICTURE)),
        ("application/json", client.put("explanations/zoo", PICTURE)),
        ("application/json", client.put("explanations/zoo", b"no picture")),
        ("image/png", client.put("explanations/zoo", PICTURE, {"Accept": "image/png"})),
        ("image/jpeg", client.put("explanations/zoo", PICTURE, {"accept": "image/jpeg"})),
        ("image/webp", client.put("explanations/zoo", PICTURE, {"ACCEPT": "image/webp"})),
    ]
    assert [answer.content_type for _, answer in sent] == [kind for kind, _ in sent]
