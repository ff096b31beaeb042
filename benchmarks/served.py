"""Batches in a live TorchServe, for what it takes beside the walk in a worker."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from server_archives import Batching, package_ours
from server_contenders import Contender, ours
from stages_report import GRID, OVERLAY, PREDICTIONS, SERVED

from load import Load, closed_loop
from torchserve_process import TorchServe

_BATCHES = 12  # of a turn
_DELAY = 20  # milliseconds that a batch may wait, which it need not: there are clients enough
_TIMEOUT = 600.0  # seconds


@contextmanager
def serve(
    architecture: str,
    batch: int,
    execution: Mapping[str, Any],
    photographs: Sequence[bytes],
    logs: Path,
) -> Iterator[Mapping[str, Callable[[], float]]]:
    """A server with one worker, as long as it is wanted.

    Args:
        architecture: Torchvision's, with seeded random weights.
        batch: Requests of a batch; there are twice as many clients, so that every batch is full.
        execution: As in the settings.
        photographs: JPEGs to send.
        logs: The folder for the server's logs.

    Yields:
        By name, what sends some batches and gives the seconds of one.

    Raises:
        TorchServeError: It cannot be served; the message says why.
    """
    told = [f"--execution={key}={json.dumps(value)}" for key, value in execution.items()]
    contenders = dict(zip((PREDICTIONS, GRID, OVERLAY), ours(), strict=True))
    with tempfile.TemporaryDirectory(prefix="stages-") as folder:
        store, name = Path(folder), contenders[GRID].archive(architecture)
        package_ours(store, name, architecture, Batching(batch, _DELAY), told)
        with TorchServe(store, {name: f"{name}.mar"}, log_dir=logs) as server:
            server.wait_ready(timeout=600)
            send = partial(_send, server.inference_url, architecture, batch, photographs)
            for one in contenders.values():
                send(one)  # the first of anything is slower
            yield {f"{SERVED}{what}": partial(send, one) for what, one in contenders.items()}


def _send(
    url: str, architecture: str, batch: int, photographs: Sequence[bytes], one: Contender
) -> float:
    shots = one.shots(url, architecture, photographs)
    load = closed_loop(shots, 2 * batch, requests=_BATCHES * batch, timeout=_TIMEOUT)
    return seconds_of_a_batch(load, batch)


def seconds_of_a_batch(load: Load, batch: int) -> float:
    """What a batch took in a run.

    Raises:
        RuntimeError: A request was not answered with a 2xx, so that less was done than is said.
    """
    if load.errors:
        raise RuntimeError(f"{load.errors} of {len(load.statuses)} requests were not answered")
    return load.seconds / len(load.statuses) * batch
