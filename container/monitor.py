"""Looks at TorchServe once a second, and asks each model its canary once its workers are READY."""

import threading
import time
from collections.abc import Iterable
from dataclasses import replace

from container.canary import ask_canary
from container.health import Observation, ready
from container.management import ModelState, NotTold, Ping, model_state, ping
from container.server_config import ServerConfig
from container.settings import Canary

_PERIOD = 1.0  # seconds
_BETWEEN_CANARIES = 2.0  # seconds after one that failed


class Monitor:
    """Keeps the newest :class:`Observation`, in a thread of its own."""

    def __init__(self, server: ServerConfig, models: Iterable[str], canary: Canary) -> None:
        """Asks nothing yet.

        Args:
            server: Where TorchServe listens.
            models: The names that are expected.
            canary: What to ask of each.
        """
        now = time.monotonic()
        self._server = server
        self._canary = canary
        self._seen = Observation(
            now, now, Ping.SILENT, None, dict.fromkeys(models, "TorchServe does not answer yet"), {}
        )
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._asking: set[str] = set()

    @property
    def seen(self) -> Observation:
        """The newest observation."""
        return self._seen

    def start(self) -> None:
        """From now on it looks."""
        threading.Thread(target=self._run, name="monitor", daemon=True).start()

    def end(self) -> None:
        """It looks no more."""
        self._ended.set()

    def drain(self) -> None:
        """From this moment on the container is not ready."""
        self._change(draining=True)

    def look(self) -> None:
        """One look, which also starts the canaries that are due."""
        pinged = ping(self._server.inference)
        models = {name: self._state(name) for name in self._seen.models}
        now = time.monotonic()
        self._change(
            ping=pinged,
            answered=self._seen.answered if pinged is Ping.SILENT else now,
            models=models,
            at=now,
        )
        for name, state in models.items():
            if isinstance(state, ModelState) and state.ready_workers >= state.expected_workers:
                self._ask_once(name)

    def _run(self) -> None:
        while not self._ended.is_set():
            self.look()
            self._ended.wait(_PERIOD)

    def _state(self, name: str) -> ModelState | str:
        try:
            return model_state(self._server.management, name)
        except NotTold as reason:
            return str(reason)

    def _ask_once(self, name: str) -> None:
        """Asks a canary beside everything else, unless one is under way or has succeeded."""
        if name in self._asking or self._seen.canaries.get(name) == "":
            return
        self._asking.add(name)
        threading.Thread(target=self._ask, args=(name,), name=f"canary {name}", daemon=True).start()

    def _ask(self, name: str) -> None:
        try:
            outcome = ask_canary(self._server.inference, name, self._canary)
            self._change(canary=(name, outcome))
            if outcome:
                print(f"gradcam: the canary of {name} has not succeeded: {outcome}", flush=True)
                self._ended.wait(_BETWEEN_CANARIES)
        finally:  # whatever went wrong, it is asked again
            self._asking.discard(name)

    def _change(self, canary: tuple[str, str] | None = None, **changes: object) -> None:
        with self._lock:
            seen = replace(self._seen, **changes)  # type: ignore[arg-type]
            if canary is not None:
                seen = replace(seen, canaries={**seen.canaries, canary[0]: canary[1]})
            # at once: whoever was told "ready" must also have been told "started"
            was_ready = seen.was_ready or ready(seen, time.monotonic()).ok
            self._seen = replace(seen, was_ready=was_ready)
