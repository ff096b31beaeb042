"""Several replicas on this machine, with the container's door before them."""

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from finding import ROOT

sys.path.insert(1, str(ROOT))
sys.path.insert(1, str(ROOT / "scripts"))

from container.nginx import Nginx
from container.settings import read_settings
from local_ports import HOST, Ports
from torchserve_process import TorchServe

MODEL = "demo"
"""The name that replicas serve under."""


@dataclass(frozen=True)
class Door:
    """A running door.

    Attributes:
        url: Without a slash at the end.
        access_log: A line for each request, as JSON; it follows the answer that it is about.
    """

    url: str
    access_log: Path


@contextlib.contextmanager
def replicas(store: Path, folder: Path, count: int = 2) -> Iterator[Sequence[TorchServe]]:
    """TorchServes that are ready, each with ports and logs of its own.

    Args:
        store: The folder of ``demo.mar``.
        folder: Where logs go.
        count: How many.
    """
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(
                TorchServe(store, {MODEL: "demo.mar"}, log_dir=folder / f"logs-{number}")
            )
            for number in range(count)
        ]
        for server in started:
            server.wait_ready(timeout=300)
        yield started


@contextlib.contextmanager
def door(upstreams: Sequence[TorchServe], store: Path, folder: Path, nginx: Path) -> Iterator[Door]:
    """The container's nginx before all of them.

    Args:
        upstreams: Who answers.
        store: The folder of ``demo.mar``.
        folder: Where it runs, and writes ``nginx-access.log`` and ``nginx-error.log``; its path
            must be short, as a socket's name has 107 bytes.
        nginx: The program.
    """
    ports = Ports.free()
    told = {
        "CONFIG": ROOT / "config.properties",
        "MODEL_STORE": store,
        "RUN_DIR": folder / "run",
        "LISTEN": HOST,
        "DOOR_PORT": ports.inference,
        "METRICS_PORT": ports.metrics,
        "AGENT_PORT": ports.management,
        "KEYS": "off",
        "NGINX": nginx,
        "UPSTREAMS": ",".join(f"{HOST}:{server.ports.inference}" for server in upstreams),
    }
    settings = read_settings({f"GRADCAM_{key}": str(value) for key, value in told.items()})
    settings.run_dir.mkdir()
    access_log = folder / "nginx-access.log"
    running = Nginx(settings, str(access_log))
    with _errors_in(
        folder / "nginx-error.log"
    ):  # a line for each request that finds a replica dead
        running.start(None)
    try:
        _wait_for(settings.door_port)
        yield Door(f"http://{HOST}:{settings.door_port}", access_log)
    finally:
        running.stop()


def kill(server: TorchServe) -> None:
    """Ends every process of a server at once, as a node does that fails.

    One after the other would not be that: Java, still alive, answers 500 for what a worker had that
    is dead already. Finding them took 0.6 s on a machine that was busy.
    """
    os.killpg(os.getpgid(server.pids()[0]), signal.SIGKILL)


@contextlib.contextmanager
def _errors_in(path: Path) -> Iterator[None]:
    """What is started meanwhile writes its errors to a file."""
    own = os.dup(2)
    with path.open("wb") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(own, 2)
        os.close(own)


def _wait_for(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.05)
    raise OSError(f"nobody listens on {port}")
