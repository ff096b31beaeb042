"""Requests built to take minutes: refused at once, or cut short at their own cost only."""

import io
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

import sending
from archive_dir import Served
from gradcam import Explainer, chunks, service
from gradcam.engine import forward
from gradcam.errors import BrokenPicture, EngineFault
from gradcam.geometry import Region
from gradcam.pictures.picture import Picture, decode_picture
from gradcam.pictures.picture_guard import check_strips
from gradcam.pictures.render import spread
from gradcam.request import intake
from pictures import cat, cat_png, encode, small_cat
from slow_files import COMMENT, EXIF, SLOW_FILES, gif_with_comment, jpeg_with, png_with_chunks


@pytest.mark.parametrize("name", SLOW_FILES)
def test_files_of_very_many_parts_are_refused_before_pillow_sees_them(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, what = SLOW_FILES[name]
    data = make()
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("Pillow was given the file"))
    with pytest.raises(BrokenPicture, match=what):
        decode_picture(data, 20_000_000, 40_000_000)


@pytest.mark.parametrize(
    "data",
    [
        jpeg_with(EXIF, 2),
        jpeg_with(COMMENT, 200),
        png_with_chunks(100),
        gif_with_comment(10),
    ],
)
def test_files_of_some_parts_are_decoded(data: bytes) -> None:
    assert decode_picture(data, 20_000_000, 40_000_000).width == small_cat().width


def test_a_tiff_of_very_many_strips_is_refused() -> None:
    check_strips(20_000)
    with pytest.raises(BrokenPicture, match="strips"):
        check_strips(20_001)
    written = io.BytesIO()
    Image.new("L", (1, 30_000)).save(
        written, "TIFF", compression="tiff_lzw", tiffinfo={278: 1}
    )  # rows a strip
    with pytest.raises(BrokenPicture, match="strips"):
        decode_picture(written.getvalue(), 20_000_000, 40_000_000)


def test_very_long_lists_of_targets_are_refused_unread(served: Served) -> None:
    long = [0] * 1_000_000
    request = sending.body({"image": sending.b64(cat_png()), "target": long})
    assert "1000000 classes; at most 1000" in served.ask(request).refused(422)
    text = sending.form(image=cat_png(), target="0," * 100_000)
    assert "characters" in served.ask(text).refused(422)
    duplicates = sending.body({"image": sending.b64(cat_png()), "target": [0, 1] * 500})
    assert len(served.ask(duplicates).document()["explanations"]) == 2


def test_a_gigantic_thin_map_takes_memory_for_its_pixels_only() -> None:
    grid = np.random.default_rng(0).random((224, 224), np.float32)
    values, rows, columns = spread(grid, Region(0, 0, 3_000_000, 1), 3_000_000, 1)
    assert values.shape == (1, 3_000_000)  # 12 MB; weights for every cell would be 2.7 GB
    assert (rows, columns) == (slice(0, 1), slice(0, 3_000_000))


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


def hurry(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
    """Every look at the clock from these modules finds a second gone."""
    clock = Clock()
    for module in modules:
        monkeypatch.setattr(module, "time", clock)


def test_when_time_is_up_those_who_ask_for_much_are_refused(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = sending.raw(cat_png())
    several = sending.form(image=cat_png(), target="top4")
    instances = sending.kserve(*[{"b64": sending.b64(cat_png())}] * 3)
    unhurried = served.limited(max_rows=3).batch(plain, several, instances, plain)
    assert [answer.status for answer in unhurried] == [200, 200, 200, 200]
    hurry(monkeypatch, service, chunks, forward)
    answers = served.limited(max_seconds=1, max_rows=3).batch(plain, several, instances, plain)
    assert [answer.status for answer in answers] == [200, 413, 413, 200]
    assert "ask for fewer targets or a lower max_side, send fewer instances" in answers[1].refused(
        413
    )
    (first,) = answers[0].document()["explanations"]
    (before,) = unhurried[0].document()["explanations"]
    assert first["index"] == before["index"]
    assert first["heatmap"]["max"] == pytest.approx(before["heatmap"]["max"], rel=1e-4)


def test_when_time_is_up_no_further_picture_of_a_request_is_decoded(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []

    def count(data: bytes, *limits: int, **options: int) -> Picture:
        decoded.append(len(data))
        return decode_picture(data, *limits, **options)

    monkeypatch.setattr(intake, "decode_picture", count)
    hurried = served.limited(max_seconds=1)
    hurry(monkeypatch, service, chunks, intake)
    instances = sending.kserve(*[{"b64": sending.b64(cat_png())}] * 4)
    answers = hurried.batch(instances, sending.raw(cat_png()))
    assert [answer.status for answer in answers] == [413, 200]
    assert len(decoded) == 3  # two of the four, then time was up, and the other request's first


def test_when_time_is_up_only_small_pictures_are_drawn_and_the_smallest_first(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge, large = (encode(cat().resize((side, side)), "JPEG") for side in (2600, 2400))
    batch = [
        sending.raw(huge, X_Explain_Overlay="jpeg", X_Explain_Max_Side="0"),
        sending.raw(large, X_Explain_Overlay="jpeg", X_Explain_Max_Side="0"),
        sending.raw(large, X_Explain_Overlay="jpeg"),
        sending.raw(huge),
        sending.raw(b"hello"),
    ]
    assert [answer.status for answer in served.batch(*batch)] == [200, 200, 200, 200, 415]
    hurry(monkeypatch, service, chunks)
    answers = served.limited(max_seconds=1).batch(*batch)
    assert [answer.status for answer in answers] == [413, 200, 200, 200, 415]
    assert "lower max_side" in answers[0].refused(413)
    assert answers[2].document()["explanations"][0]["overlay"]["data"]


def test_what_failed_is_told_so_even_when_time_is_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = encode(cat().resize((2400, 2400)), "JPEG")
    own_size = sending.raw(large, X_Explain_Overlay="jpeg", X_Explain_Max_Side="0")
    hurried = served.limited(max_seconds=1)
    hurry(monkeypatch, service, chunks)

    def fail(_explainer: object, batch: Tensor, *_: object) -> list[EngineFault]:
        return [EngineFault("the network's output is not finite")] * len(batch)

    monkeypatch.setattr(Explainer, "run", fail)
    answers = hurried.batch(own_size, own_size, own_size)
    assert ["not finite" in answer.refused(500) for answer in answers] == [True] * 3
