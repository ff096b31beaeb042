"""From bytes to an upright RGB picture, safe against what strangers send."""

import contextlib
import io
import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from gradcam.errors import BrokenPicture, MalformedRequest, TooLarge, UnsupportedPicture
from gradcam.geometry import Box
from gradcam.pictures.picture_guard import check_strips, check_structure

Pixels = npt.NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""What is decoded; Pillow's decoders of anything else are never reached."""

_MAGIC = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")
_DEPTH_OF_TIFF, _MEANING_OF_TIFF = 258, 262  # bits per sample; 0 where 0 is white
_PARTS_OF_TIFF = (273, 324)  # the offsets of its strips, of its tiles
_TURNED = (5, 6, 7, 8)  # of the EXIF orientations
_LARGE = 8_000_000  # pixels, of which decoding holds some ten bytes each
_ONE_AT_A_TIME = threading.Lock()
_CONVERT = "send it as JPEG, PNG, WebP, GIF, BMP or TIFF"


@dataclass(frozen=True)
class Picture:
    """A decoded picture, upright.

    Attributes:
        pixels: ``[h, w, 3]``, RGB, EXIF orientation applied. Of the picture's own size, or of a
            fraction of it where it was decoded at a reduced scale.
        width: Of the picture, in pixels.
        height: Likewise.
    """

    pixels: Pixels
    width: int
    height: int

    @classmethod
    def of(cls, image: Image.Image) -> "Picture":
        """An RGB picture that Pillow holds, copied."""
        return cls(np.array(image), image.width, image.height)

    @property
    def frame(self) -> Box:
        """The whole picture."""
        return Box(0, 0, self.width, self.height)


def decode_picture(
    data: bytes | bytearray, max_bytes: int, max_pixels: int, *, reduce_to: int = 0
) -> Picture:
    """Decodes one picture; of an animation, the first frame.

    Transparency is laid over white, more than 8 bits per channel are scaled down, not clipped.

    Args:
        data: The encoded picture.
        max_bytes: The most bytes that are looked at.
        max_pixels: The most pixels that are decoded, judged by the header.
        reduce_to: A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long as both sides keep
            so many pixels; 0 keeps every picture as it is. The pixels differ from those of the
            whole picture resized by more than rounding.

    Raises:
        MalformedRequest: There are no bytes.
        BrokenPicture: Truncated or corrupt.
        TooLarge: Beyond a limit.
        UnsupportedPicture: Not in one of :data:`FORMATS`.
    """
    if not data:
        raise MalformedRequest("the picture is empty; send the bytes of a picture file")
    if len(data) > max_bytes:
        raise TooLarge(
            f"the picture has {len(data):,} bytes; at most {max_bytes:,} are taken, "
            "so send a smaller one"
        )
    file_format = _sniff(data)
    check_structure(data, file_format)
    try:
        with Image.open(io.BytesIO(data), formats=[file_format]) as image:
            _check_size(image, max_pixels)
            # what decoding holds beside the pixels must not be multiplied by the threads
            large = image.width * image.height > _LARGE
            with _ONE_AT_A_TIME if large else contextlib.nullcontext():
                return _decode(image, reduce_to)
    except (TooLarge, BrokenPicture):
        raise
    except Image.DecompressionBombError:
        raise TooLarge(f"the picture is gigantic; {_too_many(max_pixels)}") from None
    except MemoryError:
        raise TooLarge("the picture needs more memory to decode than there is") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on corrupt bytes
        raise BrokenPicture(
            f"the {file_format} picture is truncated or corrupt ({_first_line(error)}); "
            "send the whole file"
        ) from error


def _decode(image: Image.Image, reduce_to: int) -> Picture:
    """Decodes a picture whose header has been read."""
    size = image.size
    if isinstance(image, TiffImageFile):
        check_strips(max(len(image.tag_v2.get(tag, ())) for tag in _PARTS_OF_TIFF))
    if reduce_to:  # which nothing but a JPEG takes notice of
        image.draft(None, (min(reduce_to, size[0]), min(reduce_to, size[1])))
    image.load()
    reduced = image.size != size
    picture = _to_rgb(_upright(image), _depth(image))
    if _is_negative(image):
        picture = ImageOps.invert(picture)
    width, height = (size[::-1] if _is_turned(image) else size) if reduced else picture.size
    return Picture(np.array(picture), width, height)


def _sniff(data: bytes | bytearray) -> str:
    head = bytes(data[:1024])
    for file_format, magics in _MAGIC.items():
        if head.startswith(magics):
            return file_format
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, 64, 4))}
        if brands.intersection(_AVIF_BRANDS):
            raise UnsupportedPicture(f"AVIF pictures are not decoded here; {_CONVERT}")
        if brands.intersection(_HEIF_BRANDS):
            raise UnsupportedPicture(f"HEIC pictures are not decoded here; {_CONVERT}")
    if b"<svg" in head.lower():
        raise UnsupportedPicture(f"SVG is a drawing, not a picture; render it and {_CONVERT}")
    if any(magic.startswith(head) for magics in _MAGIC.values() for magic in magics):
        raise BrokenPicture(f"the picture ends after {len(head)} bytes; send the whole file")
    raise UnsupportedPicture(f"these bytes are not a picture that is decoded here; {_CONVERT}")


def _check_size(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise TooLarge(f"the picture is {image.width}×{image.height}; {_too_many(max_pixels)}")


def _too_many(max_pixels: int) -> str:
    return f"of what one request may have, {max_pixels:,} pixels are left, so send a smaller one"


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken metadata says nothing about the orientation
        return image


def _is_turned(image: Image.Image) -> bool:
    """Whether the upright picture's rows are the file's columns."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation) in _TURNED
    except Exception:  # as above
        return False


def _depth(image: Image.Image) -> int:
    """The file's bits per sample, for the modes of 16-bit grey."""
    return (
        int(image.tag_v2.get(_DEPTH_OF_TIFF, (16,))[0]) if isinstance(image, TiffImageFile) else 16
    )


def _is_negative(image: Image.Image) -> bool:
    """Whether 0 is white; Pillow turns such pictures over itself, except those of 16 bits."""
    return (
        isinstance(image, TiffImageFile)
        and image.mode.startswith("I;16")
        and image.tag_v2.get(_MEANING_OF_TIFF) == 0
    )


def _to_rgb(image: Image.Image, depth: int) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep_grey(image, depth)
    if image.mode == "La":  # premultiplied alpha, which Pillow converts to nothing else
        image = image.convert("LA")
    if image.has_transparency_data or image.mode == "RGBa":
        picture = image.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_deep_grey(image: Image.Image, depth: int) -> Image.Image:
    """Scales 16-bit and 32-bit grey to 8 bits, by the file's depth or what the values show."""
    with np.errstate(invalid="ignore"):  # such as a signalling NaN
        values = np.asarray(image).astype(np.float64)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0).clip(min=0.0)
    greatest = float(values.max(initial=0.0))
    if image.mode.startswith("I;16"):
        white = 2.0**depth - 1
    elif image.mode == "F" and greatest <= 1.0:
        white = 1.0
    else:
        white = next((top for top in (255.0, 65535.0) if greatest <= top), greatest)
    grey = np.round(values * (255.0 / white)).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
