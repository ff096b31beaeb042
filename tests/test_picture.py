"""Every kind of picture comes out upright and in its right colours."""

import contextlib
import io
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from PIL import Image, ImageOps

from gradcam.pictures import picture
from gradcam.pictures.picture import decode_picture
from hostile import frames, raised_alpha
from pictures import decode, encode, far, small_cat


def over_white(image: Image.Image) -> Image.Image:
    """Alpha blending by its definition."""
    values = np.asarray(image.convert("RGBA")).astype(np.float64)
    share = values[:, :, 3:] / 255
    return Image.fromarray((share * values[:, :, :3] + (1 - share) * 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("file_format", "mode", "tolerance"),
    [
        ("JPEG", "L", 2),
        ("JPEG", "RGB", 4),
        ("JPEG", "CMYK", 4),
        ("JPEG", "YCbCr", 4),
        ("PNG", "1", 0),
        ("PNG", "L", 0),
        ("PNG", "P", 0),
        ("PNG", "RGB", 0),
        ("WEBP", "L", 4),
        ("WEBP", "RGB", 5),
        ("GIF", "1", 0),
        ("GIF", "L", 0),
        ("GIF", "P", 0),
        ("GIF", "RGB", 8),  # it keeps 256 colours
        ("BMP", "1", 0),
        ("BMP", "L", 0),
        ("BMP", "P", 0),
        ("BMP", "RGB", 0),
        ("BMP", "RGBA", 0),
        ("TIFF", "1", 0),
        ("TIFF", "L", 0),
        ("TIFF", "P", 0),
        ("TIFF", "RGB", 0),
        ("TIFF", "RGBX", 0),
        ("TIFF", "CMYK", 0),
        ("TIFF", "YCbCr", 1),
        ("TIFF", "LAB", 3),
    ],
)
def test_every_opaque_mode_keeps_its_colours(file_format: str, mode: str, tolerance: int) -> None:
    image = _lab(small_cat()) if mode == "LAB" else small_cat().convert(mode)
    expected = small_cat() if mode == "LAB" else image.convert("RGB")
    assert far(decode(encode(image, file_format, quality=95)), expected) <= tolerance


def _lab(image: Image.Image) -> Image.Image:
    """To CIE L*a*b* with OpenCV, whose a* and b* are 128 more than Pillow's."""
    values = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2LAB) ^ np.array([0, 128, 128], np.uint8)
    return Image.frombytes("LAB", image.size, values.tobytes())


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_compressed_tiff_is_decoded(compression: str) -> None:
    data = encode(small_cat(), "TIFF", compression=compression)
    assert far(decode(data), small_cat()) <= (5 if compression == "jpeg" else 0)


@pytest.mark.parametrize(
    ("file_format", "mode", "options"),
    [
        ("PNG", "LA", {}),
        ("PNG", "RGBA", {}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("TIFF", "LA", {}),
        ("TIFF", "RGBA", {}),
    ],
)
def test_transparency_is_laid_over_white(
    file_format: str, mode: str, options: dict[str, Any]
) -> None:
    image = raised_alpha(small_cat()).convert(mode)
    decoded = decode(encode(image, file_format, **options))
    assert far(decoded, over_white(image)) <= 1
    assert np.asarray(decoded)[:, 0].min() >= 250 or np.asarray(decoded)[:, -1].min() >= 250


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_a_transparent_palette_colour_becomes_white(file_format: str) -> None:
    image = Image.new("P", (8, 4), 1)
    image.putpalette([0, 0, 0, 200, 30, 40])
    image.paste(0, (0, 0, 4, 4))
    decoded = np.asarray(decode(encode(image, file_format, transparency=0)))
    assert (decoded[:, :4] == 255).all()
    assert (decoded[:, 4:] == (200, 30, 40)).all()


def test_a_palette_with_an_alpha_for_each_colour_is_laid_over_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 0, 100])
    image.putpixel((1, 0), 1)
    decoded = np.asarray(decode(encode(image, "PNG", transparency=bytes([51, 102]))))
    assert np.abs(decoded[0].astype(int) - [(204, 204, 204), (233, 153, 193)]).max() <= 1


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_of_several_frames_the_first_is_taken(file_format: str) -> None:
    first, second = small_cat(), ImageOps.invert(small_cat())
    data = frames(file_format, first, second)
    with Image.open(io.BytesIO(data)) as image:
        assert getattr(image, "n_frames", 1) == 2
    assert far(decode(data), first) <= 8


UPRIGHT: dict[int, Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}
"""What EXIF says that a viewer must do with the stored rows and columns."""


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_exif_orientation_is_applied(file_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(small_cat(), file_format, exif=exif)
    expected = Image.fromarray(UPRIGHT[orientation](np.asarray(small_cat())))
    assert far(decode(data), expected) <= 8


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0garbage that is no TIFF header at all",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x0112, 3, 1, 99) + bytes(4),
        b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x0112, 2, 90, 4000) + bytes(4),
    ],
)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_broken_exif_is_tolerated(file_format: str, exif: bytes) -> None:
    data = encode(small_cat(), file_format, exif=exif)
    assert far(decode(data), small_cat()) <= 8


