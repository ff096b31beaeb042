"""TorchServe, behind the door: its configuration, its command, its environment."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from container.child import Child
from container.settings import Settings

_LOG = Path(__file__).with_name("log4j2.xml")


def start_torchserve(settings: Settings) -> Child:
    """Starts it, with everything that it writes in the run folder.

    Raises:
        PartError: It cannot be started.
    """
    run = settings.run_dir
    # what a killed container has left there is in the way: workers' sockets, a process's number
    shutil.rmtree(run / "tmp", ignore_errors=True)
    for folder in (run / "tmp", run / "logs"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = run / "config.properties"
    config.write_text(
        settings.server.text({"model_store": str(settings.model_store.resolve())}), "utf-8"
    )
    return Child(command(settings, config), run, environment(run, os.environ))


def command(settings: Settings, config: Path) -> list[str]:
    """The command line, for a written configuration."""
    return [
        *(sys.executable, "-m", "ts.model_server", "--start", "--foreground"),
        *("--ts-config", str(config), "--log-config", str(_LOG), "--no-config-snapshots"),
        *("--model-store", str(settings.model_store.resolve()), "--models"),
        *(f"{name}={file}" for name, file in settings.models.items()),
    ]


def environment(run: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Its environment: nothing that could change the configuration, and folders of its own."""
    kept = {key: value for key, value in inherited.items() if not key.startswith("TS_")}
    return {
        **kept,
        # worker sockets and the file with the process's number
        "TMPDIR": str(run / "tmp"),
        "TEMP": str(run / "tmp"),
        "LOG_LOCATION": str(run / "logs"),
        "METRICS_LOCATION": str(run / "logs"),
    }
