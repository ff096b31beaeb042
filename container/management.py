"""What TorchServe says of itself: its models and workers, and whether it can still revive them."""

import enum
import json
from dataclasses import dataclass
from typing import Any

from container.local_http import Silent, ask

_PATIENCE = 3.0  # seconds; these answers are made from memory


class Ping(enum.Enum):
    """What ``/ping`` says."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    SILENT = "silent"


@dataclass(frozen=True)
class ModelState:
    """One model, as the management API tells it.

    Attributes:
        min_workers: How many workers it is scaled to.
        ready_workers: How many are READY; a loading and a crashing one both say UNLOADING.
        pending: Requests that wait in its queue.
        capacity: How many can.
    """

    min_workers: int
    ready_workers: int
    pending: int
    capacity: int

    @property
    def expected_workers(self) -> int:
        """How many must be READY: scaled to nothing, a model answers nobody."""
        return max(1, self.min_workers)


class NotTold(Exception):  # noqa: N818 - it is an answer of a kind
    """The management API does not say how a model is; the sentence says why."""


def ping(inference: str) -> Ping:
    """Asks ``/ping``, which is healthy while a crashing worker is still being started again."""
    try:
        answer = ask(inference, "/ping", _PATIENCE)
    except Silent:
        return Ping.SILENT
    return Ping.HEALTHY if answer.status == 200 else Ping.UNHEALTHY


def model_state(management: str, name: str) -> ModelState:
    """Asks for one model, in the version that is served by default.

    Raises:
        NotTold: TorchServe is silent, does not have the model, or says something unknown.
    """
    try:
        answer = ask(management, f"/models/{name}", _PATIENCE)
    except Silent as silent:
        raise NotTold("TorchServe does not answer yet") from silent
    if answer.status == 404:
        raise NotTold("it is not registered: its archive is not loaded yet, or failed to (see log)")
    if answer.status != 200:
        raise NotTold(f"the management API answers {answer.status}")
    try:
        return read_model_state(json.loads(answer.body))
    except (ValueError, LookupError, TypeError) as error:
        raise NotTold("the management API's answer cannot be read") from error


def read_model_state(document: Any) -> ModelState:
    """Reads the answer of ``GET /models/{name}``.

    Raises:
        ValueError, LookupError, TypeError: It has another form.
    """
    (model,) = document
    queue = model["jobQueueStatus"]
    pending, remaining = int(queue["pendingRequests"]), int(queue["remainingCapacity"])
    statuses = [worker["status"] for worker in model["workers"]]
    return ModelState(
        int(model["minWorkers"]), statuses.count("READY"), pending, pending + remaining
    )
