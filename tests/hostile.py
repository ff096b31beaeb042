"""Pictures as strangers send them: headers that promise too much, and files of other kinds."""

import io
import struct
import zlib

from PIL import Image

from pictures import cat, encode, small_cat

HUGE = 60_000
"""A side that every header but WebP's can claim; squared it is far beyond any limit."""


def huge_headers() -> dict[str, bytes]:
    """Small files whose headers claim billions of pixels (WebP: the most that it can)."""
    jpeg = bytearray(encode(small_cat(), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", HUGE, HUGE)
    gif = bytearray(encode(small_cat(), "GIF"))
    gif[6:10] = struct.pack("<HH", HUGE, HUGE)
    bmp = bytearray(encode(small_cat(), "BMP"))
    bmp[18:26] = struct.pack("<ii", HUGE, HUGE)
    tiff = encode(small_cat(), "TIFF")
    for size, tag in ((small_cat().width, 256), (small_cat().height, 257)):
        for kind in (b"\x03\0", b"\x04\0"):  # a short or a long
            entry = struct.pack("<H", tag) + kind + struct.pack("<II", 1, size)
            claim = struct.pack("<HHII", tag, 4, 1, HUGE)
            tiff = tiff.replace(entry, claim)
    webp = encode(raised_alpha(small_cat()), "WEBP")  # so that it has a VP8X, which says the size
    canvas = webp.index(b"VP8X") + 12
    most = (16384 - 1).to_bytes(3, "little")
    webp = webp[:canvas] + most + most + webp[canvas + 6 :]
    return {
        "JPEG": bytes(jpeg),
        "PNG": _png(HUGE, HUGE, zlib.compress(bytes(1000))),
        "GIF": bytes(gif),
        "BMP": bytes(bmp),
        "TIFF": tiff,
        "WEBP": webp,
    }


def flat_png(width: int, height: int) -> bytes:
    """An honest black picture in grey levels, that takes a thousandth of its pixels in bytes."""
    return _png(width, height, zlib.compress(bytes((width + 1) * height), 9))


def _png(width: int, height: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    written = [b"\x89PNG\r\n\x1a\n"]
    for kind, content in chunks:
        check = struct.pack(">I", zlib.crc32(kind + content))
        written += [struct.pack(">I", len(content)), kind, content, check]
    return b"".join(written)


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated, each costing a pass over all coefficients."""
    data = encode(cat(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * count + data[-2:]


def other_files() -> dict[str, bytes]:
    """Real files that are no picture in a format that is decoded here."""
    small = small_cat()
    written = {
        kind: encode(small, kind) for kind in ("PDF", "EPS", "ICO", "PPM", "TGA", "PCX", "SGI")
    }
    return written | {
        "text": b"hello, this is not a picture",
        "HTML": b"<!DOCTYPE html><html><body>Not found</body></html>",
        "JSON list": b"[1, 2, 3]",
        "zip": b"PK\x03\x04" + bytes(60),
        "zeros": bytes(5000),
        "MP4": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(100),
        "WAV": b"RIFF\x24\0\0\0WAVEfmt " + bytes(60),
        "JPEG XL": b"\xff\x0a" + bytes(60),
    }


def raised_alpha(image: Image.Image) -> Image.Image:
    """The picture with an alpha channel that rises from left to right."""
    ramp = Image.linear_gradient("L").rotate(90).resize(image.size)
    result = image.copy()
    result.putalpha(ramp)
    return result


def frames(file_format: str, *images: Image.Image) -> bytes:
    """Several pictures in one file."""
    buffer = io.BytesIO()
    options = {"lossless": True} if file_format == "WEBP" else {}
    images[0].save(buffer, file_format, save_all=True, append_images=images[1:], **options)
    return buffer.getvalue()
