"""Requests in every way of sending them, through TorchServe's own framing and decoding.

TorchServe's frontend hands a batch to the worker as one binary frame; its Python side reads it and
makes rows and headers of it. Here the frame is written as the frontend writes it, and read by
TorchServe's own code, so that a handler gets exactly what it gets from a server.
"""

import base64
import io
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ts.protocol.otf_message_handler import _retrieve_inference_msg
from ts.service import Service
from urllib3.filepost import encode_multipart_formdata

OCTETS = "application/octet-stream"
Bytes = bytes | bytearray


@dataclass(frozen=True)
class Request:
    """What the frontend knows of a request: headers, and fields with their content types."""

    headers: Mapping[str, str] = field(default_factory=dict)
    fields: Sequence[tuple[str, str, Bytes]] = ()


@dataclass(frozen=True)
class Answer:
    """What the frontend gets for a request."""

    status: int
    phrase: str
    content_type: str
    body: bytes

    def json(self) -> Any:
        """The body, which must say that it is JSON."""
        assert self.content_type == "application/json"
        return json.loads(self.body)

    def document(self) -> Any:
        """The body of an answer that went well."""
        assert self.status == 200, self.body[:500]
        return self.json()

    def refused(self, status: int) -> str:
        """The message of an answer that must have this status, once its form is checked."""
        assert self.status == status, (self.status, self.body[:500])
        error = self.json()
        assert set(error) == {"code", "type", "message"}
        assert error["code"] == status
        assert error["type"]
        assert error["message"]
        return str(error["message"])


def raw(picture: Bytes, explain: bool = True, **headers: str) -> Request:
    """The picture as the body; keywords are headers, with ``_`` for ``-``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return _http(explain, named, [("body", named.get("Content-Type", "image/any"), picture)])


def form(
    explain: bool = True, headers: Mapping[str, str] | None = None, **fields: object
) -> Request:
    """A multipart form that TorchServe has read: bytes are files, all else is a text field."""
    parts = [
        (name, OCTETS if isinstance(value, bytes | bytearray) else "", _encoded(value))
        for name, value in fields.items()
    ]
    kind = {"Content-Type": "multipart/form-data; boundary=json"}
    return _http(explain, {**kind, **(headers or {})}, parts)


def unread_form(
    explain: bool = True, headers: Mapping[str, str] | None = None, **fields: object
) -> Request:
    """The same as the door has TorchServe hand it on, written by another library."""
    parts = [
        (name, (name, bytes(value)) if isinstance(value, bytes | bytearray) else _text(value))
        for name, value in fields.items()
    ]
    data, kind = encode_multipart_formdata(parts)
    kind = kind.replace("form-data", "x-form-data")
    return _http(explain, {**(headers or {}), "Content-Type": kind}, [("body", kind, data)])


def body(
    document: object, explain: bool = True, content_type: str = "application/json", **headers: str
) -> Request:
    """A JSON body; TorchServe decodes it unless the content type is not exactly JSON's."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return _http(explain, {"content-type": content_type, **named}, [("body", content_type, data)])


def kserve(*instances: object, explain: bool = True, **beside: object) -> Request:
    """A KServe v1 body."""
    return body({"instances": list(instances), **beside}, explain)


def grpc(**inputs: object) -> Request:
    """gRPC's ``Predictions``: no headers at all, every input is bytes without a content type."""
    return Request({}, [(name, "", _encoded(value)) for name, value in inputs.items()])


def b64(data: Bytes) -> str:
    return base64.b64encode(data).decode()


def received(requests: Sequence[Request]) -> tuple[list[dict[str, Any]], list[Any]]:
    """The rows and the ``RequestProcessor`` of each request, made by TorchServe."""
    frame = io.BytesIO(b"".join(map(_framed, requests)) + struct.pack("!i", -1))
    processors, rows, _ = Service.retrieve_data_for_inference(
        _retrieve_inference_msg(_Connection(frame))
    )
    return rows, processors


def exchange(
    handle: Callable[[list[dict[str, Any]], Any], list[bytes]],
    context: Any,
    requests: Sequence[Request],
) -> list[Answer]:
    """Has a handler answer one batch."""
    rows, context.request_processor = received(requests)
    bodies = handle(rows, context)
    assert len(bodies) == len(requests)
    answers = []
    for index, data in enumerate(bodies):
        assert type(data) is bytes  # anything else would be serialised again by TorchServe
        status, phrase = context.get_response_status(index)
        content_type = context.get_response_content_type(index)
        answers.append(Answer(status, phrase, content_type, data))
    return answers


def _http(
    explain: bool, headers: Mapping[str, str], fields: Sequence[tuple[str, str, Bytes]]
) -> Request:
    # the frontend overwrites a client's own header of exactly this name
    return Request({**headers, "explain": str(explain)}, fields)


def _encoded(value: object) -> Bytes:
    return value if isinstance(value, bytes | bytearray) else _text(value).encode()


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _framed(request: Request) -> bytes:
    texts = [(name, (value,)) for name, value in request.headers.items()]
    fields = [(name, (kind, value)) for name, kind, value in request.fields]
    return b"".join([_sized("an id"), *_listed(texts), *_listed(fields)])


def _listed(entries: Sequence[tuple[str, tuple[str | Bytes, ...]]]) -> list[bytes]:
    parts = [_sized(part) for name, rest in entries for part in (name, *rest)]
    return [*parts, struct.pack("!i", -1)]


def _sized(value: str | Bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else bytes(value)
    return struct.pack("!i", len(data)) + data


class _Connection:
    """What the worker's socket is to TorchServe's reader."""

    def __init__(self, frame: io.BytesIO) -> None:
        self.recv = frame.read
