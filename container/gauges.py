"""The agent's own metrics, as Prometheus' text; names and labels are part of the interface."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from container.health import Observation, ready
from container.management import ModelState

_STATUS = re.compile(
    r"Active connections: (\d+).*Reading: (\d+) Writing: (\d+) Waiting: (\d+)", re.S
)
_STATES = ("active", "reading", "writing", "waiting")


@dataclass(frozen=True)
class _Gauge:
    name: str
    help: str
    samples: Iterable[tuple[str, int]]

    def text(self) -> str:
        lines = [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} gauge"]
        return "\n".join(
            [*lines, *(f"{self.name}{label} {value}" for label, value in self.samples)]
        )


def metrics_text(seen: Observation, now: float, door: Mapping[str, int]) -> str:
    """The gauges.

    Args:
        seen: What is known.
        now: Of :func:`time.monotonic`.
        door: nginx's connections by their state; empty where it does not tell.
    """
    known = {name: state for name, state in seen.models.items() if isinstance(state, ModelState)}
    none = ModelState(1, 0, 0, 0)  # of a model that is not there yet, one worker is expected
    everyone = {name: known.get(name, none) for name in seen.models}
    gauges = (
        _of_models(
            "gradcam_pending_requests",
            "Requests that wait in a model's queue.",
            {name: state.pending for name, state in known.items()},
        ),
        _of_models(
            "gradcam_queue_capacity",
            "Requests that can wait there.",
            {name: state.capacity for name, state in known.items()},
        ),
        _of_models(
            "gradcam_ready_workers",
            "Workers that are READY.",
            {name: state.ready_workers for name, state in everyone.items()},
        ),
        _of_models(
            "gradcam_expected_workers",
            "Workers that must be.",
            {name: state.expected_workers for name, state in everyone.items()},
        ),
        _Gauge(
            "gradcam_ready",
            "1 while requests should come here.",
            [("", int(ready(seen, now).ok))],
        ),
        _Gauge("gradcam_draining", "1 once the container ends.", [("", int(seen.draining))]),
        _Gauge(
            "gradcam_door_connections",
            "The door's connections.",
            [(f'{{state="{state}"}}', count) for state, count in door.items()],
        ),
    )
    return "".join(f"{gauge.text()}\n" for gauge in gauges)


def door_connections(status: str) -> dict[str, int]:
    """The page of nginx's ``stub_status`` as numbers by state; empty where it is something else."""
    match = _STATUS.search(status)
    return dict(zip(_STATES, map(int, match.groups()), strict=True)) if match else {}


def _of_models(name: str, about: str, values: Mapping[str, int]) -> _Gauge:
    # the names need no escaping: see settings.MODEL_NAME
    return _Gauge(name, about, [(f'{{model_name="{key}"}}', one) for key, one in values.items()])
