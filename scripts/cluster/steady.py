"""A steady load through the Service, for as long as something is done to the deployment."""

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

from cluster.accounts import Account, read_account
from cluster.bundle import bundle
from cluster.errors import ClusterError, TooSlow
from cluster.site import Site

_LONGEST = 1800.0  # seconds
_STOP = "/tmp/end-of-load"
_TIMEOUT = 60.0  # seconds for an answer; an explanation waits at most that long in a queue


class SteadyLoad:
    """A load that is under way; its account is there once it has ended."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._found: Any = None
        self._error: ClusterError | None = None

    def check(self) -> None:
        """Does nothing while it runs.

        Raises:
            ClusterError: It could not be run, or not to its end.
        """
        if self._error:
            raise self._error

    @property
    def account(self) -> Account:
        """What it found.

        Raises:
            ClusterError: The load itself could not be run to its end.
        """
        self.check()
        assert self._found is not None
        return read_account(self._found)

    def run(self, site: Site, pod: str, rate: float) -> None:
        """Sends until the file appears."""
        host, port = site.service_address()
        target = {
            "host": host,
            "port": port,
            "path": f"/explanations/{site.model}",
            "headers": {**site.bearer, "Content-Type": "image/png"},
            "timeout": _TIMEOUT,
        }

        def on_line(line: str) -> None:
            self.begun.set()
            site.say(f"load: {line}")

        arguments = [json.dumps(target), str(rate), _STOP, str(_LONGEST)]
        try:
            self._found = site.pods.run(
                pod, "client", bundle("load"), arguments, _LONGEST + _TIMEOUT, on_line
            )
        except ClusterError as error:
            self._error = error
        finally:
            self.begun.set()


@contextlib.contextmanager
def steady_load(site: Site, rate: float | None = None) -> Iterator[SteadyLoad]:
    """Runs a load in the client pod while the block runs, and awaits its last answer."""
    pod = site.client()
    load = SteadyLoad()
    wanted = rate or site.rate
    thread = threading.Thread(target=load.run, args=(site, pod, wanted), daemon=True)
    thread.start()
    if not load.begun.wait(60):
        raise TooSlow("the load did not begin within 60 s")
    load.check()
    try:
        yield load
    finally:
        site.run_in_client("ending", _STOP)
        thread.join(_TIMEOUT + 30)
