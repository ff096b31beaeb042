"""One picture as a request carries it, still encoded as a file: from bytes or from base64."""

import base64
import binascii
import re
from collections.abc import Mapping

from gradcam.errors import InvalidOption, MalformedRequest, TooLarge

FORMS = (
    "send the bytes of a picture as the body, a form with the picture in 'image' or 'data', "
    'JSON {"image": "<base64>"} or JSON {"instances": [{"b64": "<base64>"}]}'
)
_WHITE = str.maketrans("", "", " \t\r\n")


def as_bytes(picture: object) -> bytes | bytearray:
    """A picture that was sent as bytes, still encoded.

    Raises:
        MalformedRequest: It is something else.
        InvalidOption: It is a URL.
    """
    if isinstance(picture, str):
        picture = picture.encode("utf-8", "replace")
    if not isinstance(picture, bytes | bytearray):
        raise MalformedRequest(f"the picture is not bytes; {FORMS}")
    if _is_url(bytes(picture[:256]).decode("latin-1")):
        raise _url_refused()
    return picture


def from_base64(value: object, max_bytes: int) -> bytes:
    """A picture that was sent as base64, as ``{"b64": …}`` of that, or as a data URL, decoded.

    Raises:
        MalformedRequest: It is none of these.
        TooLarge: It has clearly more than ``max_bytes``.
        InvalidOption: It is a URL.
    """
    if isinstance(value, Mapping) and set(value) == {"b64"}:
        value = value["b64"]
    if isinstance(value, Mapping) and "url" in value:
        raise _url_refused()
    if not isinstance(value, str):
        raise MalformedRequest(f"the picture is a {type(value).__name__}, not base64 text")
    if _is_url(value[:256]):
        raise _url_refused()
    if value[:256].lstrip().lower().startswith("data:"):
        kind, comma, value = value.partition(",")
        if not comma or not kind.rstrip().lower().endswith(";base64"):
            raise MalformedRequest("the data URL is not of the form data:image/png;base64,…")
    if len(value) * 3 // 4 > max_bytes * 1.1 + 4:
        raise TooLarge(
            f"the picture has about {len(value) * 3 // 4:,} bytes; at most {max_bytes:,} are "
            "taken, so send a smaller one"
        )
    try:
        return base64.b64decode(value.translate(_WHITE), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedRequest(f"the picture is not base64 ({error})") from None


def _is_url(start: str) -> bool:
    return re.match(r"\s*[a-z][a-z0-9+.-]*://", start, re.IGNORECASE) is not None


def _url_refused() -> InvalidOption:
    return InvalidOption(
        "a picture's URL is not fetched, because then a client could make this server call "
        "addresses inside your network; fetch the picture and send its bytes"
    )
