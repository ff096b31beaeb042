"""Health over a container's life: what the probes say where TorchServe's own /ping says Healthy.

Every case of "not ready" here is one that a probe on /ping would miss, and its test shows it: at
that moment /ping is 200 Healthy.
"""

import os
import re
import signal
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from doors import Reply
from live.container_run import Container, Seen, container
from live.gate_archive import Gate, package_gate

pytestmark = pytest.mark.live

HEALTHY = (200, '{"status":"Healthy"}')
RETRIES = 6
"""Seconds for which TorchServe starts a worker again that dies while loading."""
SLOTS = 2
"""Requests that may wait."""
PENDING = f'gradcam_pending_requests{{model_name="gate"}} {SLOTS}\n'


@dataclass(frozen=True)
class Life:
    """One container from its start to its end; the fixture says what was done in between."""

    loading: Seen
    opened: Seen
    canaries: list[str]
    nothing: Seen
    at_nothing: Reply
    back: Seen
    full: Seen
    metrics_when_full: str
    at_full: list[Reply]
    counted_when_full: float
    crashing: Seen
    given_up: Seen
    metrics_at_the_end: str
    status: int
    log: str
    left: dict[int, str]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Loads, serves, is scaled to nothing and back, is overrun, crashes over and over, ends."""
    store = tmp_path_factory.mktemp("store")
    gate = package_gate(store, "gate", maxRetryTimeoutInSec=RETRIES, jobQueueSize=SLOTS)
    with container(store, KEYS="off", DRAIN_SECONDS="0", DRAIN_LIMIT="5") as pod:
        pod.wait_until(lambda: pod.ping()[0] == 200)
        pod.wait_until(lambda: "workers are READY" in pod.health("ready")[1])
        loading = pod.seen()

        gate.open()
        pod.wait_ready()
        opened, canaries = pod.seen(), gate.answered

        pod.scale("gate", 0)
        pod.wait_until(lambda: pod.health("ready")[0] == 503)
        nothing, at_nothing = pod.seen(), _ask(pod)

        pod.scale("gate", 1)
        pod.wait_ready()
        back = pod.seen()

        before = _counted(pod)
        with ThreadPoolExecutor(8) as pool:
            gate.hold()
            asked = _fill(pod, gate, pool)
            full, metrics_when_full = pod.seen(), _metrics(pod)
            refused = [_ask(pod) for _ in range(3)]
            gate.release()
            at_full = [one.result() for one in asked] + refused
        counted = _counted(pod) - before

        gate.crash()
        os.kill(int(pod.workers("gate")[0]["pid"]), signal.SIGKILL)
        pod.wait_until(lambda: pod.health("ready")[0] == 503)
        crashing = pod.seen()
        pod.wait_until(lambda: pod.health("live")[0] == 503, seconds=RETRIES + 30)
        given_up, metrics_at_the_end = pod.seen(), _metrics(pod)
        status = pod.end()
        log, left = pod.log(), pod.processes()
    return Life(
        loading,
        opened,
        canaries,
        nothing,
        at_nothing,
        back,
        full,
        metrics_when_full,
        at_full,
        counted,
        crashing,
        given_up,
        metrics_at_the_end,
        status,
        log,
        left,
    )


def _ask(pod: Container, seconds: float = 0) -> Reply:
    return pod.door.send("POST", "/explanations/gate", b"x", {"X-Seconds": str(seconds)})


def _fill(pod: Container, gate: Gate, pool: ThreadPoolExecutor) -> list[Future[Reply]]:
    """Asks until all that may wait do, each once the last one is begun on or waits.

    A worker that was scaled away takes one more, when it waited for it, so nobody can say how many
    that will be.
    """
    begun, asked = len(gate.begun), list[Future[Reply]]()
    while (waiting := _pending(pod)) < SLOTS:
        asked.append(pool.submit(_ask, pod))
        pod.wait_until(lambda: len(gate.begun) - begun + _pending(pod) == len(asked), seconds=30)
    assert waiting == SLOTS
    return asked


def _pending(pod: Container) -> int:
    found = re.search(r'gradcam_pending_requests\{model_name="gate"\} (\d+)', _metrics(pod))
    return int(found[1]) if found else 0


def _metrics(pod: Container) -> str:
    reply = pod.metrics.send("GET", "/metrics")
    assert reply.status == 200
    return reply.body.decode()


def _counted(pod: Container) -> float:
    lines = re.findall(r"^ts_inference_requests_total\{.*\} (\S+)$", _metrics(pod), re.MULTILINE)
    return sum(map(float, lines))


def test_a_model_that_still_loads(life: Life) -> None:
    assert life.loading.ping == HEALTHY
    assert life.loading.ready == (503, "model gate: 0 of 1 workers are READY")
    assert life.loading.startup == life.loading.ready
    assert life.loading.live[0] == 200


def test_ready_once_a_canary_was_answered(life: Life) -> None:
    assert life.opened.ready[0] == life.opened.startup[0] == life.opened.live[0] == 200
    assert life.canaries == ["canary-gate"]


def test_scaled_to_nothing(life: Life) -> None:
    assert life.nothing.ping == HEALTHY
    assert life.nothing.ready == (503, "model gate: it is scaled to no worker")
    assert life.nothing.startup[0] == life.nothing.live[0] == 200
    assert "no worker" in life.at_nothing.refused(503, "Unavailable")
    assert life.at_nothing.headers["retry-after"] == "1"
    assert life.back.ready[0] == 200


def test_a_full_queue_stays_ready_and_is_refused_at_the_door(life: Life) -> None:
    assert life.full.ready[0] == 200
    statuses = [reply.status for reply in life.at_full]
    assert set(statuses[:-3]) == {200}
    assert len(statuses[:-3]) >= 1 + SLOTS
    for reply in life.at_full[-3:]:
        assert "queue is full" in reply.refused(503, "Unavailable")
        assert reply.headers["retry-after"] == "1"
    assert PENDING in life.metrics_when_full
    assert f'gradcam_queue_capacity{{model_name="gate"}} {SLOTS}' in life.metrics_when_full
    assert "gradcam_ready 1" in life.metrics_when_full


def test_torchserve_counts_what_it_refuses_too(life: Life) -> None:
    """So its counter is what is asked for, and no number to divide the answered's seconds by."""
    assert life.counted_when_full == len(life.at_full)


