"""From what TorchServe hands over for one request to its pictures and options; no ``ts`` here.

A request reaches a handler as a row, ``{"body": …}`` for a raw or JSON body or for a form that
TorchServe did not read, and one entry per field for a form that it did or for gRPC, and its
headers. Which way of sending was used shows in those.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from gradcam.errors import InvalidOption, MalformedRequest, TooLarge
from gradcam.request.accept import preferred_picture
from gradcam.request.form import is_form, read_form
from gradcam.request.sent_picture import FORMS, as_bytes, from_base64
from gradcam.settings import Limits

PREDICTIONS, EXPLANATIONS, DESCRIBE = APIS = ("predictions", "explanations", "describe")
"""What is asked: by a client, or by the management API with the question what the model is."""

_PICTURE_FIELDS = ("image", "data", "body")
_HEADER = "x-explain-"


@dataclass(frozen=True)
class Instance:
    """One picture of a request.

    Attributes:
        picture: Its encoded bytes.
        options: As sent, by name; unchecked.
    """

    picture: bytes | bytearray
    options: Mapping[str, object]


@dataclass(frozen=True)
class Incoming:
    """A request, taken apart.

    Attributes:
        explain: Whether it asks for explanations rather than predictions.
        instances: Its pictures.
        wrapped: Whether it came as KServe v1 ``instances``, and is to be answered as such.
        accept: The picture type that it wants instead of JSON, or ``None``.
    """

    explain: bool
    instances: tuple[Instance, ...]
    wrapped: bool
    accept: str | None


def is_describe(row: Mapping[str, object], headers: Mapping[str, object]) -> bool:
    """Whether this is the management API's question what the model is, not a client's request."""
    return not row and _texts(headers).get("describe") == "True"


def request_id(headers: Mapping[str, object]) -> str:
    """What the client, or the door before it, calls the request; empty where it has no name."""
    return _texts(headers).get("x-request-id", "")


def api_of(row: Mapping[str, object], headers: Mapping[str, object]) -> str:
    """Which of :data:`APIS` a request is for, whatever else is wrong with it.

    One that comes without a path, by gRPC's ``Predictions``, and does not say so clearly is for
    predictions.
    """
    if is_describe(row, headers):
        return DESCRIBE
    try:
        return EXPLANATIONS if _wants_explanation(dict(row), headers) else PREDICTIONS
    except (InvalidOption, RecursionError):
        return PREDICTIONS


def read_request(
    row: Mapping[str, object], headers: Mapping[str, object], limits: Limits
) -> Incoming:
    """Takes a request apart, however it was sent.

    Args:
        row: What TorchServe gives a handler as one element of its data.
        headers: That request's headers. An entry that is not a text belongs to a field.
        limits: The model's.

    Raises:
        MalformedRequest: No picture, or a body that is not what it says.
        TooLarge: Too many pictures, or more bytes than a picture may have.
        InvalidOption: A picture's URL, or a wrong value of ``explain``.
    """
    texts = _texts(headers)
    fields = dict(row)
    explain = _wants_explanation(fields, headers)
    options = _header_options(texts)
    accept = preferred_picture(texts.get("accept", "")) if explain else None
    document = _json_body(_unpacked(fields, texts), texts, fields)
    if document is None:
        picture = _only_picture(fields)
        options |= {name: value for name, value in fields.items() if name not in _PICTURE_FIELDS}
        return Incoming(explain, (Instance(as_bytes(picture), options),), False, accept)
    options |= fields
    if "instances" in document:
        instances = _read_instances(document, options, limits)
        return Incoming(explain, instances, True, accept)
    instance = _read_instance(document, options, limits)
    return Incoming(explain, (instance,), False, accept)


def _texts(headers: Mapping[str, object]) -> dict[str, str]:
    return {name.lower(): text for name, text in headers.items() if isinstance(text, str)}


def _wants_explanation(fields: dict[str, object], headers: Mapping[str, object]) -> bool:
    """HTTP paths say it in a header that TorchServe sets; gRPC has none and says it in a field."""
    # in exactly this letter case: a client's own "Explain" stands beside it and means nothing
    said_by_path = headers.get("explain")
    if isinstance(said_by_path, str):
        return said_by_path == "True"
    said = fields.pop("explain", "false")
    text = bytes(said).decode("utf-8", "replace") if isinstance(said, bytes | bytearray) else said
    match str(text).strip().lower():
        case "true" | "1" | "yes":
            return True
        case "false" | "0" | "no":
            return False
    raise InvalidOption(f"explain {str(text)[:80]!r} is not true or false")


def _header_options(texts: Mapping[str, str]) -> dict[str, object]:
    options: dict[str, object] = {}
    for name, text in texts.items():
        if name.startswith(_HEADER):
            option = name.removeprefix(_HEADER).replace("-", "_")
            options[option] = _from_header(text)
    return options


def _from_header(text: str) -> str:
    """HTTP servers read header bytes as Latin-1; what was sent as UTF-8 is restored."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _unpacked(fields: dict[str, object], texts: Mapping[str, str]) -> object:
    """Takes the body out; if it is a form, its fields stay, and one may be its own body."""
    body, kind = fields.pop("body", None), texts.get("content-type", "")
    if not isinstance(body, bytes | bytearray) or not is_form(kind):
        return body
    fields |= read_form(body, kind)
    return fields.pop("body", None)


