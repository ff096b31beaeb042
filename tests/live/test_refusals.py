"""What goes wrong over real HTTP: status, a JSON body, and a worker that lives on."""

import struct
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from live.client import Client
from live.conftest import worker_pid
from pictures import cat, cat_jpeg, cat_png, encode
from sending import Answer, b64
from slow_files import SLOW_FILES
from torchserve_process import TorchServe

pytestmark = pytest.mark.live

JSON = {"Content-Type": "application/json"}
EXPLAIN, PREDICT = "explanations/zoo", "predictions/zoo"


def _empty_png(side: int) -> bytes:
    """A PNG whose header says that it is this large, and that holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


BODIES: Mapping[str, tuple[bytes, int, str, str]] = {
    "empty": (b"", 400, "MalformedRequest", "empty"),
    "a truncated JPEG": (cat_jpeg()[:1200], 400, "BrokenPicture", "truncated"),
    "a truncated PNG": (cat_png()[:2000], 400, "BrokenPicture", "truncated"),
    "the first bytes of a PNG": (cat_png()[:5], 400, "BrokenPicture", "5 bytes"),
    "too many bytes": (cat_png() + bytes(20_000_001), 413, "TooLarge", "20,000,000"),
    "too many pixels": (_empty_png(7_000), 413, "TooLarge", "7000×7000"),
    "far too many pixels": (_empty_png(30_000), 413, "TooLarge", "40,000,000"),
    "a text": (b"hello", 415, "UnsupportedPicture", "not a picture"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", 415, "UnsupportedPicture", "HEIC"),
    "AVIF": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", 415, "UnsupportedPicture", "AVIF"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "UnsupportedPicture", "SVG"),
    "a URL": (b"https://127.0.0.1:1/cat.jpg", 422, "InvalidOption", "URL"),
}
DOCUMENTS: Mapping[str, tuple[bytes, int, str, str]] = {
    "not JSON": (b"{", 400, "MalformedRequest", "JSON"),
    "a list": (b"[1, 2]", 400, "MalformedRequest", "list"),
    "no picture": (b"{}", 400, "MalformedRequest", "no picture"),
    "not base64": (b'{"image": "%%%"}', 400, "MalformedRequest", "base64"),
    "a picture in base64 cut off": (
        f'{{"image": "{b64(cat_jpeg()[:1200])}"}}'.encode(),
        400,
        "BrokenPicture",
        "truncated",
    ),
    "no instances": (b'{"instances": []}', 400, "MalformedRequest", "instances"),
    "deeply nested": (b"[" * 100_000, 400, "MalformedRequest", "JSON"),
    "deeply nested but whole": (
        b'{"image": ' + b"[" * 900 + b"]" * 900 + b"}",
        400,
        "MalformedRequest",
        "",
    ),
    "a URL as image": (b'{"image": "http://127.0.0.1:1/a.jpg"}', 422, "InvalidOption", "URL"),
    "an unknown option": (
        f'{{"image": "{b64(cat_png())}", "tagret": 1}}'.encode(),
        422,
        "InvalidOption",
        "'target'",
    ),
    "one bad instance": (
        f'{{"instances": [{{"b64": "{b64(cat_png())}"}}, {{"b64": "aGVsbG8="}}]}}'.encode(),
        415,
        "UnsupportedPicture",
        "instances[1]",
    ),
    "too many instances": (
        b'{"instances": [' + b",".join([b'{"b64": ""}'] * 17) + b"]}",
        413,
        "TooLarge",
        "17",
    ),
}
OPTIONS: Mapping[str, tuple[str, str]] = {
    "target": ("zebra", "zebra"),
    "method": ("guidedcam", "gradcam"),
    "layer": ("stage9", "stage4"),
    "fuse": ("sum", "mean"),
    "smooth": ("-1", "from 0"),
    "noise": ("2", "0 to 1"),
    "seed": ("-1", "from 0"),
    "flip": ("maybe", "true"),
    "score": ("perhaps", "true"),
    "scale": ("common", "shared"),
    "threshold": ("15", "0 to 1"),
    "top_k": ("0", "from 1"),
    "detail": ("ful", "full"),
    "heatmap": ("grids", "grid"),
    "overlay": ("gif", "webp"),
    "max_side": ("-1", "from 0"),
    "colormap": ("jett", "jet"),
    "alpha": ("1.5", "0 to 1"),
    "crop": ("0,0,0,0", "left,top,width,height"),
    "colour": ("jet", "colormap"),
}


@pytest.fixture(autouse=True)
def worker_lives_on(server: TorchServe, client: Client) -> object:
    before = worker_pid(server, "zoo")
    yield
    assert worker_pid(server, "zoo") == before
    assert client.put(PREDICT, cat_png()).status == 200


def _check(answer: Answer, status: int, kind: str, part: str) -> None:
    assert part in answer.refused(status)
    assert answer.json()["type"] == kind


QUESTIONS: Mapping[str, tuple[Mapping[str, str], int, str, str]] = {
    "a call that does not happen": ({"Call": "3"}, 422, "UnusableLayer", "called once"),
    "a method that does not go with the head": (
        {"Method": "cam", "Layer": "stage3"},
        422,
        "UnusableLayer",
        "method gradcam",
    ),
    "too many passes": ({"Smooth": "3001"}, 413, "TooLarge", "lower smooth"),
    "one scale for maps without a unit": (
        {"Layer": "stage3,stage4", "Scale": "shared"},
        422,
        "InvalidOption",
        "single layer",
    ),
    "a class against itself": ({"Target": "2~2"}, 422, "InvalidOption", "2"),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_that_has_no_answer(client: Client, name: str) -> None:
    options, status, kind, part = QUESTIONS[name]
    headers = {f"X-Explain-{option}": options[option] for option in options}
    _check(client.put(EXPLAIN, cat_png(), headers), status, kind, part)


@pytest.mark.parametrize("path", [PREDICT, EXPLAIN])
@pytest.mark.parametrize("name", BODIES)
def test_a_bad_body(client: Client, path: str, name: str) -> None:
    body, status, kind, part = BODIES[name]
    _check(client.put(path, body), status, kind, part)


@pytest.mark.parametrize("name", SLOW_FILES)
def test_a_file_made_to_be_slow_beside_others(client: Client, name: str) -> None:
    make, part = SLOW_FILES[name]
    with ThreadPoolExecutor(4) as pool:
        slow = pool.submit(client.put, EXPLAIN, make())
        others = [pool.submit(client.put, EXPLAIN, cat_png()) for _ in range(3)]
    assert [other.result().status for other in others] == [200, 200, 200]
    _check(slow.result(), 400, "BrokenPicture", part)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_bad_document(client: Client, name: str) -> None:
    body, status, kind, part = DOCUMENTS[name]
    _check(client.send("POST", EXPLAIN, body, JSON), status, kind, part)


@pytest.mark.parametrize("option", OPTIONS)
def test_a_bad_option(client: Client, option: str) -> None:
    value, part = OPTIONS[option]
    answer = client.put(EXPLAIN, cat_png(), {f"X-Explain-{option}": value})
    assert part in answer.refused(422)


def test_an_ambiguous_label_is_told_its_ids(client: Client) -> None:
    message = client.put(EXPLAIN, cat_png(), {"X-Explain-Target": "crane"}).refused(422)
    assert "id:n02012849" in message
    assert "id:n03126707" in message


def test_explanation_options_are_checked_on_predictions_too(client: Client) -> None:
    assert "jet" in client.put(PREDICT, cat_png(), {"X-Explain-Colormap": "jett"}).refused(422)


def test_get_has_no_picture(client: Client) -> None:
    _check(client.send("GET", EXPLAIN), 400, "MalformedRequest", "empty")


def test_an_answer_that_is_too_large_says_what_to_lower(client: Client) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)
    headers = {
        "X-Explain-Overlay": "png",
        "X-Explain-Heatmap": "png",
        "X-Explain-Max-Side": "0",
        "X-Explain-Target": "top4",
    }
    picture = encode(Image.fromarray(noise), "JPEG")
    for extra in ({}, {"Accept": "image/png"}):
        message = client.put(EXPLAIN, picture, {**headers, **extra}).refused(413)
        assert "max_side" in message
        assert "6,000,000" in message


def test_several_instances_cannot_be_one_picture(client: Client) -> None:
    body = {"instances": [{"b64": b64(cat_png())}] * 2}
    _check(client.json(EXPLAIN, body, {"Accept": "image/png"}), 422, "InvalidOption", "several")


def test_the_frontend_refuses_a_picture_sent_as_a_form(client: Client) -> None:
    """The README says so, and how to send it right; TorchServe's frontend never asks the worker."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.send("POST", PREDICT, encode(cat(), "JPEG"), headers)
    assert answer.status == 500
    assert "ErrorDataDecoderException" in answer.body.decode(errors="replace")
    right = {"Content-Type": "image/jpeg"}
    assert client.send("POST", PREDICT, encode(cat(), "JPEG"), right).status == 200


def test_the_frontend_refuses_more_than_max_request_size(client: Client) -> None:
    answer = client.put(PREDICT, bytes(33_554_433))
    assert (answer.status, answer.body) == (413, b"")


def test_a_model_that_is_not_served(client: Client) -> None:
    assert client.put("predictions/zebra", cat_png()).status == 404
