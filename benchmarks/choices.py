"""What each choice in serving gains: layout, precision, compilation, memory, resizing, threads.

Examples:
    python benchmarks/choices.py
    python benchmarks/choices.py resnet50 --rounds 21 --only layout bf16 heap

Each choice takes turns with what it is chosen over, and given is how long it takes of the other's
time, as the spread of the ratios within a round; below 1 is a gain. Networks have seeded
random weights and batches of 8. Of precision and reduced decoding the effect is told too, on the
demo model: the least cosine of any photograph's map with the exact one's, and for how many the best
class stays the same. Prints a table, and writes choices.json.
"""

import argparse
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from command_line import turns
from finding import ROOT
from interleaved import ratios
from machine import describe
from spread import LEGEND, spread

sys.path.insert(1, str(ROOT / "scripts"))

import cv2
import numpy as np
from photographs import read_photographs
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - everybody calls it that

from gradcam import Ask, Explainer, Outcome, freeze
from gradcam.crew import Crew, count_cores
from gradcam.demo_network import DemoNet
from gradcam.geometry import plan_view
from gradcam.networks import build_network
from gradcam.picture import Picture, decode_picture
from gradcam.preprocess import normalise, show
from gradcam.settings import Preprocessing

DEFAULT_ARCHITECTURES = ("resnet18", "resnet50", "mobilenet_v3_large")
NETWORK_CHOICES = ("layout", "bf16", "fp16", "compile", "heap")
CHOICES = (*NETWORK_CHOICES, "pictures")
_MOST = 10**9
_DEMO = Preprocessing(
    resize=48, crop_size=(48, 48), mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616)
)
_CHILD = """
import statistics, sys, time
sys.path.insert(0, sys.argv[1])
import torch
from gradcam import freeze
from gradcam.heap import keep_freed_memory
from gradcam.networks import build_network
if sys.argv[3] == "kept":
    assert keep_freed_memory()
network = freeze(build_network(sys.argv[2], 1000).eval()).to(memory_format=torch.channels_last)
batch = torch.randn(8, 3, 224, 224).to(memory_format=torch.channels_last)
def forward():
    started = time.perf_counter()
    network(batch)
    return time.perf_counter() - started
with torch.inference_mode():
    print(statistics.median([forward() for _ in range(9)][2:]))
"""

Line = tuple[str, str, list[float], str]
"""The choice, of what, its time over the other's in each round, and what else is to be said."""


def explainer(architecture: str, **options: Any) -> Explainer:
    """Of a network with seeded random weights."""
    torch.manual_seed(0)
    return Explainer(freeze(build_network(architecture, 1000).eval()), **options)


def of_networks(architecture: str, only: Sequence[str], rounds: int) -> Iterator[Line]:
    """The choices that are about the network."""
    batch = torch.randn(8, 3, 224, 224)

    def explaining(one: Explainer, ask: Ask | None) -> Callable[[], object]:
        return lambda: one.run(batch, [ask] * 8)

    plain = explainer(architecture)
    laid_out = explainer(architecture, channels_last=True)
    if "layout" in only:
        found, _ = ratios(explaining(laid_out, None), explaining(plain, None), rounds)
        yield "channels last over contiguous", f"{architecture}, prediction", found, ""
    for name, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        if name in only:
            low = explainer(architecture, channels_last=True, dtype=dtype)
            found, _ = ratios(explaining(low, Ask()), explaining(laid_out, Ask()), rounds)
            yield f"{name} over fp32", f"{architecture}, explanation", found, ""
    if "compile" in only:
        torch.manual_seed(0)
        network: Any = torch.compile(freeze(build_network(architecture, 1000).eval()))
        compiled = Explainer(network, channels_last=True)
        compiled.warm_up([8], Ask())
        for what, ask in (("prediction", None), ("explanation", Ask())):
            found, _ = ratios(explaining(compiled, ask), explaining(laid_out, ask), rounds)
            yield "compiled over not", f"{architecture}, {what}", found, ""
    if "heap" in only:
        pairs = [
            (_child(architecture, "kept"), _child(architecture, "given back"))
            for _ in range(min(rounds, 5))  # each pair starts two processes
        ]
        found = [kept / given for kept, given in pairs]
        yield "freed memory kept over given back", f"{architecture}, forward", found, ""


