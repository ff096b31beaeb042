"""A model whose every answer is arithmetic, and requests to it of which all is known beforehand."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from PIL import Image

import model_packaging
from live.client import Client
from live.grpc_stubs import GrpcClient
from packaging_options import PackagingOptions
from pictures import encode
from sending import Answer, b64

NETWORK = '''"""The brightness of 4 × 4 panes of a picture, and classes that are multiples of it."""

import torch
from torch import nn


class Panes(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.panes = nn.Conv2d(3, 1, 8, stride=8)
        self.fc = nn.Linear(1, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.panes(x).relu().mean((2, 3))
        return self.fc(mean) / mean.sign()  # not a number for a black picture
'''
WEIGHTS = (2.0, -1.0, 0.0, 1.0)
SIDE = 32


def package_panes(store: Path, scratch: Path) -> None:
    """The archive ``panes.mar``; its requests wait for each other, so that batches mix."""
    file, weights, names = (scratch / name for name in ("panes.py", "w.safetensors", "names.json"))
    file.write_text(NETWORK, encoding="utf-8")
    state = {
        "panes.weight": torch.full((1, 3, 8, 8), 1 / 192),
        "panes.bias": torch.zeros(1),
        "fc.weight": torch.tensor([[weight] for weight in WEIGHTS]),
        "fc.bias": torch.zeros(len(WEIGHTS)),
    }
    safetensors.torch.save_file(state, weights)
    names.write_text(json.dumps({"0": "bright", "1": "dark", "2": "deaf", "3": "dim"}))
    model_packaging.package(
        PackagingOptions(
            model_file=str(file),
            weights=str(weights),
            arch_options=(f"classes={len(WEIGHTS)}",),
            class_names=str(names),
            layer="panes",
            resize=SIDE,
            crop_size=str(SIDE),
            mean="0,0,0",
            std="1,1,1",
            limits=("max_pixels=10000", "max_answer_bytes=3500"),
            model_name="panes",
            batch_size=8,
            max_batch_delay=60,
            export_path=store,
        )
    )


def picture(bright_columns: int) -> bytes:
    """White to the left, black to the right."""
    image = Image.new("RGB", (SIDE, SIDE))
    image.paste((255, 255, 255), (0, 0, bright_columns, SIDE))
    return encode(image)


WHITE, HALF, BLACK = picture(SIDE), picture(SIDE // 2), picture(0)

# Of classes 0 to 3. Grad-CAM's map is the panes times a number of the weight's sign: the gradient
# where a pane is bright, over all panes. So it is even on white, and never above 0 for class 1.
OF_WHITE = ("flat", "nothing_positive", "saturated", "flat")
OF_HALF = ("ok", "nothing_positive", "saturated", "ok")
BEST_FIRST = (0, 3, 2, 1)


def top_probability(brightness: float) -> float:
    logits = [weight * brightness for weight in WEIGHTS]
    return math.exp(max(logits)) / sum(map(math.exp, logits))


ON_WHITE, ON_HALF = top_probability(1.0), top_probability(0.5)


@dataclass(frozen=True)
class Doors:
    """The ways into one server."""

    http: Client
    grpc: GrpcClient
    management: Client


@dataclass(frozen=True)
class Sent:
    """One request, and what is known of it.

    Attributes:
        name: What it is.
        send: Sends it.
        labels: ``api``, ``method`` and ``outcome``.
        error: The type of the refusal.
        evidence: Of each map of its answer.
        top: The mean probability of its pictures' best classes.
        computed: Whether it gets as far as the network.
    """

    name: str
    send: Callable[[Doors], Answer]
    labels: tuple[str, str, str]
    error: str | None = None
    evidence: tuple[str, ...] = ()
    top: float | None = None
    computed: bool = True


def traffic() -> list[Sent]:
    """Requests of every kind, to be sent one by one."""
    return [*_predictions(), *_explanations(), *_refusals(), *_failures(), *_descriptions()]


def crowd() -> list[Sent]:
    """Two dozen sound requests, to be sent at once."""
    explain = _put("explanations", HALF, {"Target": "top4"})
    predict = _put("predictions", WHITE)
    explained = [
        Sent("explain", explain, ("explanations", "gradcam", "ok"), None, _best(OF_HALF), ON_HALF)
    ]
    predicted = [Sent("predict", predict, ("predictions", "none", "ok"), top=ON_WHITE)]
    return 12 * (explained + predicted)


def _best(evidence: Sequence[str]) -> tuple[str, ...]:
    return tuple(evidence[index] for index in BEST_FIRST)


def _predictions() -> list[Sent]:
    ok = ("predictions", "none", "ok")
    both = {"instances": [{"b64": b64(WHITE)}, {"b64": b64(HALF)}]}
    return [
        Sent("predictions", _put("predictions", WHITE), ok, top=ON_WHITE),
        Sent("in full", _put("predictions", HALF, {"Detail": "full"}), ok, top=ON_HALF),
        Sent(
            "two instances",
            lambda doors: doors.http.json("v1/models/panes:predict", both),
            ok,
            top=(ON_WHITE + ON_HALF) / 2,
        ),
        Sent("by gRPC", _grpc({"data": WHITE, "top_k": b"2"}), ok, top=ON_WHITE),
    ]


def _explanations() -> list[Sent]:
    def ok(method: str) -> tuple[str, str, str]:
        return "explanations", method, "ok"

    def one(
        name: str, options: dict[str, str], method: str, *evidence: str, accept: str = ""
    ) -> Sent:
        send = _put("explanations", HALF, options, accept)
        return Sent(name, send, ok(method), None, evidence, ON_HALF)

    several = {
        "instances": [
            {"b64": b64(WHITE), "method": "layercam", "target": [0, 1]},
            {"b64": b64(HALF), "method": "gradcam", "target": 3},
        ]
    }
    alike = {"instances": [{"b64": b64(WHITE)}] * 3, "parameters": {"method": "hirescam"}}
    white = _put("explanations", WHITE, {"Target": "top4"})
    asked = {"data": HALF, "explain": b"true", "target": b"0,2", "method": b"layercam"}
    return [
        one("the best class", {}, "gradcam", "ok"),
        one("four classes", {"Target": "top4"}, "gradcam", *_best(OF_HALF)),
        one("another method", {"Target": "1,0", "Method": "layercam"}, "layercam", *OF_HALF[1::-1]),
        one("no map shown", {"Target": "3", "Heatmap": "none"}, "gradcam", OF_HALF[3]),
        one(
            "a picture",
            {"Target": "top4", "Method": "hirescam", "Max-Side": "16"},
            "hirescam",
            *_best(OF_HALF),
            accept="image/png",
        ),
        Sent("a flat picture", white, ok("gradcam"), None, _best(OF_WHITE), ON_WHITE),
        Sent(
            "two methods in one",
            lambda doors: doors.http.json("v1/models/panes:explain", several),
            ok("several"),
            None,
            (*OF_WHITE[:2], OF_HALF[3]),
            (ON_WHITE + ON_HALF) / 2,
        ),
        Sent(
            "three instances",
            lambda doors: doors.http.json("v1/models/panes:explain", alike),
            ok("hirescam"),
            None,
            OF_WHITE[:1] * 3,
            ON_WHITE,
        ),
        Sent("by gRPC", _grpc(asked), ok("layercam"), None, (OF_HALF[0], OF_HALF[2]), ON_HALF),
    ]


def _refusals() -> list[Sent]:
    wide = encode(Image.new("RGB", (200, 100)))
    long = {"instances": [{"b64": b64(HALF)}] * 2, "parameters": {"target": "top4"}}

    def refused(send: Callable[[Doors], Answer], error: str, api: str = "explanations") -> Sent:
        return Sent(error, send, (api, "none", "refused"), error, computed=False)

    return [
        refused(_put("predictions", b"hello"), "UnsupportedPicture", "predictions"),
        refused(_put("explanations", b"hello"), "UnsupportedPicture"),
        refused(_put("explanations", HALF[:60]), "BrokenPicture"),
        refused(_put("explanations", b""), "MalformedRequest"),
        refused(_put("explanations", HALF, {"Target": "zebra"}), "InvalidOption"),
        refused(_put("explanations", HALF, {"Layer": "fc"}), "UnusableLayer"),
        refused(_put("predictions", wide), "TooLarge", "predictions"),
        refused(_grpc({"data": HALF, "explain": b"perhaps"}), "InvalidOption", "predictions"),
        refused(_grpc({"explain": b"true"}), "MalformedRequest"),
        Sent(  # known only once it is written
            "a long answer",
            lambda doors: doors.http.json("v1/models/panes:explain", long),
            ("explanations", "gradcam", "refused"),
            "TooLarge",
        ),
    ]


def _failures() -> list[Sent]:
    return [
        Sent("no number", _put(api, BLACK), (api, method, "failed"), "EngineFault")
        for api, method in (("predictions", "none"), ("explanations", "gradcam"))
    ]


def _descriptions() -> list[Sent]:
    def send(doors: Doors) -> Answer:
        return doors.management.send("GET", "models/panes?customized=true")

    return [Sent("description", send, ("describe", "none", "ok"), computed=False)]


def _put(
    api: str, data: bytes, options: Mapping[str, str] | None = None, accept: str = ""
) -> Callable[[Doors], Answer]:
    headers = {f"X-Explain-{name}": value for name, value in (options or {}).items()}
    headers |= {"Accept": accept} if accept else {}
    return lambda doors: doors.http.put(f"{api}/panes", data, headers)


def _grpc(inputs: Mapping[str, bytes]) -> Callable[[Doors], Answer]:
    def send(doors: Doors) -> Answer:
        body = doors.grpc.predictions("panes", inputs)
        return Answer(int(json.loads(body).get("code", 200)), "", "application/json", body)

    return send
