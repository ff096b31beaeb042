"""Requests built to take minutes: refused at once, or cut short at their own cost only."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

import sending
from archive_dir import Served
from gradcam import engine, service
from gradcam.errors import BrokenPicture
from gradcam.geometry import Region
from gradcam.picture import decode_picture
from gradcam.picture_guard import check_strips
from gradcam.render import spread
from pictures import cat_png, encode, small_cat


def jpeg_with(segment: bytes, count: int) -> bytes:
    data = encode(small_cat(), "JPEG")
    return data[:2] + segment * count + data[2:]


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def png_with_chunks(count: int) -> bytes:
    data = encode(small_cat(), "PNG")
    chunk = struct.pack(">I", 0) + b"teSt" + struct.pack(">I", zlib.crc32(b"teSt"))
    return data[:33] + chunk * count + data[33:]


def gif_with_comment(blocks: int) -> bytes:
    data = encode(small_cat().convert("P"), "GIF")
    start = 13 + (3 << ((data[10] & 7) + 1))  # behind the palette
    comment = b"\x21\xfe" + (b"\xff" + b"c" * 255) * blocks + b"\0"
    return data[:start] + comment + data[start:]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (jpeg_with(segment(0xE1, b"Exif\0\0" + b"x" * 14), 100_000), "EXIF segments"),
        (jpeg_with(segment(0xFE, b""), 1_000_000), "segments"),
        (jpeg_with(b"\xff", 1_000_000), "segments"),
        (png_with_chunks(500_000), "chunks"),
        (gif_with_comment(8_000), "bytes of metadata"),
    ],
    ids=["exif", "comments", "fill bytes", "chunks", "gif comment"],
)
def test_files_of_very_many_parts_are_refused_before_decoding(data: bytes, what: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(BrokenPicture, match=what):
        decode_picture(data, 20_000_000, 40_000_000)
    assert time.perf_counter() - begun < 5  # decoding any of them takes far longer


@pytest.mark.parametrize(
    "data",
    [
        jpeg_with(segment(0xE1, b"Exif\0\0" + b"x" * 14), 2),
        jpeg_with(segment(0xFE, b"hello"), 200),
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


def test_when_time_is_up_those_who_ask_for_much_are_refused(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = sending.raw(cat_png())
    several = sending.form(image=cat_png(), target="top4")
    instances = sending.kserve(*[{"b64": sending.b64(cat_png())}] * 3)
    hurried = served.limited(max_seconds=1, max_rows=3)
    unhurried = hurried.batch(plain, several, instances, plain)
    assert [answer.status for answer in unhurried] == [200, 200, 200, 200]
    clock = Clock()
    monkeypatch.setattr(service, "time", clock)
    monkeypatch.setattr(engine, "time", clock)
    answers = hurried.batch(plain, several, instances, plain)
    assert [answer.status for answer in answers] == [200, 413, 413, 200]
    assert "ask for fewer targets, send fewer instances" in answers[1].refused(413)
    (first,) = answers[0].document()["explanations"]
    (before,) = unhurried[0].document()["explanations"]
    assert first["index"] == before["index"]
    assert first["heatmap"]["max"] == pytest.approx(before["heatmap"]["max"], rel=1e-4)
