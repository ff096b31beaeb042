"""gRPC's ``Predictions``: the same answers and the same errors as over HTTP."""

import base64
import json

import grpc
import pytest

from live.client import Client
from live.comparing import differences
from live.grpc_stubs import GrpcClient
from pictures import cat, cat_jpeg, encode, pixels_of
from sending import b64

pytestmark = pytest.mark.live

PICTURE = encode(cat())
OPTIONS = {"target": "2,n02012849", "top_k": "3", "detail": "full", "layer": "stage4"}
HEADERS = {f"X-Explain-{name}": value for name, value in OPTIONS.items()}
INPUT = {name: value.encode() for name, value in OPTIONS.items()}


@pytest.mark.parametrize("version", ["", "2.1"])
@pytest.mark.parametrize("field", ["data", "image", "body"])
def test_predictions(client: Client, grpc_client: GrpcClient, field: str, version: str) -> None:
    told = json.loads(grpc_client.predictions("zoo", {field: PICTURE, **INPUT}, version))
    assert differences(told, client.put("predictions/zoo", PICTURE, HEADERS).document()) == []


@pytest.mark.parametrize("yes", [b"true", b"True", b"1"])
def test_explanations(client: Client, grpc_client: GrpcClient, yes: bytes) -> None:
    told = json.loads(grpc_client.predictions("zoo", {"data": PICTURE, "explain": yes, **INPUT}))
    assert differences(told, client.put("explanations/zoo", PICTURE, HEADERS).document()) == []


def test_explain_false_asks_for_predictions(grpc_client: GrpcClient) -> None:
    told = json.loads(grpc_client.predictions("zoo", {"data": PICTURE, "explain": b"false"}))
    assert sum(told.values()) == pytest.approx(1, abs=1e-5)  # all four classes, by their labels


def test_kserve_json_goes_through_grpc_too(client: Client, grpc_client: GrpcClient) -> None:
    body = {"instances": [{"b64": b64(PICTURE)}], "parameters": OPTIONS}
    sent = {"body": json.dumps(body).encode(), "explain": b"true"}
    told = json.loads(grpc_client.predictions("zoo", sent))
    expected = client.put("explanations/zoo", PICTURE, HEADERS).document()
    assert differences(told["explanations"], [expected]) == []


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        pytest.param({"data": cat_jpeg()[:1200]}, 400, id="a truncated picture"),
        pytest.param({"data": b""}, 400, id="no bytes"),
        pytest.param({"target": b"2"}, 400, id="no picture"),
        pytest.param({"data": b"hello"}, 415, id="a text"),
        pytest.param({"data": cat_jpeg(), "tagret": b"2"}, 422, id="an unknown option"),
        pytest.param({"data": cat_jpeg(), "alpha": b"\xff"}, 422, id="not UTF-8"),
        pytest.param({"data": cat_jpeg(), "explain": b"perhaps"}, 422, id="neither true nor false"),
        pytest.param({"data": b"http://127.0.0.1:1/a.jpg"}, 422, id="a URL"),
    ],
)
def test_errors_are_the_same_json(
    client: Client, grpc_client: GrpcClient, inputs: dict[str, bytes], status: int
) -> None:
    told = json.loads(grpc_client.predictions("zoo", inputs))
    assert set(told) == {"code", "type", "message"}
    assert told["code"] == status
    if "explain" not in inputs and inputs.get("data"):
        parts = [(name, (None, value, "")) for name, value in inputs.items() if name != "data"]
        picture = ("data", ("a.jpg", inputs["data"], "image/jpeg"))
        assert client.form("predictions/zoo", [*parts, picture]).json() == told


def test_an_overlay_comes_as_base64(grpc_client: GrpcClient) -> None:
    sent = {"data": PICTURE, "explain": b"true", "overlay": b"png", "heatmap": b"none"}
    (entry,) = json.loads(grpc_client.predictions("zoo", sent))["explanations"]
    assert pixels_of(base64.b64decode(entry["overlay"]["data"])).shape == (300, 451, 3)


def test_a_model_that_is_not_served(grpc_client: GrpcClient) -> None:
    with pytest.raises(grpc.RpcError):
        grpc_client.predictions("zebra", {"data": PICTURE})
