"""Starts nginx, TorchServe and the agent; ends when one of them does; drains when asked to end.

On SIGTERM or SIGINT:

    at once                      /ready says 503; the door still takes requests, for others learn
                                 of it late, and says with each answer that its connection ends
    after GRADCAM_DRAIN_SECONDS  the door takes no new connection, and finishes what is under way
    when that is done, or after GRADCAM_DRAIN_LIMIT more: TorchServe is stopped

A second signal ends the waiting.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence

from container.agent import Agent
from container.child import Child
from container.errors import PartError, SettingsError
from container.keys import Key, fingerprint, random_key, read_keys
from container.monitor import Monitor
from container.nginx import Nginx
from container.settings import Settings, misspelt, read_settings
from container.torchserve import start_torchserve

_PERIOD = 0.1  # seconds between two looks at the parts
_KEYS_PERIOD = 2.0  # seconds between two looks at the file of keys
_GRACE = 15.0  # seconds that TorchServe has to stop
_EXAMPLES = """
examples:
  python -m container.entrypoint                    with the settings of the environment
  GRADCAM_MODEL_STORE=model_store GRADCAM_RUN_DIR=/tmp/gradcam python -m container.entrypoint
"""


class Container:
    """The parts, and their life."""

    def __init__(self, settings: Settings) -> None:
        """Starts nothing yet.

        Raises:
            SettingsError: The keys are wrong.
            OSError: The agent's port is in use.
        """
        self._settings = settings
        self._monitor = Monitor(settings.server, settings.models, settings.canary)
        self._agent = Agent(
            self._monitor, settings.agent_port, settings.server.metrics, settings.run_dir
        )
        self._nginx = Nginx(settings)
        self._torchserve: Child | None = None
        self._keys_seen = ""
        self._signals = 0

    def ask_to_end(self) -> None:
        """What a signal does."""
        self._signals += 1

    def run(self) -> int:
        """Runs the container until its end; the exit status.

        Raises:
            SettingsError, PartError: Something cannot be started.
        """
        keys = self._first_keys()
        try:
            self._agent.start()
            self._nginx.start(keys)
            self._torchserve = start_torchserve(self._settings)
            self._monitor.start()
            return self._drain() if self._serve() else 1
        finally:
            self._stop()

    def _serve(self) -> bool:
        """Watches the parts: whether it was a signal that ended it."""
        look = time.monotonic()
        while not self._signals:
            if self._a_part_died():
                return False
            if time.monotonic() - look > _KEYS_PERIOD:
                look = time.monotonic()
                self._follow_keys()
            time.sleep(_PERIOD)
        return True

    def _drain(self) -> int:
        settings = self._settings
        _say(
            f"asked to end: not ready from now on; the door closes in {settings.drain_seconds:g} s"
        )
        self._monitor.drain()
        self._nginx.announce_end()
        deadline = time.monotonic() + settings.drain_seconds
        while time.monotonic() < deadline and self._signals < 2:
            if self._a_part_died():
                return 1
            time.sleep(_PERIOD)
        _say("the door takes no new connection; what is under way is finished")
        self._nginx.finish()
        begun = time.monotonic()
        while self._nginx.status is None and self._signals < 2:
            if (passed := time.monotonic() - begun) > settings.drain_limit:
                _say(f"LOST: not all was answered within {passed:.0f} s (GRADCAM_DRAIN_LIMIT)")
                return 1
            time.sleep(_PERIOD)
        _say(f"the door is closed after {time.monotonic() - begun:.1f} s")
        return 0

    def _a_part_died(self) -> bool:
        torchserve = self._torchserve
        died = {
            "nginx": self._nginx.status,
            "TorchServe": torchserve.status if torchserve else None,
            "the agent": None if self._agent.running else 1,
        }
        for name, status in died.items():
            if status is not None:
                _say(f"{name} ended by itself (status {status}), and so the container does")
        return any(status is not None for status in died.values())

    def _first_keys(self) -> Sequence[Key] | None:
        path = self._settings.keys_file
        if path is None:
            _say(
                "WARNING: KEYS ARE OFF (GRADCAM_KEYS=off): whoever reaches port "
                f"{self._settings.door_port} can ask for predictions and explanations"
            )
            return None
        if path.exists():
            self._keys_seen = fingerprint(path)
            keys = read_keys(path)
            _say(f"{len(keys)} keys from {path}: {', '.join(key.name for key in keys)}")
            return keys
        made = random_key()
        model = next(iter(self._settings.models))
        _say(
            f"there is no {path}, so this key was made for this run only; ask with\n"
            f"  curl -H 'Authorization: Bearer {made.secret}' -T photo.jpg "
            f"http://127.0.0.1:{self._settings.door_port}/explanations/{model}"
        )
        return [made]

    def _follow_keys(self) -> None:
        """Takes up a changed file of keys; a wrong or a missing one changes nothing."""
        path = self._settings.keys_file
        if path is None or (seen := fingerprint(path)) in ("", self._keys_seen):
            return
        self._keys_seen = seen
        try:
            keys = read_keys(path)
            self._nginx.reload(keys)
        except (SettingsError, PartError) as error:
            _say(f"WARNING: the keys have changed, and the old ones stay good: {error}")
            return
        _say(f"the keys have changed: {', '.join(key.name for key in keys)}")

    def _stop(self) -> None:
        """Ends all parts, the door first."""
        self._nginx.stop()
        if self._torchserve is not None:
            self._torchserve.stop(_GRACE)
        self._monitor.end()
        self._agent.stop()


def main() -> int:
    """Runs the command line."""
    argparse.ArgumentParser(
        prog="python -m container.entrypoint",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    for sentence in misspelt(os.environ):
        _say(f"WARNING: {sentence}")
    try:
        settings = read_settings(os.environ)
        settings.run_dir.mkdir(parents=True, exist_ok=True)
        container = Container(settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: container.ask_to_end())
        return container.run()
    except (SettingsError, PartError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: the container cannot start: {error}", file=sys.stderr)
        return 2


def _say(sentence: str) -> None:
    print(f"gradcam: {sentence}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
