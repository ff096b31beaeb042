"""A container of the image that is being checked, whatever runs it: docker, podman, or nothing.

Every one is run as a cautious operator would: root file system read-only, no capabilities, no new
privileges, three writable folders in memory, the keys as a read-only mount.
"""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

DOOR_PORT, METRICS_PORT = 8000, 8002
WRITABLE = {"/run/gradcam": "1g", "/tmp": "256m", "/dev/shm": "1g"}
"""The folders that can be written to, and how much they hold."""


class EngineError(Exception):
    """The engine refused; the message is for a person."""


@dataclass(frozen=True)
class Wanted:
    """What to run.

    Attributes:
        image: A reference that the engine knows.
        keys: A folder with the file ``keys``.
        user: ``uid:gid``, or empty for the image's.
        environment: Variables beside the image's.
    """

    image: str
    keys: Path
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a container went.

    Attributes:
        seconds: From the request to stop to the end.
        code: The exit status; 137 if it had to be killed.
    """

    seconds: float
    code: int


class Container(Protocol):
    """One running container."""

    limits: str
    """What of the isolation is not there, as a sentence; empty if all is."""

    def url(self, port: int) -> str:
        """Where a port of the container is reached from here, without a slash at the end."""

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Runs a command inside, as the container's user."""

    def running(self) -> bool:
        """Whether its first process lives."""

    def logs(self) -> str:
        """All that it has said."""

    def terminate(self) -> None:
        """Asks it to stop, by SIGTERM, and returns at once."""

    def wait(self, seconds: float) -> Ended:
        """Waits for the end after :meth:`terminate`; kills it when the time is up."""

    def remove(self) -> None:
        """Leaves nothing behind."""


def engine_command(engine: str, *arguments: str) -> list[str]:
    """The engine's command line, with the options that the environment puts first."""
    return [engine, *shlex.split(os.environ.get("GRADCAM_ENGINE_OPTIONS", "")), *arguments]


def ask(engine: str, *arguments: str) -> str:
    """What the engine prints.

    Raises:
        EngineError: It failed.
    """
    command = engine_command(engine, *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(f"{shlex.join(command)} failed: {done.stderr.strip()}")
    return done.stdout.strip()


class DockerContainer:
    """A container of docker or podman."""

    limits = ""

    def __init__(self, engine: str, wanted: Wanted) -> None:
        """Starts it."""
        self._engine = engine
        self._asked = 0.0
        arguments = ["run", "--detach", "--read-only", "--cap-drop", "ALL"]
        arguments += ["--security-opt", "no-new-privileges"]
        if engine == "podman":  # which else adds writable folders to a read-only root
            arguments.append("--read-only-tmpfs=false")
        for folder, size in WRITABLE.items():
            if folder == "/dev/shm":
                arguments += ["--shm-size", size]
            else:
                arguments += ["--tmpfs", f"{folder}:rw,nosuid,nodev,noexec,mode=1777,size={size}"]
        arguments += ["--volume", f"{wanted.keys}:/etc/gradcam/keys:ro"]
        for port in (DOOR_PORT, METRICS_PORT):
            arguments += ["--publish", f"127.0.0.1::{port}"]
        for name, value in wanted.environment.items():
            arguments += ["--env", f"{name}={value}"]
        if wanted.user:
            arguments += ["--user", wanted.user]
        self._id = ask(engine, *arguments, wanted.image)

    def url(self, port: int) -> str:
        """As :class:`Container` says, and so are the others."""
        return f"http://{ask(self._engine, 'port', self._id, f'{port}/tcp').splitlines()[0]}"

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Runs it with ``exec``."""
        return subprocess.run(
            engine_command(self._engine, "exec", self._id, *command),
            capture_output=True,
            text=True,
            check=False,
        )

    def running(self) -> bool:
        """From the engine's own record."""
        return ask(self._engine, "inspect", "--format", "{{.State.Running}}", self._id) == "true"

    def logs(self) -> str:
        """Both streams."""
        command = engine_command(self._engine, "logs", self._id)
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return done.stdout

    def terminate(self) -> None:
        """With ``kill``, which does not wait."""
        self._asked = time.monotonic()
        ask(self._engine, "kill", "--signal", "TERM", self._id)

    def wait(self, seconds: float) -> Ended:
        """Looks a few times a second."""
        while self.running() and time.monotonic() - self._asked < seconds:
            time.sleep(0.2)
        passed = time.monotonic() - self._asked
        if self.running():
            ask(self._engine, "kill", "--signal", "KILL", self._id)
        code = ask(self._engine, "inspect", "--format", "{{.State.ExitCode}}", self._id)
        return Ended(passed, int(code))

    def remove(self) -> None:
        """By force."""
        ask(self._engine, "rm", "--force", self._id)


def image_config(engine: str, image: str) -> dict[str, object]:
    """The image's configuration, with keys such as ``Entrypoint``, ``Env``, ``User``, ``Labels``.

    Raises:
        EngineError: There is no such image.
    """
    if engine == "buildah":
        told = json.loads(ask(engine, "inspect", "--type", "image", image))["Docker"]
        return dict(told["config"])
    told = json.loads(ask(engine, "image", "inspect", image))[0]
    beside = {key: told[key] for key in ("Healthcheck",) if key in told}  # as podman has it
    return {**told["Config"], **beside}
