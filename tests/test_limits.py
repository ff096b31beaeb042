"""What one request may cost: every limit refuses with what to lower, and only beyond it."""

from typing import Any

import pytest

import hostile
import sending
from archive_dir import Served
from gradcam.pictures import render
from pictures import cat, cat_png, encode, small_cat


def instances(count: int, **options: object) -> list[dict[str, object]]:
    return [{"b64": sending.b64(cat_png()), **options} for _ in range(count)]


def test_bytes_of_a_picture(served: Served) -> None:
    size = len(cat_png())
    assert served.limited(max_bytes=size).ask(sending.raw(cat_png())).status == 200
    tight = served.limited(max_bytes=size - 1)
    for request in (
        sending.raw(cat_png()),
        sending.form(image=cat_png()),
        sending.body({"image": sending.b64(cat_png())}),
        sending.kserve(*instances(1)),
    ):
        message = tight.ask(request).refused(413)
        assert f"at most {size - 1:,} are taken" in message


def test_pixels_of_a_picture(served: Served) -> None:
    assert served.limited(max_pixels=5400).ask(sending.raw(cat_png())).status == 200
    message = served.limited(max_pixels=5399).ask(sending.raw(cat_png())).refused(413)
    assert "90×60" in message
    assert "5,399" in message


@pytest.mark.parametrize("file_format", hostile.huge_headers())
def test_a_header_that_claims_billions_of_pixels(served: Served, file_format: str) -> None:
    data = hostile.huge_headers()[file_format]
    answers = served.batch(sending.raw(data), sending.raw(cat_png()), sending.raw(data, False))
    assert "pixels" in answers[0].refused(413)
    assert answers[1].status == 200
    assert "pixels" in answers[2].refused(413)


def test_pixels_of_all_pictures_of_a_request_together(served: Served) -> None:
    short = served.limited(max_pixels=3 * 5400 - 1)
    assert short.ask(sending.kserve(*instances(2))).status == 200
    message = short.ask(sending.kserve(*instances(3))).refused(413)
    assert message.startswith("instances[2]: ")
    assert "5,399" in message
    each_its_own = short.batch(*[sending.raw(cat_png())] * 4)
    assert [answer.status for answer in each_its_own] == [200] * 4


def test_pictures_in_a_request(served: Served) -> None:
    assert len(served.ask(sending.kserve(*instances(16))).document()["explanations"]) == 16
    assert "17 instances; at most 16" in served.ask(sending.kserve(*instances(17))).refused(413)


def test_maps_of_a_picture(served: Served) -> None:
    short = served.limited(max_targets=4)
    assert short.ask(sending.form(image=cat_png(), target="top4")).status == 200
    assert "at most 4" in short.ask(sending.form(image=cat_png(), target="top5")).refused(422)


@pytest.mark.parametrize(
    "fields",
    [
        {"overlay": "png", "max_side": 0},
        {"overlay": "png", "heatmap": "png"},
        {"overlay": "png", "target": "top4", "heatmap": "none"},
        {"heatmap": "png", "target": "top4"},
        {"target": "top12"},
    ],
)
def test_bytes_of_an_answer(served: Served, fields: dict[str, Any]) -> None:
    request = sending.form(image=encode(cat()), **fields)
    size = len(served.ask(request).body)
    assert len(served.limited(max_answer_bytes=size).ask(request).body) == size
    message = served.limited(max_answer_bytes=size - 1).ask(request).refused(413)
    assert f"at most {size - 1:,} are sent" in message
    for remedy in ("lower max_side", "fewer targets", "jpeg", "heatmap grid or none"):
        assert remedy in message


def test_an_answer_that_grows_too_large_is_not_drawn_to_its_end(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    encode_picture = render.encode

    def count(pixels: render.Pixels, picture_type: str) -> bytes:
        data = encode_picture(pixels, picture_type)
        drawn.append(len(data))
        return data

    monkeypatch.setattr(render, "encode", count)
    short = served.limited(max_answer_bytes=30_000)
    request = sending.form(image=cat_png(), overlay="png", heatmap="none", target="top12")
    assert short.ask(request).refused(413)
    assert sum(drawn[:-1]) * 4 / 3 <= 30_000 < sum(drawn) * 4 / 3 + 3
    assert len(drawn) < 12


def test_bytes_of_predictions_and_of_a_picture_as_the_answer(served: Served) -> None:
    for request in (
        sending.raw(cat_png(), False),
        sending.raw(cat_png(), Accept="image/png"),
    ):
        size = len(served.ask(request).body)
        assert served.limited(max_answer_bytes=size).ask(request).status == 200
        assert served.limited(max_answer_bytes=size - 1).ask(request).refused(413)


@pytest.mark.parametrize(
    ("fields", "drawn"),
    [
        ({"overlay": "png"}, 5400),
        ({"heatmap": "png"}, 5400),
        ({"overlay": "png", "heatmap": "png"}, 2 * 5400),
        ({"overlay": "png", "target": "top4,0"}, 5 * 5400),
        ({"overlay": "png", "max_side": 30}, 600),
    ],
)
def test_drawn_pixels(served: Served, fields: dict[str, Any], drawn: int) -> None:
    request = sending.form(image=cat_png(), **fields)
    assert served.limited(max_drawn_pixels=drawn).ask(request).status == 200
    tight = served.limited(max_drawn_pixels=drawn - 1)
    message = tight.ask(request).refused(413)
    assert f"at most {drawn - 1:,} are drawn: lower max_side" in message
    assert tight.ask(sending.form(False, image=cat_png(), **fields)).status == 200


def test_drawn_pixels_of_all_instances_together(served: Served) -> None:
    short = served.limited(max_drawn_pixels=2 * 5400)
    assert short.ask(sending.kserve(*instances(2, overlay="jpeg"))).status == 200
    message = short.ask(sending.kserve(*instances(3, overlay="jpeg"))).refused(413)
    assert message.startswith("instances[2]: ")


@pytest.mark.parametrize("picture_type", ["png", "jpeg", "webp"])
def test_panels_wider_than_their_encoding_allows(served: Served, picture_type: str) -> None:
    wide = encode(small_cat().resize((100_000, 4)))
    headers = {"Accept": f"image/{picture_type}", "X-Explain-Target": "top12"}
    fields: dict[str, Any] = {"image": wide, "max_side": 0}
    message = served.ask(sending.form(headers=headers, **fields)).refused(413)
    assert "lower max_side or ask for fewer targets" in message


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 40_000)])
def test_very_thin_pictures_are_answered_like_others(served: Served, size: tuple[int, int]) -> None:
    request = sending.form(image=encode(small_cat().resize(size)), overlay="png", heatmap="png")
    document = served.ask(request).document()
    assert document["image"] == {"width": size[0], "height": size[1]}


def test_further_passes_of_a_request(served: Served) -> None:
    short = served.limited(max_passes=6)
    assert short.ask(sending.form(image=cat_png(), smooth=6)).status == 200
    message = short.ask(sending.form(image=cat_png(), smooth=7)).refused(413)
    assert "7 further forward passes; at most 6 are made: lower smooth" in message
    assert short.ask(sending.form(False, image=cat_png(), smooth=7)).status == 200
    assert short.ask(sending.kserve(*instances(2, smooth=3))).status == 200
    refused = short.ask(sending.kserve(*instances(3, smooth=3))).refused(413)
    assert refused.startswith("instances[2]: ")
    huge = sending.form(image=cat_png(), smooth=10**30)
    assert "lower smooth" in served.ask(huge).refused(413)
