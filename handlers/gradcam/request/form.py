"""Forms (``multipart/form-data``, RFC 7578) that TorchServe has handed on unread.

TorchServe reads forms itself, and a handler gets their fields. But where its parser cannot read a
part it fails with 500, and never frees the memory that the form took: some hundred broken forms
leave it with none. So the container's door gives forms another type, TorchServe takes them for
bytes of a kind that it does not know, and they are read here.
"""

import json
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value

from gradcam.errors import MalformedRequest

UNREAD = "multipart/x-form-data"
"""The type that the door gives forms."""

_TYPES = ("multipart/form-data", UNREAD)
_AS_THEY_ARE = ("", "7bit", "8bit", "binary")  # transfer encodings that change nothing
_MOST_PARTS = 200
_MOST_OF_A_HEADER = 8192


def is_form(content_type: str) -> bool:
    """Whether this content type, its parameters included, is a form's."""
    return _headed("Content-Type", content_type).get_content_type() in _TYPES


def read_form(body: bytes | bytearray, content_type: str) -> dict[str, object]:
    """The fields of a form, as TorchServe would have given them.

    Args:
        body: All of it.
        content_type: With its boundary.

    Returns:
        By name: bytes, or what JSON holds in a part that says that it is JSON.

    Raises:
        MalformedRequest: It cannot be read, or has the same name twice.
    """
    boundary = _headed("Content-Type", content_type).get_boundary("")
    if not boundary or not boundary.isascii():
        raise MalformedRequest(
            "the form's content type names no boundary; let the HTTP library write it"
        )
    fields: dict[str, object] = {}
    for part in _parts(body, boundary.encode()):
        name, value = _read(part)
        if name in fields:
            raise MalformedRequest(f"the form has two parts of the name {name[:80]!r}; send one")
        fields[name] = value
    return fields


def _headed(name: str, value: str) -> Message:
    message = Message()
    message[name] = value
    return message


def _parts(body: bytes | bytearray, boundary: bytes) -> Iterator[bytes | bytearray]:
    """What lies between the lines that are the boundary; each part begins with a line's end."""
    begun = None
    for start, end, last in _lines_of_the_boundary(body, boundary):
        if begun is not None:
            yield body[begun:start]
        if last:
            return
        begun = end
    raise MalformedRequest("the form breaks off: its last boundary is missing")


def _lines_of_the_boundary(
    body: bytes | bytearray, boundary: bytes
) -> Iterator[tuple[int, int, bool]]:
    """Where each begins, with the line's end before it, where it ends, and if it is the last."""
    text = b"--" + boundary
    at = body.find(text)
    for _ in range(_MOST_PARTS + 1):
        if at < 0:
            return
        end = at + len(text)
        last = body.startswith(b"--", end)
        end += 2 * last
        padded = body[end : end + 80]
        rest = padded.lstrip(b" \t")
        end += len(padded) - len(rest)
        alone = rest.startswith(b"\r\n") or end == len(body)
        if alone and (at == 0 or body.startswith(b"\r\n", at - 2)):
            yield max(at - 2, 0), end, last
        at = body.find(text, at + 1)
    raise MalformedRequest(
        f"the form has its boundary more than {_MOST_PARTS} times; send fewer parts, or choose a "
        "longer boundary"
    )


def _read(part: bytes | bytearray) -> tuple[str, object]:
    header, blank, value = part.partition(b"\r\n\r\n")
    if not blank or len(header) > _MOST_OF_A_HEADER:
        raise MalformedRequest(
            "a part of the form has no header, or one that is too long; each has a line such as "
            'Content-Disposition: form-data; name="image", and an empty line before its content'
        )
    told = HeaderParser().parsestr(header.lstrip(b"\r\n").decode("utf-8", "replace"))
    given = told.get_param("name", header="Content-Disposition")
    name = collapse_rfc2231_value(given) if given else ""
    if told.get_content_disposition() != "form-data" or not name:
        raise MalformedRequest(
            "a part of the form has no name; each has a line such as "
            'Content-Disposition: form-data; name="image"'
        )
    encoding = str(told.get("Content-Transfer-Encoding", "")).strip().lower()
    if encoding not in _AS_THEY_ARE:
        raise MalformedRequest(
            f"the form's part {name[:80]!r} is in the transfer encoding {encoding[:80]!r}; send "
            "its bytes as they are"
        )
    if told.get_content_type() != "application/json":
        return name, value
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError) as error:
        raise MalformedRequest(
            f"the form's part {name[:80]!r} is not the JSON that it says it is ({error})"
        ) from None
