"""The same picture gets the same answer, whichever way it was sent."""

from typing import Any

import pytest

import sending
from archive_dir import Served
from pictures import cat_jpeg, cat_png
from sending import Answer, Request, b64

TEXT = b64(cat_png())


def ways(explain: bool) -> dict[str, Request]:
    """Every way of sending one picture with two options."""
    options: dict[str, Any] = {"target": "top2", "top_k": 3}
    headers = {"X-Explain-Target": "top2", "x-explain-top-k": "3"}
    image = {"image": TEXT, **options}
    undecoded = "Application/JSON; charset=utf-8"
    in_grpc = {"explain": "true"} if explain else {}
    return {
        "raw": sending.raw(cat_png(), explain, **headers),
        "raw, without a content type": Request(
            {**headers, "explain": str(explain)}, [("body", "", cat_png())]
        ),
        "form image": sending.form(explain, image=cat_png(), **options),
        "form data": sending.form(explain, data=cat_png(), **options),
        "JSON": sending.body(image, explain),
        "JSON left undecoded": sending.body(image, explain, undecoded),
        "JSON called nothing": Request(
            {"explain": str(explain)}, sending.body(image, content_type="").fields
        ),
        "data URL": sending.body({**image, "image": f"data:image/png;base64,{TEXT}"}, explain),
        "KServe image b64": sending.kserve(
            {"image": {"b64": TEXT}}, explain=explain, parameters=options
        ),
        "KServe b64": sending.kserve({"b64": TEXT}, explain=explain, parameters=options),
        "KServe data": sending.kserve({"data": TEXT}, explain=explain, parameters=options),
        "KServe left undecoded": sending.body(
            {"instances": [{"b64": TEXT}], "parameters": options}, explain, undecoded
        ),
        "gRPC": sending.grpc(data=cat_png(), **in_grpc, **options),
        "gRPC image": sending.grpc(image=cat_png(), **in_grpc, **options),
        "a path without an explain header": Request(
            {"Accept": "*/*"}, sending.grpc(body=cat_png(), **in_grpc, **options).fields
        ),
    }


@pytest.mark.parametrize("explain", [True, False])
@pytest.mark.parametrize("way", ways(True))
def test_every_way_of_sending_gets_the_same_answer(served: Served, way: str, explain: bool) -> None:
    expected = served.ask(ways(explain)["raw"]).document()
    answer = served.ask(ways(explain)[way]).document()
    if way.startswith("KServe"):
        key = "explanations" if explain else "predictions"
        assert list(answer) == [key]
        (answer,) = answer[key]
    assert answer == expected
    if explain:
        assert len(answer["explanations"]) == 2
        assert len(answer["predictions"]) == 3
    else:
        assert len(answer) == 3


@pytest.mark.parametrize("explain", [True, False])
def test_several_instances_are_answered_in_order_each_with_its_own_options(
    served: Served, explain: bool
) -> None:
    sent: list[tuple[bytes, dict[str, Any]]] = [
        (cat_png(), {"target": "tabby", "top_k": 2}),
        (cat_jpeg(), {}),
        (cat_png(), {"crop": [0, 0, 30, 30], "detail": "full"}),
    ]
    instances = [{"b64": b64(data), **own} for data, own in sent]
    answer = served.ask(sending.kserve(*instances, explain=explain, parameters={"top_k": 4}))
    answers = answer.document()["explanations" if explain else "predictions"]
    assert len(answers) == 3
    for (data, own), one in zip(sent, answers, strict=True):
        alone = sending.body({"b64": b64(data), "top_k": 4, **own}, explain)
        expected = served.ask(alone).document()
        listed = expected.get("predictions", expected)
        assert len(listed) == own.get("top_k", 4)
        assert list(one) == list(expected)
        if explain:
            said, wanted = (
                [entry["index"] for entry in document["explanations"]]
                for document in (one, expected)
            )
            assert said == wanted


@pytest.mark.parametrize("explain", [True, False])
def test_the_path_decides_over_http_and_a_field_over_grpc(served: Served, explain: bool) -> None:
    def explained(answer: Answer) -> bool:
        return "explanations" in answer.document()

    assert explained(served.ask(sending.raw(cat_png(), explain))) == explain
    for letters in ("Explain", "EXPLAIN"):
        request = sending.raw(cat_png(), explain, **{letters: str(not explain)})
        assert explained(served.ask(request)) == explain
    over_grpc = sending.grpc(data=cat_png(), explain=str(explain))
    assert explained(served.ask(over_grpc)) == explain


def test_a_bad_instance_refuses_the_request_and_is_named(served: Served) -> None:
    good = {"b64": TEXT}
    broken = b64(cat_png()[:400])
    for bad, status, reason in (
        ({"b64": b64(b"hello")}, 415, "not a picture"),
        ({"b64": broken}, 400, "truncated or corrupt"),
        ({"b64": ""}, 400, "empty"),
        ({"b64": "?"}, 400, "not base64"),
        ({"b64": TEXT, "target": "unicorn"}, 422, "unicorn"),
        ({"b64": TEXT, "layer": "fc"}, 422, "layer3"),
        ({"b64": TEXT, "crop": "0,0,91,1"}, 422, "90×60"),
        ({"b64": TEXT, "tagret": 1}, 422, "'target'"),
        ({"image": "http://127.0.0.1:8081/models"}, 422, "is not fetched"),
        ("text", 400, "an instance is an object"),
    ):
        message = served.ask(sending.kserve(good, bad, good)).refused(status)
        assert message.startswith("instances[1]: ")
        assert reason in message