def _child(architecture: str, how: str) -> float:
    """Seconds of a forward pass in a process of its own, for it cannot be undone."""
    command = [sys.executable, "-c", _CHILD, str(ROOT / "handlers"), architecture, how]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def of_pictures(files: Sequence[bytes], rounds: int) -> Iterator[Line]:
    """The choices that are about pictures."""
    eight, preprocessing = (list(files) * 8)[:8], Preprocessing()
    decoded = [decode_picture(data, _MOST, _MOST) for data in eight]
    images = [Image.fromarray(picture.pixels) for picture in decoded]
    views = [plan_view(picture.frame, preprocessing) for picture in decoded]

    def by_torch() -> None:
        for picture, view in zip(decoded, views, strict=True):
            planes = torch.from_numpy(picture.pixels).permute(2, 0, 1)[None]
            F.interpolate(planes, view.resized[::-1], mode="bilinear", antialias=True)

    def by_pillow() -> None:
        for image, view in zip(images, views, strict=True):
            image.resize(view.resized, Image.Resampling.BILINEAR)

    yield (
        "resizing by torch over Pillow",
        "8 photographs",
        ratios(by_torch, by_pillow, rounds)[0],
        "",
    )

    def opencv() -> None:
        for data in eight:
            cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)

    def pillow() -> None:
        for data in eight:
            decode_picture(data, _MOST, _MOST)

    yield "decoding by OpenCV over ours", "8 photographs", ratios(opencv, pillow, rounds)[0], ""
    alone, crew = Crew(1), Crew(count_cores())

    def read(data: bytes) -> Tensor:
        picture = decode_picture(data, _MOST, _MOST)
        return show(picture, plan_view(picture.frame, preprocessing), "bilinear")

    found, _ = ratios(lambda: crew.map(read, eight), lambda: alone.map(read, eight), rounds)
    yield f"reading in {count_cores()} threads over one", "8 photographs", found, ""
    sample = cv2.cvtColor(decoded[0].pixels, cv2.COLOR_RGB2BGR)

    def png(level: int) -> bytes:
        return cv2.imencode(".png", sample, [cv2.IMWRITE_PNG_COMPRESSION, level])[1].tobytes()

    for level in (1, 6, 9):
        found, _ = ratios(lambda level=level: png(level), lambda: png(3), rounds)  # type: ignore[misc]
        size = len(png(level)) / len(png(3))
        yield f"PNG level {level} over 3", "a photograph", found, f"{size:.2f} of its bytes"
    large = io.BytesIO()
    images[0].resize((3000, 2250)).save(large, "JPEG", quality=90)
    data = large.getvalue()
    found, _ = ratios(
        lambda: decode_picture(data, _MOST, _MOST, reduce_to=256),
        lambda: decode_picture(data, _MOST, _MOST),
        rounds,
    )
    yield "reduced decoding over whole", "3000×2250", found, _effect([data], reduce_to=48)


def _effect(files: Sequence[bytes], reduce_to: int = 0, dtype: torch.dtype | None = None) -> str:
    """What a choice does to the demo model's answers."""
    exact, found = (_demo_answers(files, *choice) for choice in ((0, None), (reduce_to, dtype)))
    cosines = [
        float(F.cosine_similarity(*(one.maps[0].values.flatten().double() for one in pair), dim=0))
        for pair in zip(found, exact, strict=True)
    ]
    same = sum(
        one.maps[0].index == other.maps[0].index for one, other in zip(found, exact, strict=True)
    )
    return f"cosine at least {min(cosines):.4f}, best class the same for {same} of {len(files)}"


def _demo_answers(
    files: Sequence[bytes], reduce_to: int, dtype: torch.dtype | None
) -> list[Outcome]:
    network = DemoNet()
    network.load_state_dict(safetensors.torch.load_file(ROOT / "models/demo/weights.safetensors"))
    one = Explainer(freeze(network.eval()), (48, 48), dtype=dtype)

    def seen(picture: Picture) -> Tensor:
        return show(picture, plan_view(picture.frame, _DEMO), "bilinear")

    shown = [seen(decode_picture(data, _MOST, _MOST, reduce_to=reduce_to)) for data in files]
    outcomes = one.run(normalise(shown, _DEMO, torch.device("cpu")), [Ask()] * len(files))
    return [outcome for outcome in outcomes if isinstance(outcome, Outcome)]


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("architectures", nargs="*", default=DEFAULT_ARCHITECTURES)
    parser.add_argument("--only", nargs="+", choices=CHOICES, default=list(CHOICES))
    parser.add_argument("--rounds", type=turns, default=11, help="default: %(default)s")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "run/benchmarks/choices", metavar="FOLDER"
    )
    return parser


def main() -> int:
    """Runs the command line."""
    arguments = build_parser().parse_args()
    files, source = read_photographs()
    lines: list[Line] = []

    def tell(found: Iterator[Line]) -> None:
        for choice, what, over, more in found:
            lines.append((choice, what, over, more))
            print(f"| {choice} | {what} | {spread(over)} | {more} |", flush=True)

    print(f"{LEGEND}\n\n| choice | of what | × the other's time | and |\n|---|---|---|---|")
    for architecture in arguments.architectures:
        tell(of_networks(architecture, arguments.only, arguments.rounds))
    if "pictures" in arguments.only:
        tell(of_pictures(files, arguments.rounds))
    for name, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        if name in arguments.only:
            print(f"{name} on the demo model, {source}: {_effect(files, dtype=dtype)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    document = {"machine": describe(torch.device("cpu")), "command": sys.argv, "lines": lines}
    (arguments.out / "choices.json").write_text(json.dumps(document), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
