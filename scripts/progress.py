"""One line that says how far a long run is."""

import sys
import time


class Progress:
    """Counts steps on standard error: one line that is overwritten, or a line now and then."""

    def __init__(self, steps: int) -> None:
        self._steps, self._done = steps, 0
        self._start = self._shown = time.monotonic()

    def step(self, what: str) -> None:
        """Counts one step, and says what was done."""
        self._done += 1
        now = time.monotonic()
        last = self._done == self._steps
        live = sys.stderr.isatty()
        if not (live or last or now - self._shown > 10):
            return
        self._shown = now
        left = (now - self._start) * (self._steps / self._done - 1)
        line = f"{self._done}/{self._steps}  {left:.0f} s left  {what}"
        print(f"\r{line:<78}" if live else line, file=sys.stderr, end="" if live else "\n")
        if live and last:
            print(file=sys.stderr)
