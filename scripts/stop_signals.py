"""Asking to stop, by Ctrl-C or by the machine, as one exception."""

import contextlib
import signal
from collections.abc import Callable, Iterator


class Stopped(Exception):  # noqa: N818 - it is no error
    """The person or the machine asked to stop."""


class StopSignals:
    """Turns the signals that ask to stop into one :class:`Stopped`, and ignores further ones."""

    def __init__(self) -> None:
        self._numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup means it
            self._numbers.append(signal.SIGHUP)
        self._held = self._asked = False
        self._set(self._arrived)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Waits with it: a process that is being started must be known before it can be ended."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._asked:
            raise Stopped

    def ignore(self) -> None:
        """From now on: ending what runs must not be cut off."""
        self._set(signal.SIG_IGN)

    def _arrived(self, *_: object) -> None:
        self.ignore()
        self._asked = True
        if not self._held:
            raise Stopped

    def _set(self, handler: Callable[..., None] | signal.Handlers) -> None:
        for number in self._numbers:
            signal.signal(number, handler)