def test_a_worker_that_crashes_over_and_over(life: Life) -> None:
    assert life.crashing.ping == HEALTHY
    assert life.crashing.ready == (503, "model gate: 0 of 1 workers are READY")
    assert life.crashing.live[0] == 200  # TorchServe still starts it again


def test_a_worker_that_is_given_up(life: Life) -> None:
    assert life.given_up.ping[0] == 500
    assert life.given_up.live[0] == 503
    assert "maxRetryTimeoutInSec" in life.given_up.live[1]
    assert life.given_up.ready[0] == 503
    assert life.given_up.startup[0] == 200


def test_the_metrics_are_torchserves_and_ours(life: Life) -> None:
    text = life.metrics_at_the_end
    assert re.search(r"^ts_inference_requests_total\{.*\} \d", text, re.MULTILINE)
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("gradcam_"))
    assert samples['gradcam_ready_workers{model_name="gate"}'] == "0"
    assert samples['gradcam_expected_workers{model_name="gate"}'] == "1"
    assert (samples["gradcam_ready"], samples["gradcam_draining"]) == ("0", "0")
    assert int(samples['gradcam_door_connections{state="active"}']) >= 1


def test_it_ends_in_good_order(life: Life) -> None:
    assert life.status == 0, life.log[-3000:]
    assert life.left == {}
    assert "Traceback" not in life.log
    assert "WARNING: KEYS ARE OFF" in life.log


def test_a_worker_that_is_lost_with_its_request(tmp_path: Path) -> None:
    package_gate(tmp_path, "gate").open()
    with container(tmp_path, KEYS="off") as pod:
        pod.wait_ready()
        for end in ("exit", "kill"):  # TorchServe says 507 to the latter, as for want of memory
            reply = pod.door.send("POST", "/explanations/gate", b"x", {"X-End": end})
            assert "the server failed" in reply.refused(500, "InternalError")
        pod.wait_until(lambda: pod.log().count("Worker disconnected") == 2, seconds=20)


def test_an_archive_that_cannot_be_read(tmp_path: Path) -> None:
    package_gate(tmp_path, "good").open()
    with zipfile.ZipFile(tmp_path / "broken.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", "{")
    with container(tmp_path, KEYS="off") as pod:
        pod.wait_until(lambda: pod.ping()[0] == 200)
        pod.wait_until(lambda: "model good" not in pod.health("ready")[1])
        seen = pod.seen()
        assert seen.ping == HEALTHY
        assert seen.ready[0] == seen.startup[0] == 503
        assert seen.ready[1].startswith("model broken: it is not registered")
        assert seen.live[0] == 200
        assert pod.door.send("POST", "/explanations/good", b"x").status == 200
        assert pod.door.send("POST", "/explanations/broken", b"x").json()["code"] == 404

        # a part that dies ends the whole, so that it is started anew
        os.kill(pod.part("nginx: master"), signal.SIGKILL)
        assert pod.process.wait(60) == 1
        assert "nginx ended by itself" in pod.log()
        assert pod.processes() == {}
