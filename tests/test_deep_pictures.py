"""Pictures of more than eight bits a channel fill the range that they have."""

import struct
import warnings
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pictures import decode, encode, far, small_cat

GREY = small_cat().convert("L")
GREY16 = np.asarray(GREY).astype(np.uint16) * 257


def _cv(values: npt.NDArray[Any], ending: str) -> bytes:
    done, data = cv2.imencode(ending, values)
    assert done
    return data.tobytes()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(lambda: encode(Image.fromarray(GREY16)), GREY, id="PNG I;16"),
        pytest.param(lambda: encode(Image.fromarray(GREY16), "TIFF"), GREY, id="TIFF I;16"),
        pytest.param(
            lambda: encode(Image.fromarray(GREY16.astype(">u2")), "TIFF"), GREY, id="TIFF I;16B"
        ),
        pytest.param(
            lambda: encode(Image.fromarray(GREY16.astype(np.int32)), "TIFF"), GREY, id="TIFF I"
        ),
        pytest.param(
            lambda: encode(Image.fromarray(np.asarray(GREY, np.float32)), "TIFF"),
            GREY,
            id="TIFF F to 255",
        ),
        pytest.param(
            lambda: encode(Image.fromarray(np.asarray(GREY, np.float32) / 255), "TIFF"),
            GREY,
            id="TIFF F to 1",
        ),
        pytest.param(
            lambda: encode(Image.fromarray(GREY16.astype(np.float32)), "TIFF"),
            GREY,
            id="TIFF F to 65535",
        ),
        pytest.param(
            lambda: _cv(np.asarray(small_cat())[:, :, ::-1].astype(np.uint16) * 257, ".png"),
            small_cat(),
            id="PNG, 16 bits of each colour",
        ),
        pytest.param(
            lambda: _cv(np.asarray(small_cat())[:, :, ::-1].astype(np.uint16) * 257, ".tiff"),
            small_cat(),
            id="TIFF, 16 bits of each colour",
        ),
    ],
)
def test_more_than_eight_bits_are_scaled_and_not_clipped(
    make: Callable[[], bytes], expected: Image.Image
) -> None:
    assert far(decode(make()), expected) <= 1


def test_a_dark_16_bit_picture_stays_dark() -> None:
    values = np.full((4, 4), 12 * 257, np.uint16)
    assert np.asarray(decode(encode(Image.fromarray(values)))).tolist() == [[[12] * 3] * 4] * 4


def tiff_of_12_bits(values: npt.NDArray[np.uint16]) -> bytes:
    """Grey values 0…4095, two in three bytes; Pillow writes no such file."""
    height, width = values.shape
    packed = b"".join(
        (int(left) << 12 | int(right)).to_bytes(3, "big") for left, right in values.reshape(-1, 2)
    )
    entries = [(256, width), (257, height), (258, 12), (259, 1), (262, 1), (273, 8)]
    entries += [(277, 1), (278, height), (279, len(packed))]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + directory + bytes(4)


def test_12_bit_grey_fills_its_own_range() -> None:
    values = np.array([[0, 2048], [4095, 1024]], np.uint16)
    decoded = np.asarray(decode(tiff_of_12_bits(values)))
    assert decoded[:, :, 0].tolist() == [[0, 128], [255, 64]]


def test_16_bit_grey_whose_zero_is_white_is_turned_over() -> None:
    values = np.array([[0, 257 * 55], [65535, 257 * 200]], np.uint16)
    data = encode(Image.fromarray(values), "TIFF", tiffinfo={262: 0})
    assert np.asarray(decode(data))[:, :, 0].tolist() == [[255, 200], [0, 55]]


def test_a_number_that_signals_makes_no_noise() -> None:
    values = np.array([[0x7F800001, 0x3F800000]], np.uint32).view(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoded = np.asarray(decode(encode(Image.fromarray(values), "TIFF")))
    assert decoded[:, :, 0].tolist() == [[0, 255]]


def test_grey_numbers_that_are_no_numbers_are_black() -> None:
    values = np.array([[np.nan, np.inf, -np.inf], [-3.0, 0.5, 1.0]], np.float32)
    decoded = np.asarray(decode(encode(Image.fromarray(values), "TIFF")))
    assert decoded[:, :, 0].tolist() == [[0, 0, 0], [0, 128, 255]]
