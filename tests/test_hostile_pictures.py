"""What is not a whole, decodable picture of a bearable size is refused, quickly and by its kind."""

import functools
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import hostile
from gradcam.errors import (
    BrokenPicture,
    GradcamError,
    MalformedRequest,
    TooLarge,
    UnsupportedPicture,
)
from gradcam.pictures.picture import Picture, decode_picture
from pictures import cat, encode, small_cat

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MOST_BYTES, MOST_PIXELS = 10_000_000, 40_000_000


def decode(data: bytes) -> Picture:
    return decode_picture(data, MOST_BYTES, MOST_PIXELS)


def refusal(data: bytes, kind: type[GradcamError]) -> str:
    with pytest.raises(kind) as caught:
        decode(data)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def test_no_bytes_at_all_are_malformed() -> None:
    assert "empty" in refusal(b"", MalformedRequest)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        *[(file_format, {}) for file_format in FORMATS],
        pytest.param("JPEG", {"progressive": True}, id="progressive JPEG"),
        pytest.param("WEBP", {"lossless": True}, id="lossless WebP"),
        pytest.param("TIFF", {"compression": "tiff_lzw"}, id="compressed TIFF"),
        pytest.param("TIFF", {"compression": "jpeg"}, id="JPEG in TIFF"),
    ],
)
def test_a_truncated_picture_is_broken_wherever_it_ends(
    file_format: str, options: dict[str, object]
) -> None:
    data = encode(cat() if file_format == "JPEG" else small_cat(), file_format, **options)
    decode(data)
    cuts = {1, 2, 3, 4, 7, 8, 12, 20, *range(25, int(len(data) * 0.97), len(data) // 40)}
    for end in sorted(cuts):
        if file_format == "WEBP" and end < 12:
            refusal(data[:end], UnsupportedPicture)  # "RIFF" alone may as well be sound
        else:
            message = refusal(data[:end], BrokenPicture)
            assert "send the whole file" in message, end


@pytest.mark.parametrize("kind", hostile.other_files())
def test_files_of_other_kinds_are_unsupported(kind: str) -> None:
    message = refusal(hostile.other_files()[kind], UnsupportedPicture)
    assert "send it as JPEG, PNG, WebP, GIF, BMP or TIFF" in message


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(100), "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + bytes(100), "AVIF"),
        (encode(small_cat(), "AVIF"), "AVIF"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<SVG width="5">', "SVG"),
    ],
)
def test_known_kinds_that_are_not_decoded_are_told_what_to_convert_to(
    data: bytes, name: str
) -> None:
    message = refusal(data, UnsupportedPicture)
    assert message.startswith(name)
    assert "JPEG, PNG" in message


@contextmanager
def no_more_memory_than(extra: int) -> Iterator[None]:
    """Lets allocations fail beyond so many bytes more than are mapped now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_header_that_claims_billions_of_pixels_is_refused_without_memory(
    file_format: str,
) -> None:
    data = hostile.huge_headers()[file_format]
    assert len(data) < 50_000
    start = time.perf_counter()
    with no_more_memory_than(50_000_000):
        message = refusal(data, TooLarge)
    assert time.perf_counter() - start < 1
    assert "40,000,000 pixels are left" in message


def test_pixels_are_counted_before_they_are_decoded() -> None:
    data = hostile.flat_png(7000, 6000)
    assert len(data) < 200_000
    with no_more_memory_than(20_000_000):
        assert "the picture is 7000×6000" in refusal(data, TooLarge)
    least = decode_picture(hostile.flat_png(40, 30), MOST_BYTES, max_pixels=1200)
    assert (least.width, least.height) == (40, 30)
    with pytest.raises(TooLarge, match="40×30"):
        decode_picture(hostile.flat_png(40, 30), MOST_BYTES, max_pixels=1199)


def test_bytes_are_counted_before_they_are_looked_at() -> None:
    data = encode(small_cat())
    assert decode_picture(data, len(data), MOST_PIXELS).width == small_cat().width
    with pytest.raises(TooLarge, match="send a smaller one"):
        decode_picture(data, len(data) - 1, MOST_PIXELS)


def test_a_jpeg_of_very_many_scans_is_refused_at_once() -> None:
    assert decode(hostile.many_scans(10)).width == cat().width
    start = time.perf_counter()
    assert "scans" in refusal(hostile.many_scans(300), BrokenPicture)
    assert time.perf_counter() - start < 0.5


@functools.cache
def seeds() -> tuple[bytes, ...]:
    tiny = small_cat().resize((14, 9))
    return (
        *(encode(tiny, file_format) for file_format in FORMATS),
        encode(tiny, "JPEG", progressive=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
        encode(hostile.raised_alpha(tiny), "PNG"),
        encode(tiny.convert("P"), "PNG", transparency=3),
        encode(tiny, "WEBP", lossless=True),
        encode(tiny, "TIFF", compression="tiff_lzw"),
        encode(tiny.convert("F"), "TIFF"),
        hostile.frames("GIF", tiny, tiny.transpose(Image.Transpose.ROTATE_180)),
    )


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A small picture with a few bytes overwritten, dropped, doubled or swapped with another's."""
    data = bytearray(draw(st.sampled_from(seeds())))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        length = draw(st.integers(0, 12))
        match draw(st.sampled_from(["overwrite", "drop", "double", "splice", "end"])):
            case "overwrite":
                data[at : at + length] = draw(st.binary(min_size=length, max_size=length))
            case "drop":
                del data[at : at + length]
            case "double":
                data[at:at] = data[at : at + length]
            case "splice":
                data[at:] = draw(st.sampled_from(seeds()))[at:]
            case "end":
                del data[max(at, 1) :]
    return bytes(data)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(mutated() | st.binary(max_size=200))
def test_whatever_the_bytes_are_they_are_a_picture_or_refused_by_kind(data: bytes) -> None:
    try:
        picture = decode_picture(data, MOST_BYTES, max_pixels=100_000)
    except (MalformedRequest, BrokenPicture, TooLarge, UnsupportedPicture):
        return
    assert picture.pixels.shape == (picture.height, picture.width, 3)
    assert 0 < picture.width * picture.height <= 100_000
