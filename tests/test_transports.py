"""Every option crossed with every way of sending it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

import sending
from archive_dir import vocabulary
from gradcam.errors import InvalidOption
from gradcam.request.options import OPTIONS, Options, parse_options
from gradcam.request.wire import read_request
from gradcam.settings import Limits
from sending import Request, b64

PICTURE = b"\x89PNG\r\n\x1a\n and whatever follows"
TEXT = b64(PICTURE)


def options_of(request: Request) -> Options:
    (row,), (processor,) = sending.received([request])
    incoming = read_request(row, processor.get_request_properties(), Limits())
    assert [bytes(instance.picture) for instance in incoming.instances] == [PICTURE]
    return parse_options(incoming.instances[0].options, vocabulary())


VALUES: Mapping[str, tuple[str, object]] = {
    "target": ("tabby,top2,tabby~seven", ["tabby", "top2", "tabby~seven"]),
    "method": ("gradcam", "gradcam"),
    "layer": ("layer3,layer1", ["layer3", "layer1"]),
    "fuse": ("max", "max"),
    "smooth": ("4", 4),
    "noise": ("0.2", 0.2),
    "seed": ("7", 7),
    "flip": ("true", True),
    "call": ("-2", -2),
    "score": ("true", True),
    "top_k": ("3", 3),
    "detail": ("full", "full"),
    "heatmap": ("png", "png"),
    "scale": ("shared", "shared"),
    "threshold": ("0.3", 0.3),
    "overlay": ("webp", "webp"),
    "max_side": ("0", 0),
    "colormap": ("magma", "magma"),
    "alpha": ("0.25", 0.25),
    "crop": ("1,2,30,40", [1, 2, 30, 40]),
}
"""Every option, none at its default: as text, and as JSON has it."""

Send = Callable[[Mapping[str, tuple[str, object]]], Request]


def texts(options: Mapping[str, tuple[str, object]]) -> dict[str, Any]:
    return {name: text for name, (text, _) in options.items()}


def natives(options: Mapping[str, tuple[str, object]]) -> dict[str, Any]:
    return {name: native for name, (_, native) in options.items()}


def in_headers(spell: Callable[[str], str]) -> Send:
    return lambda options: sending.raw(
        PICTURE, **{spell(f"X-Explain-{name}"): text for name, text in texts(options).items()}
    )


TRANSPORTS: Mapping[str, Send] = {
    "multipart": lambda o: sending.form(image=PICTURE, **texts(o)),
    "multipart, unread": lambda o: sending.unread_form(image=PICTURE, **texts(o)),
    "multipart, unread, with headers": lambda o: sending.unread_form(
        headers={f"x-explain-{name}": text for name, text in texts(o).items()}, data=PICTURE
    ),
    "multipart body": lambda o: sending.form(body=PICTURE, **texts(o)),
    "multipart, unread, body": lambda o: sending.unread_form(body=PICTURE, **texts(o)),
    "multipart data": lambda o: sending.form(data=PICTURE, **texts(o)),
    "multipart with headers": lambda o: sending.form(
        headers={f"x-explain-{name}": text for name, text in texts(o).items()}, image=PICTURE
    ),
    "gRPC": lambda o: sending.grpc(data=PICTURE, explain="true", **texts(o)),
    "headers": in_headers(str),
    "headers with hyphens": in_headers(lambda name: name.replace("_", "-")),
    "headers in capitals": in_headers(str.upper),
    "JSON, texts": lambda o: sending.body({"image": TEXT, **texts(o)}),
    "JSON": lambda o: sending.body({"image": TEXT, **natives(o)}),
    "JSON undecoded": lambda o: sending.body(
        {"data": TEXT, **natives(o)}, True, "application/JSON"
    ),
    "JSON sent as octets": lambda o: sending.body(
        {"b64": TEXT, **natives(o)}, True, sending.OCTETS
    ),
    "JSON sent as text": lambda o: sending.body(
        {"image": TEXT, **natives(o)}, content_type="text/plain"
    ),
    "KServe parameters": lambda o: sending.kserve({"b64": TEXT}, parameters=natives(o)),
    "KServe parameters, texts": lambda o: sending.kserve({"b64": TEXT}, parameters=texts(o)),
    "KServe instance": lambda o: sending.kserve({"data": TEXT, **natives(o)}),
    "KServe beside instances": lambda o: sending.kserve({"b64": TEXT}, **natives(o)),
}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", [*OPTIONS, "all"])
def test_every_option_means_the_same_however_it_is_sent(name: str, transport: str) -> None:
    sent = VALUES if name == "all" else {name: VALUES[name]}
    options = options_of(TRANSPORTS[transport](sent))
    assert options == parse_options(natives(sent), vocabulary())
    if name not in ("all", "method"):  # there is only one method as yet
        assert options != parse_options({}, vocabulary())


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_unknown_option_is_refused_however_it_is_sent(transport: str) -> None:
    request = TRANSPORTS[transport]({"tagret": ("1", 1)})
    with pytest.raises(InvalidOption, match=r"tagret.*'target'"):
        options_of(request)
