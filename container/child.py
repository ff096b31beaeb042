"""A program in a session of its own, so that a signal reaches what it started, and only that."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from container.errors import PartError


class Child:
    """A running program and every process of its group.

    The container's own signals do not reach it: ``tini -g`` and a terminal send SIGTERM and SIGINT
    to the whole group, and TorchServe would drop at once what is to be drained.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        """Starts it; what it prints goes where our own goes.

        Raises:
            PartError: There is no such program.
        """
        self.name = Path(command[0]).name
        try:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise PartError(f"{command[0]} cannot be started: {error.strerror}") from error

    @property
    def pid(self) -> int:
        """Of the program itself, which leads its group."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; ``None`` while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the program alone, if it still runs."""
        self._process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Whether it ends within this time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.status is not None

    def stop(self, grace: float) -> None:
        """Ends every process of its group: asked first, killed after ``grace`` seconds."""
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            if _wait_until(self._gone, patience):
                break
        self.wait(1)

    def _gone(self) -> bool:
        self._process.poll()  # so that it does not stay a zombie, and in its group
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False


def _wait_until(done: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (finished := done()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return finished
