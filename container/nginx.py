"""nginx, as the door: started, given new keys, asked to finish what is under way."""

import os
import pwd
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from container.child import Child
from container.door import Machine, draining_flag, render, status_socket
from container.errors import PartError
from container.keys import Key
from container.settings import Settings


class Nginx:
    """One nginx, its files all in the run folder.

    nginx.start(keys) ... nginx.reload(other_keys) ... nginx.finish() ... nginx.stop()
    """

    def __init__(self, settings: Settings, access_log: str = "/dev/stdout") -> None:
        """Starts nothing yet.

        Args:
            settings: What the container is told.
            access_log: A file for the access log.
        """
        self._settings = settings
        self._machine = this_machine(access_log)
        self._run = settings.run_dir
        self._child: Child | None = None

    @property
    def status(self) -> int | None:
        """The exit status; ``None`` while it runs."""
        return None if self._child is None else self._child.status

    def start(self, keys: Sequence[Key] | None) -> None:
        """Starts it.

        Raises:
            PartError: nginx is not there, or refuses its configuration or a port.
        """
        (self._run / "nginx").mkdir(mode=0o700, parents=True, exist_ok=True)
        # left by a container that was killed: nginx cannot bind to a socket that is there
        for stale in (status_socket(self._run), draining_flag(self._run)):
            stale.unlink(missing_ok=True)
        self._install(keys)
        self._child = Child([*self._command], self._run, os.environ)

    def reload(self, keys: Sequence[Key] | None) -> None:
        """Goes on with other keys; requests under way are finished by the old processes.

        (They have ``SLOWEST`` seconds for it, which no request exceeds.)

        Raises:
            PartError: nginx refuses the configuration, and goes on with the old one.
        """
        self._install(keys)
        if self._child is not None:
            self._child.signal(signal.SIGHUP)

    def announce_end(self) -> None:
        """From now on every answer says that its connection ends."""
        draining_flag(self._run).touch()

    def finish(self) -> None:
        """Takes no new connection, and ends when all requests are answered."""
        if self._child is not None:
            self._child.signal(signal.SIGQUIT)

    def stop(self) -> None:
        """Ends it at once."""
        if self._child is not None:
            self._child.stop(3)

    @property
    def _config(self) -> Path:
        return self._run / "nginx.conf"

    @property
    def _command(self) -> list[str]:
        # -e: otherwise it first opens the log that it was built with, which may be read-only
        return [
            self._settings.nginx,
            *("-e", "stderr", "-p", str(self._run), "-c", str(self._config)),
        ]

    def _install(self, keys: Sequence[Key] | None) -> None:
        """Puts a configuration in place, once nginx has accepted it."""
        text = render(self._settings, keys, self._machine)
        proposed = self._config.with_suffix(".new")
        descriptor = os.open(proposed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # it has keys
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        check = [*self._command[:-1], str(proposed), "-t", "-q"]
        try:
            done = subprocess.run(check, capture_output=True, text=True, check=False, timeout=30)
        except OSError as error:
            raise PartError(
                f"nginx ({self._settings.nginx}) cannot be started: {error.strerror}; install it, "
                "or say with GRADCAM_NGINX where it is"
            ) from error
        if done.returncode:
            raise PartError(f"nginx refuses its configuration: {done.stderr.strip()}")
        proposed.replace(self._config)


def this_machine(access_log: str) -> Machine:
    """What the configuration must know of the machine that this runs on."""
    # as root (the image is not) nginx would become nobody, who cannot reach the run folder
    user = pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() == 0 else ""
    return Machine(ipv6=_has_ipv6(), user=user, access_log=access_log)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True
