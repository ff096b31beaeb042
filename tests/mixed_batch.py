"""A batch of every kind of request, and when two answers are the same."""

from typing import Any

import pytest
import torch
from PIL import Image

import sending
from archive_dir import Served
from pictures import cat_jpeg, cat_png, encode, small_cat
from sending import Answer, Request

TURNED = encode(small_cat().transpose(Image.Transpose.ROTATE_180))


def network_of(served: Served) -> torch.nn.Module:
    network = served.handler._service._explainer.network
    assert isinstance(network, torch.nn.Module)
    return network


def batch() -> list[Request]:
    """Fourteen requests of every kind; the odd ones are refused, each for its own reason."""
    instance = {"b64": sending.b64(cat_png())}
    return [
        sending.raw(cat_png()),
        sending.raw(b"hello"),
        sending.raw(cat_jpeg(), False),
        sending.raw(cat_png()[:300], False),
        sending.form(image=TURNED, target="top2,0", overlay="png", heatmap="png"),
        sending.form(image=TURNED, tagret="top2"),
        sending.kserve(instance, {"image": sending.b64(TURNED)}, parameters={"target": 3}),
        sending.kserve(instance, {"image": "!"}),
        sending.form(image=cat_png(), layer="layer1"),
        sending.form(image=cat_png(), layer="fc"),
        sending.raw(TURNED, Accept="image/png"),
        sending.body(b"{", explain=False),
        sending.grpc(data=cat_png(), explain="true", target="label:seven"),
        Request({"explain": "True"}),
    ]


STATUSES = [200, 415, 200, 400, 200, 422, 200, 400, 200, 422, 200, 400, 200, 400]


def assert_same(answer: Answer, alone: Answer) -> None:
    """Equal but for the last bits, in which a batched convolution may differ from a single one."""
    assert (answer.status, answer.content_type) == (alone.status, alone.content_type)
    if answer.content_type == "application/json":
        assert_near(answer.json(), alone.json())
    else:
        assert answer.body == alone.body


def assert_near(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert list(ours) == list(theirs)
        for key, value in ours.items():
            assert_near(value, theirs[key])
    elif isinstance(ours, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_near(one, other)
    elif isinstance(ours, float):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4)
    else:
        assert ours == theirs
