"""One real question to a model, before anybody else's: a small picture, made here, and its map."""

import json
import struct
import zlib
from functools import cache

from container.local_http import Silent, ask
from container.settings import Canary

_SIDE = 64
_PATIENCE = 150.0  # seconds: a first explanation may compile, or wait for others' first ones
_PATHS = {"explain": "explanations", "predict": "predictions"}


def ask_canary(inference: str, model: str, kind: Canary) -> str:
    """Sends the question.

    Args:
        inference: ``host:port`` of TorchServe's inference API.
        model: The model's name.
        kind: What to ask for.

    Returns:
        Nothing where it was answered; otherwise one sentence that says what happened.
    """
    headers = {"Content-Type": "image/png", "X-Request-Id": f"canary-{model}"}
    try:
        answer = ask(inference, f"/{_PATHS[kind]}/{model}", _PATIENCE, picture(), headers)
    except Silent as silent:
        return str(silent)
    return judge(answer.status, answer.body, kind)


def judge(status: int, body: bytes, kind: Canary) -> str:
    """Whether an answer is what was asked for: empty, or why not."""
    if status != 200:
        hint = ""
        if status == 422 and kind == "explain":
            hint = " (a model that only predicts can be served with GRADCAM_CANARY=predict)"
        return f"it was answered {status}: {body[:300].decode('utf-8', 'replace')}{hint}"
    try:
        document = json.loads(body)
    except ValueError:
        return "the answer is not JSON"
    if not document:
        return "the answer is empty"
    if kind == "explain" and not (isinstance(document, dict) and document.get("explanations")):
        return "the answer holds no explanation"
    return ""


@cache
def picture() -> bytes:
    """A PNG of 64×64 pixels: a bright square on a gradient, so that there is something to see."""
    rows = b"".join(b"\0" + b"".join(_pixel(x, y) for x in range(_SIDE)) for y in range(_SIDE))
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _pixel(x: int, y: int) -> bytes:
    inside = 20 <= x < 44 and 16 <= y < 40
    return bytes((230, 180, 60) if inside else (2 * x, 2 * y, 90))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
