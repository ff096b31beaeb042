"""What goes wrong on our side with one request is that request's alone."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image

import sending
from archive_dir import Served
from gradcam.pictures import render
from gradcam.pictures.picture import Picture
from gradcam.pictures.preprocess import show
from mixed_batch import STATUSES, TURNED, assert_same, batch, network_of
from pictures import cat_png, encode
from sending import Request

WHITE = encode(Image.new("RGB", (64, 64), "white"))


def good_with(*bad: Request) -> list[Request]:
    good = [request for request, status in zip(batch(), STATUSES, strict=True) if status == 200]
    return [*good[:2], *bad, *good[2:]]


def assert_only_struck(
    served: Served, bad: Request, patch: Callable[[], object], undo: Callable[[], object]
) -> str:
    """Asks a good batch with one bad request in it, and gives back that one's message."""
    expected = served.batch(*good_with())
    patch()
    answers = served.batch(*good_with(bad))
    undo()
    struck = answers.pop(2)
    for answer, other in zip(answers, expected, strict=True):
        assert_same(answer, other)
    for answer, other in zip(served.batch(*good_with()), expected, strict=True):
        assert answer == other  # nothing of it remains
    assert struck.json()["type"] == "EngineFault"
    return struck.refused(500)


def strike(
    served: Served, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[torch.Tensor, Any], Any]
) -> Callable[[], None]:
    """Lets ``spoil`` have a say in every forward pass, given which rows are all white."""
    network = network_of(served)
    before = network.forward

    def forward(inputs: torch.Tensor) -> Any:
        return spoil(inputs.amin(dim=(1, 2, 3)) > 1.5, before(inputs))

    return lambda: monkeypatch.setattr(network, "forward", forward)


@pytest.mark.parametrize("explain", [True, False])
@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "ran out of memory"),
        (MemoryError(), "ran out of memory"),
        (RuntimeError("CUDA error: an illegal instruction"), "could not be computed"),
    ],
)
def test_a_picture_that_the_device_fails_on_strikes_its_request_only(
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
    explain: bool,
    error: Exception,
    sentence: str,
) -> None:
    def spoil(white: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        if white.any():
            raise error
        return logits

    patch = strike(served, monkeypatch, spoil)
    message = assert_only_struck(served, sending.raw(WHITE, explain), patch, monkeypatch.undo)
    assert sentence in message
    assert "CUDA" not in message


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize("explain", [True, False])
def test_a_non_finite_output_strikes_its_request_only(
    served: Served, monkeypatch: pytest.MonkeyPatch, explain: bool, wrong: float
) -> None:
    def spoil(white: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        return torch.where(white[:, None], torch.full_like(logits, wrong), logits)

    patch = strike(served, monkeypatch, spoil)
    message = assert_only_struck(served, sending.raw(WHITE, explain), patch, monkeypatch.undo)
    assert "not finite" in message


def test_a_fault_is_logged_with_its_requests_id_and_a_refusal_is_not(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def spoil(white: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        return torch.where(white[:, None], torch.full_like(logits, torch.nan), logits)

    strike(served, monkeypatch, spoil)()
    hello = sending.raw(b"hello", X_Request_Id="trace-1")
    bad = sending.raw(WHITE, x_request_ID="trace-2\n")
    with caplog.at_level(logging.ERROR):
        answers = served.batch(hello, bad, sending.raw(WHITE))
    assert [answer.status for answer in answers] == [415, 500, 500]
    lines = [line for line in caplog.messages if "failed" in line]
    assert [line.split(" failed: ")[0] for line in lines] == [
        "gradcam: the request 'trace-2\\n'",
        "gradcam: the request ''",
    ]
    assert [line.split(" failed: ")[1] for line in lines] == [
        ascii(answer.body.decode()) for answer in answers[1:]
    ]


def test_a_batch_too_large_for_the_device_is_halved_until_it_fits(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(white: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        if len(white) > 2:
            raise torch.OutOfMemoryError
        return logits

    expected = served.batch(*batch())
    strike(served, monkeypatch, spoil)()
    for answer, other in zip(served.batch(*batch()), expected, strict=True):
        assert_same(answer, other)


def test_one_bad_instance_of_a_request_strikes_the_whole_request(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(white: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        return torch.where(white[:, None], torch.full_like(logits, float("nan")), logits)

    instances = [{"b64": sending.b64(data)} for data in (cat_png(), WHITE, TURNED)]
    patch = strike(served, monkeypatch, spoil)
    assert_only_struck(served, sending.kserve(*instances), patch, monkeypatch.undo)


def test_an_answer_that_cannot_be_written_strikes_its_request_only(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    colour = render.colour

    def fail(levels: render.Pixels, colormap: str) -> render.Pixels:
        if colormap == "magma":
            raise KeyError(colormap)
        return colour(levels, colormap)

    bad = sending.form(image=cat_png(), overlay="jpeg", colormap="magma")
    message = assert_only_struck(
        served, bad, lambda: monkeypatch.setattr(render, "colour", fail), monkeypatch.undo
    )
    assert "could not be written" in message


def test_a_bug_while_reading_strikes_its_request_only(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(picture: Picture, *rest: Any) -> torch.Tensor:
        if (picture.width, picture.height) == (64, 64):
            raise KeyError(picture.frame)
        return show(picture, *rest)

    message = assert_only_struck(
        served,
        sending.raw(WHITE),
        lambda: monkeypatch.setattr("gradcam.request.intake.show", fail),
        monkeypatch.undo,
    )
    assert "could not be read" in message
