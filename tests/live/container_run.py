"""The container's entry point as a process of this machine: nginx, TorchServe and the agent."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from container.local_http import Silent, ask
from doors import Asker, environment
from live.serve_run import marked
from local_ports import Ports, get_json
from repository import ROOT
from torchserve_process import java_environment

_MARK = "GRADCAM_TEST_RUN"


@dataclass(frozen=True)
class Seen:
    """What each of them said at one moment."""

    ping: tuple[int, str]
    ready: tuple[int, str]
    live: tuple[int, str]
    startup: tuple[int, str]


@dataclass(frozen=True)
class Container:
    """A running entry point."""

    process: subprocess.Popen[bytes]
    told: Mapping[str, str]
    ports: Ports
    folder: Path

    @property
    def door(self) -> Asker:
        return Asker(int(self.told["GRADCAM_DOOR_PORT"]))

    @property
    def metrics(self) -> Asker:
        return Asker(int(self.told["GRADCAM_METRICS_PORT"]))

    @property
    def management_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.management}"

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def health(self, check: str) -> tuple[int, str]:
        """Asked at the door, as Kubernetes does; the status and the sentence."""
        try:
            reply = self.door.send("GET", f"/{check}")
        except OSError as error:
            return 0, str(error)
        return reply.status, reply.json()["message"]

    def ping(self) -> tuple[int, str]:
        """TorchServe's own ``/ping``."""
        try:
            answer = ask(f"127.0.0.1:{self.ports.inference}", "/ping", 5)
        except Silent as silent:
            return 0, str(silent)
        return answer.status, re.sub(r"\s+", "", answer.text)

    def seen(self) -> Seen:
        # the readiness first: what it says is up to a second old, and /ping's must not be older
        ready, live, startup = map(self.health, ("ready", "live", "startup"))
        return Seen(self.ping(), ready, live, startup)

    def workers(self, model: str) -> list[dict[str, Any]]:
        (told,) = get_json(f"{self.management_url}/models/{model}")
        return list(told["workers"])

    def scale(self, model: str, workers: int) -> None:
        query = f"min_worker={workers}&max_worker={max(1, workers)}&synchronous=true"
        reply = Asker(self.ports.management).send("PUT", f"/models/{model}?{query}")
        assert reply.status == 200, reply

    def wait_until(self, what: Callable[[], bool], seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert self.process.poll() is None, self.log()[-5000:]
            assert time.monotonic() < deadline, (self.seen(), self.log()[-5000:])
            time.sleep(0.1)

    def wait_ready(self) -> None:
        self.wait_until(lambda: self.health("ready")[0] == 200)

    def part(self, name: str) -> int:
        """The process whose command line has this in it, the eldest of them."""
        return min(pid for pid, line in self.processes().items() if name in line)

    def processes(self) -> dict[int, str]:
        """All living processes of the run, with their command lines."""
        return {**_working_in(self.folder), **marked(self.told[_MARK])}

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 60) -> int:
        """Asks the entry point, and only that, to end; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextlib.contextmanager
def container(store: Path, **told: str) -> Iterator[Container]:
    """Runs it with these settings (``GRADCAM_`` left out) for the archives of a store."""
    with tempfile.TemporaryDirectory(prefix="pod-", dir="/tmp") as name:
        folder, ports = Path(name), Ports.free()
        config = folder / "config.properties"
        config.write_text(_moved(ports), encoding="utf-8")
        shutil.copy(ROOT / "metrics.yaml", folder)  # which the configuration names beside itself
        kept = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        settings = environment(folder, **{"MODEL_STORE": str(store), "CONFIG": str(config), **told})
        settings[_MARK] = uuid.uuid4().hex
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "container.entrypoint"],
                cwd=ROOT,
                env={**kept, **java_environment(), **settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running = Container(process, settings, ports, folder)
        try:
            yield running
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            for pid in running.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(10)


def _working_in(folder: Path) -> dict[int, str]:
    """Those with a working directory in a folder: nginx writes its title over its environment."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(folder):
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    return found


def _moved(ports: Ports) -> str:
    """The repository's configuration on other ports."""
    text = (ROOT / "config.properties").read_text(encoding="utf-8")
    for name, port in (
        ("inference", ports.inference),
        ("management", ports.management),
        ("metrics", ports.metrics),
    ):
        text = re.sub(rf"(?m)^({name}_address=.*:)\d+$", rf"\g<1>{port}", text)
    for name, port in (
        ("inference", ports.grpc_inference),
        ("management", ports.grpc_management),
    ):
        text = re.sub(rf"(?m)^(grpc_{name}_port=)\d+$", rf"\g<1>{port}", text)
    return text
