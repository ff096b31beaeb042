"""Being asked to end with requests under way: none is lost, and without the drain some are.

The traffic is what a Service gives a pod: clients send here as long as its readiness says so, which
is asked every so often, and go elsewhere from then on.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from doors import Asker
from live.container_run import container
from live.gate_archive import Gate, package_gate
from torchserve_process import TorchServe

pytestmark = pytest.mark.live

PATH = "/explanations/gate"
PROBE_PERIOD = 0.5
OPEN = 3.0
"""Seconds for which the door still takes requests."""
LONG = 5.0
"""Seconds that some requests take: longer than that."""


@dataclass(frozen=True)
class Outcome:
    """What became of the requests.

    Attributes:
        answered: How many were.
        lost: What happened to the others.
        noticed: Seconds from the signal until the balancer sent no more.
    """

    answered: int
    lost: Sequence[str]
    noticed: float


def _traffic(asker: Asker, ready: Callable[[], bool], end: Callable[[], None]) -> Outcome:
    """Steady requests, some of them long; ``end`` is called in the middle."""
    here = threading.Event()
    here.set()
    moments: dict[str, float] = {}
    outcomes: list[str] = []

    def balance() -> None:
        while here.is_set():
            if not ready():
                moments["noticed"] = time.monotonic()
                here.clear()
            time.sleep(PROBE_PERIOD)

    def ask(seconds: float) -> str:
        try:
            reply = asker.send("POST", PATH, b"x", {"X-Seconds": str(seconds)})
        except Exception as error:
            return repr(error)
        return "" if reply.status == 200 else f"{reply.status} {reply.body!r}"

    def client(seconds: float) -> None:
        while here.is_set():
            outcomes.append(ask(seconds))

    with ThreadPoolExecutor(8) as pool:
        pool.submit(balance)
        clients = [pool.submit(client, seconds) for seconds in (0.2, 0.3, 0.5, LONG, LONG)]
        deadline = time.monotonic() + 120
        while len(outcomes) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        end()
        moments["ended"] = time.monotonic()
        for one in clients:
            one.result()
    lost = [outcome for outcome in outcomes if outcome]
    return Outcome(len(outcomes) - len(lost), lost, moments["noticed"] - moments["ended"])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    package_gate(
        tmp_path, "gate", batchSize=16, maxBatchDelay=20, minWorkers=2, maxWorkers=2
    ).open()
    return tmp_path


def test_no_accepted_request_is_lost(store: Path) -> None:
    with container(store, KEYS="off", DRAIN_SECONDS=str(OPEN), DRAIN_LIMIT="20") as pod:
        pod.wait_ready()
        outcome = _traffic(
            pod.door,
            lambda: pod.health("ready")[0] == 200,
            lambda: pod.process.send_signal(signal.SIGTERM),
        )
        assert pod.process.wait(60) == 0
        log, left = pod.log(), pod.processes()
    assert outcome.lost == []
    assert outcome.answered >= 5
    assert outcome.noticed < OPEN  # readiness went at once, not when the door closed
    assert "the door is closed after" in log
    assert left == {}


def test_without_the_drain_some_are(store: Path) -> None:
    """The same traffic, and SIGTERM to TorchServe itself, as where it is a container's PID 1."""
    with TorchServe(store, {"gate": "gate.mar"}, log_dir=store / "logs") as server:
        server.wait_ready(timeout=300)
        asker = Asker(server.ports.inference)

        def ready() -> bool:
            try:
                return asker.send("GET", "/ping").status == 200
            except OSError:
                return False

        outcome = _traffic(
            asker, ready, lambda: os.killpg(os.getpgid(server.pids()[0]), signal.SIGTERM)
        )
    assert outcome.answered >= 5
    refused = "ConnectionRefused"  # was never taken, and might go elsewhere; the others were lost
    assert [told for told in outcome.lost if refused not in told]


def test_a_drain_ends_at_its_limit(store: Path) -> None:
    with container(store, KEYS="off", DRAIN_SECONDS="0", DRAIN_LIMIT="1") as pod:
        pod.wait_ready()
        with ThreadPoolExecutor(1) as pool:
            headers = {"X-Seconds": "50", "X-Request-Id": "long"}
            asked = pool.submit(pod.door.send, "POST", PATH, b"x", headers)
            pod.wait_until(lambda: "long" in Gate(store / "gate.gate").begun, seconds=20)
            begun = time.monotonic()
            assert pod.end() == 1  # something was lost
            assert time.monotonic() - begun < 45  # not the fifty that the request takes
            with pytest.raises(OSError):  # noqa: PT011 - cut off, in whatever words
                asked.result()
