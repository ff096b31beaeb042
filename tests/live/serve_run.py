"""One whole run of ``scripts/serve.py``: what it printed, what it answered, what it left behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live.client import Client
from local_ports import HOST, Ports
from repository import ROOT

SERVE = ROOT / "scripts" / "serve.py"
_MARK = "GRADCAM_TEST_RUN"  # inherited by every process of a run, and so found again


@dataclass(frozen=True)
class Curl:
    """A printed ``curl`` line, run in a folder with a ``photo.jpg``."""

    line: str
    code: int
    output: bytes


@dataclass(frozen=True)
class Run:
    """What a run of the command did.

    Attributes:
        output: All that it printed.
        curls: The lines that it printed, as they went.
        saved: The file that the second of them names.
        explanation: The answer of ``/explanations/demo`` for the same photograph.
        alive: How many processes it had while it served.
        code: Its exit status after Ctrl-C.
        seconds: From Ctrl-C to its end.
        left: Processes that it left.
    """

    output: str
    curls: tuple[Curl, ...]
    saved: bytes
    explanation: Any
    alive: int
    code: int
    seconds: float
    left: tuple[str, ...]


def port_options(ports: Ports) -> list[str]:
    assert ports.grpc_management == ports.grpc_inference + 1
    return [
        f"--port={ports.inference}",
        f"--management-port={ports.management}",
        f"--metrics-port={ports.metrics}",
        f"--grpc-port={ports.grpc_inference}",
    ]


def free_ports() -> Ports:
    """Free ones of which two follow each other."""
    for _ in range(100):
        ports = Ports.free()
        pair = (ports.grpc_inference, ports.grpc_inference + 1)
        chosen = Ports(ports.inference, ports.management, ports.metrics, *pair)
        try:
            chosen.check_free(dict.fromkeys(vars(chosen), ""))
        except Exception:
            continue
        return chosen
    raise AssertionError("no free ports")


def run_demo(folder: Path, photograph: bytes, photo_jpg: bytes) -> Run:
    """Serves the demo model, asks it what the command suggests, and presses Ctrl-C."""
    ports, printed, mark = free_ports(), folder / "printed.txt", uuid.uuid4().hex
    command = [
        sys.executable,
        str(SERVE),
        *port_options(ports),
        f"--export-path={folder / 'store'}",
    ]
    with printed.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**_environment(), _MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for("Ctrl-C stops it", process, printed, 300)
        (folder / "photo.jpg").write_bytes(photo_jpg)
        lines = re.findall(r"^ +(curl .*)$", printed.read_text(), re.MULTILINE)
        curls = tuple(_curl(line, folder) for line in lines)
        client = Client(f"http://{HOST}:{ports.inference}")
        explanation = client.put("explanations/demo", photograph).document()
        alive = len(marked(mark))
        begun = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        code = process.wait(timeout=60)
        seconds = time.monotonic() - begun
        left = tuple(marked(mark).values())
    finally:
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)
        process.wait(timeout=30)
        shutil.rmtree(ROOT / "run" / f"logs-{ports.inference}", ignore_errors=True)
    saved = folder / "cam.png"
    return Run(
        printed.read_text(encoding="utf-8"),
        curls,
        saved.read_bytes() if saved.exists() else b"",
        explanation,
        alive,
        code,
        seconds,
        left,
    )


def refused(*arguments: str) -> tuple[int, str]:
    """Runs the command where it must refuse: its exit status, and all that it printed."""
    done = subprocess.run(
        [sys.executable, str(SERVE), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=_environment(),
    )
    return done.returncode, done.stdout + done.stderr


def mass_inside(heatmap: Mapping[str, Any], box: tuple[float, float, float, float]) -> float:
    """The share of a map's mass in a box of the picture, each cell spread evenly over its pixels.

    Args:
        heatmap: As an answer has it.
        box: Left, top, width and height.
    """
    left, top, width, height = heatmap["region"]
    across = _shares(left, width, heatmap["width"], box[0], box[2])
    down = _shares(top, height, heatmap["height"], box[1], box[3])
    values = heatmap["values"]
    inside = sum(
        value * share_down * share_across
        for row, share_down in zip(values, down, strict=True)
        for value, share_across in zip(row, across, strict=True)
    )
    return float(inside / sum(map(sum, values)))


def _shares(start: float, extent: float, cells: int, low: float, length: float) -> list[float]:
    """How much of each cell of one axis lies in a stretch of it."""
    size = extent / cells
    edges = [start + size * cell for cell in range(cells)]
    overlaps = [min(edge + size, low + length) - max(edge, low) for edge in edges]
    return [max(0.0, overlap) / size for overlap in overlaps]


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}


def _wait_for(text: str, process: subprocess.Popen[bytes], printed: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while text not in printed.read_text(encoding="utf-8"):
        assert process.poll() is None, printed.read_text(encoding="utf-8")
        assert time.monotonic() < deadline, printed.read_text(encoding="utf-8")
        time.sleep(0.2)


def _curl(line: str, folder: Path) -> Curl:
    done = subprocess.run(
        ["bash", "-c", f"exec {line} --silent --show-error --max-time 60"],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=90,
        env=_environment(),
    )
    return Curl(line, done.returncode, done.stdout)


def marked(mark: str) -> dict[int, str]:
    """Living processes of a run, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            if f"{_MARK}={mark}".encode() in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it has ended, or is another person's
            continue
    return found