def _json_body(
    body: object, texts: Mapping[str, str], fields: dict[str, object]
) -> Mapping[str, object] | None:
    """The body as a JSON object; otherwise ``None``, and the body goes to the fields as it is."""
    if body is None:
        return None
    if isinstance(body, str) and texts.get("content-type", "").startswith("application/json"):
        # TorchServe has decoded it already, and a JSON text is what was in it
        raise MalformedRequest(f"the JSON body is a text, not an object; {FORMS}")
    if isinstance(body, bytes | bytearray | str):
        claimed = "json" in texts.get("content-type", "").partition(";")[0].lower()
        head = body[:64].lstrip()
        if not claimed and head[:1] not in ("{", b"{"):
            fields["body"] = body
            return None
        try:
            body = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise MalformedRequest(f"the body is not JSON ({error}); {FORMS}") from None
    if not isinstance(body, Mapping):
        raise MalformedRequest(f"the JSON body is a {type(body).__name__}, not an object; {FORMS}")
    return body


def _only_picture(fields: Mapping[str, object]) -> object:
    present = [name for name in _PICTURE_FIELDS if name in fields]
    if not present:
        raise MalformedRequest(f"the request has no picture; {FORMS}")
    if len(present) > 1:
        raise MalformedRequest(
            f"the request has pictures in {' and '.join(present)}; send one, or several as "
            "KServe v1 instances"
        )
    return fields[present[0]]


def _read_instances(
    document: Mapping[str, object], options: Mapping[str, object], limits: Limits
) -> tuple[Instance, ...]:
    instances, parameters = document["instances"], document.get("parameters", {})
    if not isinstance(instances, list) or not instances:
        raise MalformedRequest("instances must be a list of at least one picture")
    if len(instances) > limits.max_instances:
        raise TooLarge(
            f"the request has {len(instances)} instances; at most {limits.max_instances} are "
            "answered at once, so send several requests"
        )
    if not isinstance(parameters, Mapping):
        raise MalformedRequest("parameters must be a JSON object of options")
    # TensorFlow Serving's clients always send a signature_name; it means nothing here
    beside = {"instances", "parameters", "signature_name"}
    common = {
        **options,
        **{name: value for name, value in document.items() if name not in beside},
        **parameters,
    }
    common.pop("signature_name", None)
    read = []
    for number, instance in enumerate(instances):
        try:
            if not isinstance(instance, Mapping):
                raise MalformedRequest('an instance is an object like {"b64": "<base64>"}')
            read.append(_read_instance(instance, common, limits))
        except (MalformedRequest, TooLarge, InvalidOption) as error:
            raise type(error)(f"instances[{number}]: {error.message}") from None
    return tuple(read)


def _read_instance(
    document: Mapping[str, object], options: Mapping[str, object], limits: Limits
) -> Instance:
    holders = [name for name in ("image", "data", "b64") if name in document]
    if len(holders) != 1:
        found = f"pictures in {' and '.join(holders)}" if holders else "no picture"
        raise MalformedRequest(f"the JSON object has {found}; {FORMS}")
    own = {name: value for name, value in document.items() if name not in holders}
    picture = from_base64(document[holders[0]], limits.max_bytes)
    return Instance(picture, {**options, **own})
