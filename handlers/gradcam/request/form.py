"""Forms (``multipart/form-data``, RFC 7578) that TorchServe has handed on unread.

TorchServe reads forms itself, and a handler gets their fields. But where its parser cannot read a
part it fails with 500, and never frees the memory that the form took: with enough broken forms
there is none left. So the container's door gives forms another type, TorchServe takes them for
bytes of a kind that it does not know, and they are read here.

Not with the standard library's ``email``: that takes quadratic time over hostile headers, keeps
whatever character sets they name, and fails on them in ways of its own.
"""

import re
from collections.abc import Iterator

from gradcam.errors import MalformedRequest

UNREAD = "multipart/x-form-data"
"""The type that the door gives forms."""

_MOST_PARTS = 200
_MOST_OF_A_HEADER = 4096  # bytes; names of files have up to 255 characters
# matched, never searched for, and without going back: linear in what it is given
_PARAMETER = re.compile(
    r';[ \t]*([^\s";=]++)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*+"|[^";]*+)[ \t]*', re.DOTALL
)


def is_form(content_type: str) -> bool:
    """Whether this content type, its parameters included, is an unread form's."""
    return _first(content_type) == UNREAD


def read_form(body: bytes | bytearray, content_type: str) -> dict[str, bytes | bytearray]:
    """The fields of a form.

    Args:
        body: All of it.
        content_type: With its boundary.

    Returns:
        The bytes of each part by its name, whatever type and character set it claims.

    Raises:
        MalformedRequest: It cannot be read, or has the same name twice.
    """
    boundary = _parameter(content_type, "boundary")
    if not boundary or not boundary.isascii():
        raise MalformedRequest(
            "the form's content type names no boundary; let the HTTP library write it"
        )
    fields: dict[str, bytes | bytearray] = {}
    for part in _parts(body, boundary.encode()):
        name, value = _read(part)
        if name in fields:
            raise MalformedRequest(f"the form has two parts of the name {name[:80]!r}; send one")
        fields[name] = value
    return fields


def _first(value: str) -> str:
    """What stands before the parameters of a header's value, in lower case."""
    return value.partition(";")[0].strip().lower()


def _parameter(value: str, name: str) -> str:
    """The first parameter of this name in a header's value; empty where there is none."""
    at = value.find(";")
    while at >= 0 and (found := _PARAMETER.match(value, at)):
        if found[1].lower() == name:
            text = found[2]
            quoted = text.startswith('"')
            return re.sub(r'\\(["\\])', r"\1", text[1:-1]) if quoted else text.strip()
        at = found.end()
    return ""


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
        padded = body[end : end + 80]  # a line of the boundary may end in blanks
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


def _read(part: bytes | bytearray) -> tuple[str, bytes | bytearray]:
    header, blank, value = part.partition(b"\r\n\r\n")
    if not blank or len(header) > _MOST_OF_A_HEADER:
        raise MalformedRequest(
            "a part of the form has no header, or one that is too long; each has a line such as "
            'Content-Disposition: form-data; name="image", and an empty line before its content'
        )
    told = _headers(header.decode("utf-8", "replace"))
    disposition = told.get("content-disposition", "")
    name = _parameter(disposition, "name")
    if _first(disposition) != "form-data" or not name:
        raise MalformedRequest(
            "a part of the form has no name; each has a line such as "
            'Content-Disposition: form-data; name="image"'
        )
    encoding = told.get("content-transfer-encoding", "binary").strip().lower()
    if encoding not in ("7bit", "8bit", "binary"):
        raise MalformedRequest(
            f"the form's part {name[:80]!r} is in the transfer encoding {encoding[:80]!r}; send "
            "its bytes as they are"
        )
    return name, value


def _headers(text: str) -> dict[str, str]:
    """The lines of a part's header by their lower-case names; the first of a name counts."""
    told: dict[str, str] = {}
    # a line that begins with a blank goes on with the one before it
    for line in re.sub(r"\r\n[ \t]++", " ", text).split("\r\n"):
        name, _, value = line.partition(":")
        told.setdefault(name.strip().lower(), value)
    return told
