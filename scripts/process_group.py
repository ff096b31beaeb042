"""A command in a session of its own, so that a signal reaches all that it started and only that."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class ProcessGroup:
    """A running command and every process that it starts."""

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path
    ) -> None:
        """Starts the command.

        Args:
            command: The program and its arguments.
            folder: Its working directory.
            environment: All of its environment.
            output: The file for what it prints.
        """
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether the command itself lives."""
        return self._process.poll() is None

    def pids(self) -> list[int]:
        """The group's living processes."""
        self._process.poll()  # so that it does not stay a zombie
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdecimal() and self._holds(entry)
        ]

    def stop(self, grace: float) -> None:
        """Ends every process of the group: asked first, killed after ``grace`` seconds."""
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
            if self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)
            _wait_until(lambda: not self.pids(), patience)
        self._process.wait()

    def _holds(self, entry: Path) -> bool:
        with contextlib.suppress(OSError):
            # "pid (name) state parent group session ...", and the name may hold anything
            state, _, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            return int(group) == self._process.pid and state not in "ZX"
        return False


def _wait_until(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.1)
