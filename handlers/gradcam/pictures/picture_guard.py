"""Pictures built to be slow: few bytes and few pixels, and yet minutes of decoding.

Decoders walk through a file's segments one by one, and some join metadata in quadratic time. No
camera and no editor comes near these bounds.
"""

from gradcam.errors import BrokenPicture

MOST_SCANS = 100  # a progressive JPEG has about ten
MOST_SEGMENTS = 2_000  # a JPEG with a large colour profile has a few hundred
MOST_EXIF_SEGMENTS = 20
MOST_CHUNKS = 20_000  # 20 MB of PNG in the usual chunks of 8 kB are 2,500
MOST_GIF_METADATA = 1_000_000  # bytes before the first frame
MOST_STRIPS = 20_000  # of a TIFF; a row each in a picture of 20,000 rows


def check_structure(data: bytes | bytearray, file_format: str) -> None:
    """Looks through the file's structure without decoding anything.

    Args:
        data: The encoded picture; a truncated one is left to the decoder.
        file_format: As Pillow names it.

    Raises:
        BrokenPicture: It is built to be slow to decode.
    """
    match file_format:
        case "JPEG":
            _check_jpeg(data)
        case "PNG":
            _check_png(data)
        case "GIF":
            _check_gif(data)


def check_strips(count: int) -> None:
    """Checks how many strips or tiles a TIFF is cut into.

    Raises:
        BrokenPicture: Too many.
    """
    _at_most("TIFF", "strips or tiles", count, MOST_STRIPS)


def _check_jpeg(data: bytes | bytearray) -> None:
    _at_most("JPEG", "scans", data.count(b"\xff\xda"), MOST_SCANS)
    position, segments, exif = 2, 0, 0
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != 0xDA:
        segments += 1
        _at_most("JPEG", "segments", segments, MOST_SEGMENTS)
        if data[position + 1] == 0xFF:  # a fill byte
            position += 1
            continue
        if data[position + 1] == 0xE1 and data[position + 4 : position + 10] == b"Exif\0\0":
            exif += 1
            _at_most("JPEG", "EXIF segments", exif, MOST_EXIF_SEGMENTS)
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")


def _check_png(data: bytes | bytearray) -> None:
    position, chunks = 8, 0
    while position + 8 <= len(data):
        chunks += 1
        _at_most("PNG", "chunks", chunks, MOST_CHUNKS)
        position += 12 + int.from_bytes(data[position : position + 4], "big")


def _check_gif(data: bytes | bytearray) -> None:
    if len(data) < 13:
        return
    position = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    while position + 2 <= len(data) and data[position] != 0x2C:
        if data[position] != 0x21:  # not an extension: the decoder skips it byte by byte
            position += 1
        else:
            position = _behind_blocks(data, position + 2)
        _at_most("GIF", "bytes of metadata", position, MOST_GIF_METADATA)


def _behind_blocks(data: bytes | bytearray, position: int) -> int:
    """Where a GIF's run of sub-blocks, each with its length in front, ends."""
    while position < len(data) and data[position]:
        position += 1 + data[position]
    return position + 1


def _at_most(file_format: str, what: str, count: int, most: int) -> None:
    if count > most:
        raise BrokenPicture(
            f"the {file_format} picture has more than {most:,} {what}, which no camera writes and "
            "which takes very long to decode; save it again"
        )
