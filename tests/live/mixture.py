"""Sixty-four requests of every kind, no two alike, and what each is known to be answered with."""

import io
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from live.client import Client
from live.comparing import differences
from live.grpc_stubs import GrpcClient
from pictures import cat, encode, pixels_of
from sending import Answer, b64

DEFAULT_LAYER = "conv5"
METHODS = (
    *("gradcam", "hirescam", "gradcam_elementwise", "gradcam++"),
    *("xgradcam", "layercam", "eigengradcam", "eigencam"),
)


@dataclass(frozen=True)
class Clients:
    """Both ways in."""

    http: Client
    grpc: GrpcClient


@dataclass(frozen=True)
class Asked:
    """One picture of a request for explanations.

    Attributes:
        picture: What of it the network is to see.
        layer: The target layer.
        target: A class index, or ``top4`` of the four classes.
    """

    picture: Image.Image
    layer: str
    target: str


@dataclass(frozen=True)
class Case:
    """One request.

    Attributes:
        name: What it is.
        status: What it must be answered with.
        part: Of its answer alone: a text in the message of a refusal, else empty.
        send: Sends it.
        asked: What its JSON answer must explain, picture by picture.
    """

    name: str
    status: int
    part: str
    send: Callable[[Clients], Answer]
    asked: tuple[Asked, ...] = ()


def same(found: Answer, expected: Answer) -> list[str]:
    """How an answer differs from the one to the same request sent alone."""
    heads = [(answer.status, answer.content_type) for answer in (found, expected)]
    if heads[0] != heads[1]:
        return [f"{heads[0]} for {heads[1]}: {found.body[:200]!r}"]
    if found.content_type == "application/json":
        return differences(json.loads(found.body), json.loads(expected.body), 1e-4)
    ours, theirs = (pixels_of(answer.body).astype(int) for answer in (found, expected))
    if ours.shape != theirs.shape:
        return [f"a picture of {ours.shape} for {theirs.shape}"]
    # a map's value that rounds the other way moves a colour by a few levels at most
    return [] if np.abs(ours - theirs).max() <= 4 else ["another picture"]


def cases() -> list[Case]:
    """Eight rounds of eight kinds, each round with pictures and options of its own."""
    return list(itertools.chain.from_iterable(map(_round, range(8))))


def _picture(number: int) -> bytes:
    """A part of the cat of this number's own."""
    left, top = 20 * number, 10 * number
    return encode(cat().crop((left, top, left + 240 - 5 * number, top + 200)))


def _round(number: int) -> Iterator[Case]:
    picture, target = _picture(number), str(number % 4)
    verb = ("predictions", "explanations")[number % 2]
    layer, detail = ("stage3", "stage4")[number % 2], ("labels", "full")[number % 2]
    crop = f"{number},5,150,140"
    yield _put("predictions", picture, {"Detail": detail})
    seen = Image.open(io.BytesIO(picture)).convert("RGB")
    whole = Asked(seen, DEFAULT_LAYER, target)
    part = Asked(seen.crop((number, 5, number + 150, 5 + 140)), DEFAULT_LAYER, "top4")
    named = {"Target": target, "Layer": layer}
    yield replace(_put("explanations", picture, named), asked=(Asked(seen, layer, target),))
    yield replace(_put("explanations", picture, {"Target": "top4", "Crop": crop}), asked=(part,))
    versus = f"{target}~{(number + 1) % 4}"
    averaged = {"Target": versus, "Method": METHODS[number], "Smooth": "2", "Flip": "true"}
    yield _put("explanations", picture, averaged, accept="image/png")
    second = _picture((number + 3) % 8)
    both = (whole, replace(whole, picture=Image.open(io.BytesIO(second)).convert("RGB")))
    instances = _kserve(verb, [picture, second], target)
    yield replace(instances, asked=both if verb == "explanations" else ())
    yield replace(_grpc(picture, target), asked=(whole,))
    broken = encode(cat(), "JPEG")[: 3000 + number]
    yield _put(verb, broken, {}, status=400, part="truncated")
    wrong = f"zebra{number}"
    yield _put("explanations", picture, {"Target": wrong}, status=422, part=wrong)


def _put(
    verb: str,
    picture: bytes,
    options: dict[str, str],
    *,
    accept: str = "application/json",
    status: int = 200,
    part: str = "",
) -> Case:
    sent = {f"X-Explain-{option}": value for option, value in options.items()} | {"Accept": accept}
    name = f"{verb} {options} {accept} {part}"
    return Case(name, status, part, lambda clients: clients.http.put(f"{verb}/zoo", picture, sent))


def _kserve(verb: str, pictures: list[bytes], target: str) -> Case:
    path = {"predictions": "v1/models/zoo:predict", "explanations": "v1/models/zoo:explain"}[verb]
    instances = [{"b64": b64(picture)} for picture in pictures]
    body = {"instances": instances, "parameters": {"target": target}}
    return Case(path, 200, "", lambda clients: clients.http.json(path, body))


def _grpc(picture: bytes, target: str) -> Case:
    inputs = {"data": picture, "explain": b"true", "target": target.encode(), "top_k": b"2"}

    def send(clients: Clients) -> Answer:
        return Answer(200, "OK", "application/json", clients.grpc.predictions("zoo", inputs))

    return Case("gRPC", 200, "", send)