def test_one_pixel_is_a_picture() -> None:
    assert decode(encode(Image.new("RGB", (1, 1), (9, 8, 7)))).getpixel((0, 0)) == (9, 8, 7)


def test_real_photographs_are_decoded_upright(photographs: Path) -> None:
    turned = 0
    paths = sorted(photographs.glob("*.JPEG"))
    assert paths
    for path in paths:
        data = path.read_bytes()
        with Image.open(path) as stored:
            orientation, size = stored.getexif().get(0x0112, 1), stored.size
        picture = decode_picture(data, max_bytes=20_000_000, max_pixels=40_000_000)
        assert (picture.width, picture.height) == (size if orientation < 5 else size[::-1])
        turned += orientation != 1
    assert turned >= 1


@pytest.mark.parametrize("mode", ["RGB", "I;16"])
def test_a_transparent_colour_without_a_palette_becomes_white(mode: str) -> None:
    image = Image.new(mode, (8, 4), 0 if mode == "I;16" else (0, 0, 0))
    image.paste(30_000 if mode == "I;16" else (10, 20, 30), (4, 0, 8, 4))
    clear = 0 if mode == "I;16" else (0, 0, 0)
    decoded = np.asarray(decode(encode(image, "PNG", transparency=clear)))
    assert (decoded[:, :4] == 255).all()
    assert (decoded[:, 4:] < 200).all()


# --- at a reduced scale ---


def large_photograph(**options: Any) -> bytes:
    """A JPEG of 1536×1024 pixels."""
    image = Image.fromarray(skimage.data.astronaut()).resize((1536, 1024))
    return encode(image, "JPEG", quality=90, **options)


@pytest.mark.parametrize(
    ("reduce_to", "size"),
    [
        (0, (1536, 1024)),
        (512, (768, 512)),
        (256, (384, 256)),
        (100, (192, 128)),
        (600, (1536, 1024)),
    ],
)
def test_a_large_jpeg_is_decoded_at_a_scale_that_keeps_what_is_needed(
    reduce_to: int, size: tuple[int, int]
) -> None:
    data = large_photograph()
    picture = decode_picture(data, len(data), 10_000_000, reduce_to=reduce_to)
    assert (picture.width, picture.height) == (1536, 1024)
    assert picture.pixels.shape[1::-1] == size
    whole = Image.open(io.BytesIO(data)).resize(picture.pixels.shape[1::-1], Image.Resampling.BOX)
    assert far(Image.fromarray(picture.pixels), whole) < 40


def test_a_turned_jpeg_is_as_wide_as_it_is_high_at_a_reduced_scale_too() -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be turned by a quarter
    data = large_photograph(exif=exif)
    picture = decode_picture(data, len(data), 10_000_000, reduce_to=256)
    assert (picture.width, picture.height) == (1024, 1536)
    assert picture.pixels.shape == (384, 256, 3)


@pytest.mark.parametrize("turned", [1, 3, 6, 8])
def test_sides_of_nearly_one_length_are_not_mistaken_for_each_other(turned: int) -> None:
    exif = Image.Exif()
    exif[274] = turned
    data = encode(Image.new("RGB", (799, 800), "teal"), "JPEG", exif=exif)
    picture = decode_picture(data, len(data), 10_000_000, reduce_to=256)
    assert picture.pixels.shape == (400, 400, 3)
    assert (picture.width, picture.height) == ((800, 799) if turned > 4 else (799, 800))


def test_other_formats_are_decoded_whole() -> None:
    data = encode(small_cat(), "PNG")
    picture = decode_picture(data, len(data), 10_000_000, reduce_to=8)
    assert picture.pixels.shape == (picture.height, picture.width, 3)


# --- beside each other ---


@pytest.mark.parametrize(("most", "together"), [(100_000, 2), (1000, 1)])
def test_large_pictures_are_decoded_one_at_a_time_and_small_ones_beside_each_other(
    monkeypatch: pytest.MonkeyPatch, most: int, together: int
) -> None:
    monkeypatch.setattr(picture, "_LARGE", most)
    data, decode, meeting = encode(small_cat(), "PNG"), picture._decode, threading.Barrier(2)
    met = []

    def meet(*arguments: Any) -> Any:
        with contextlib.suppress(threading.BrokenBarrierError):
            meeting.wait(timeout=1)
            met.append(True)
        return decode(*arguments)

    monkeypatch.setattr(picture, "_decode", meet)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: decode_picture(data, len(data), 10_000_000), range(2)))
    assert len(met) == (2 if together == 2 else 0)
    assert all((one.width, one.height) == small_cat().size for one in found)
