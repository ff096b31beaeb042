"""What the choices about a network gain, and what they do to its answers."""

import io
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from effects import BATCH, effect
from interleaved import in_turns, quotients, ratios
from lone_forward import HOW
from PIL import Image
from studied import Studied

from gradcam import Ask, Explainer
from gradcam.pictures.picture import decode_picture

CHOICES = ("layout", "bf16", "fp16", "compile", "heap", "reduced")
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}

LARGE = (3000, 2250)
"""To what photographs are enlarged for reduced decoding, in pixels."""

_MOST = 10**9
_PAIRS = 6  # of processes, at most; a whole number of alternations


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        choice: What was chosen, over what.
        where: The network or the pictures.
        over: Its time over the other's, in each round.
        more: What else is to be said.
    """

    choice: str
    where: str
    over: Sequence[float]
    more: str = ""


def of_network(
    one: Studied, files: Sequence[bytes], only: Sequence[str], rounds: int
) -> Iterator[Line]:
    """The lines of one network.

    Args:
        one: The network.
        files: JPEGs; gains are measured on the first eight, effects on all.
        only: Some of ``CHOICES``.
        rounds: How many.
    """
    pictures = one.batch([decode_picture(data, _MOST, _MOST) for data in files])
    batch = pictures[[row % len(pictures) for row in range(BATCH)]]

    def running(explainer: Explainer, ask: Ask | None) -> Callable[[], object]:
        return lambda: explainer.run(batch, [ask] * BATCH)

    def line(what: str, chosen: Explainer, over: Explainer, ask: Ask | None) -> Line:
        kind = "prediction" if ask is None else "explanation"
        found, _ = ratios(running(chosen, ask), running(over, ask), rounds)
        told = str(effect(chosen, over, pictures, pictures))
        return Line(what, f"{one.name}, {kind}", found, told)

    plain, laid_out = one.explainer(), one.explainer(channels_last=True)
    if "layout" in only:
        yield line("channels last over contiguous", laid_out, plain, None)
    for name in (name for name in PRECISIONS if name in only):
        low = one.explainer(channels_last=True, dtype=PRECISIONS[name])
        yield line(f"{name} over fp32", low, laid_out, Ask())
    if "compile" in only:
        compiled = _compiled(one)
        for ask in (None, Ask()):
            yield line("compiled over not", compiled, laid_out, ask)
    if "heap" in only:
        # each pair starts two processes
        takes = {how: partial(_lone_forward, one.name, how) for how in HOW}
        taken = in_turns(takes, min(rounds, _PAIRS))
        found = quotients(*(taken[how] for how in HOW))
        yield Line(f"freed memory {' over '.join(HOW)}", f"{one.name}, forward", found)
    if "reduced" in only:
        yield _reduced(one, plain, files, rounds)


def _compiled(one: Studied) -> Explainer:
    network = torch.compile(one.network())
    explainer = Explainer(network, one.preprocessing.crop_size, channels_last=True)  # type: ignore[arg-type]
    explainer.warm_up([BATCH], Ask())
    return explainer


def _lone_forward(name: str, how: str) -> float:
    script = Path(__file__).with_name("lone_forward.py")
    command = [sys.executable, str(script), name, "--memory", how]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def _reduced(one: Studied, plain: Explainer, files: Sequence[bytes], rounds: int) -> Line:
    """Decoding at a fraction of the size, of photographs that are enlarged first."""
    least = one.preprocessing.resize
    large = [_enlarged(data) for data in files]
    found, _ = ratios(
        lambda: decode_picture(large[0], _MOST, _MOST, reduce_to=least),
        lambda: decode_picture(large[0], _MOST, _MOST),
        rounds,
    )
    reduced, whole = (
        torch.cat([one.batch([decode_picture(data, _MOST, _MOST, reduce_to=to)]) for data in large])
        for to in (least, 0)
    )
    where = f"{one.name}, {len(files)} × {LARGE[0]}×{LARGE[1]}"
    told = str(effect(plain, plain, reduced, whole))
    return Line("reduced decoding over whole", where, found, told)


def _enlarged(data: bytes) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).resize(LARGE, Image.Resampling.LANCZOS).save(
        file, "JPEG", quality=90
    )
    return file.getvalue()
