"""Picture files of very many parts, which decoders take minutes to read or much memory to keep."""

import functools
import struct
import zlib
from collections.abc import Callable, Mapping

from pictures import encode, small_cat


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


EXIF = segment(0xE1, b"Exif\0\0" + b"x" * 14)
COMMENT = segment(0xFE, b"hello")

SLOW_FILES: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "exif": (functools.partial(jpeg_with, EXIF, 100_000), "EXIF segments"),
    "comments": (functools.partial(jpeg_with, segment(0xFE, b""), 1_000_000), "segments"),
    "fill bytes": (functools.partial(jpeg_with, b"\xff", 1_000_000), "segments"),
    "chunks": (functools.partial(png_with_chunks, 500_000), "chunks"),
    "gif comment": (functools.partial(gif_with_comment, 8_000), "bytes of metadata"),
}
"""How to make each, and what its refusal speaks of."""
