"""The container's entry point as processes of this machine, in the place of pods."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from finding import ROOT

from container.server_config import read_server_config
from local_ports import HOST, Ports, open_local
from torchserve_process import java_environment

KEY = "the-key-of-a-benchmark"


@dataclass(frozen=True)
class Pod:
    """A running entry point.

    Attributes:
        name: Of the pod.
        door: The URL of the only way in.
        metrics: The port of ``/metrics``.
    """

    name: str
    door: str
    metrics: int
    _process: subprocess.Popen[bytes]
    _log: Path

    def wait_ready(self, seconds: float = 300) -> None:
        """Waits until it answers its readiness probe with a 200.

        Raises:
            OSError: It ended, or time is up.
        """
        deadline = time.monotonic() + seconds
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise OSError(f"{self.name} does not become ready; {self._log} says why")
            time.sleep(0.5)

    def end(self) -> None:
        """Asks it to end as Kubernetes does, and waits for it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(120)

    def _ready(self) -> bool:
        # a status that is no 2xx is an error too
        with (
            contextlib.suppress(OSError),
            open_local(urllib.request.Request(f"{self.door}/ready"), 5),
        ):
            return True
        return False


@contextlib.contextmanager
def pod(name: str, store: Path, folder: Path, nginx: Path, core: int) -> Iterator[Pod]:
    """Starts one; at the end it is ended.

    Args:
        name: Of the pod.
        store: The folder of the archives.
        folder: Where it runs; its path must be short, as a socket's name has 107 bytes.
        nginx: The program.
        core: The one processor core that it may use.
    """
    folder.mkdir()
    server, own = Ports.free(), Ports.free()
    config = folder / "config.properties"
    config.write_text(_moved(server), encoding="utf-8")
    (folder / "keys").write_text(f"benchmark:{KEY}\n", encoding="utf-8")
    told = {
        "CONFIG": config,
        "MODEL_STORE": store,
        "RUN_DIR": folder / "run",
        "LISTEN": HOST,
        "DOOR_PORT": own.inference,
        "METRICS_PORT": own.metrics,
        "AGENT_PORT": own.management,
        "KEYS_FILE": folder / "keys",
        "NGINX": nginx,
    }
    settings = {f"GRADCAM_{key}": str(value) for key, value in told.items()}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", str(core), sys.executable, "-m", "container.entrypoint"],
            cwd=ROOT,
            env={**os.environ, **java_environment(), **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Pod(name, f"http://{HOST}:{own.inference}", own.metrics, process, folder / "log")
    try:
        yield running
    finally:
        if process.poll() is None:
            running.end()


def _moved(ports: Ports) -> str:
    """The repository's configuration, on other ports."""
    shown: Mapping[str, str] = {
        "inference_address": f"http://{HOST}:{ports.inference}",
        "management_address": f"http://{HOST}:{ports.management}",
        "metrics_address": f"http://{HOST}:{ports.metrics}",
        "grpc_inference_port": str(ports.grpc_inference),
        "grpc_management_port": str(ports.grpc_management),
    }
    return read_server_config(ROOT / "config.properties").text(shown)
