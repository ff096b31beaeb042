"""Startup, ready and live, decided from what was observed; the gauges; the agent's answers."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from container.agent import Agent, health_document
from container.canary import judge, picture
from container.gauges import door_connections, metrics_text
from container.health import FIRST_ANSWER, SILENCE, STALE, Observation, Verdict, live, ready
from container.health import startup as started
from container.local_http import ask
from container.management import ModelState, Ping, read_model_state
from container.monitor import Monitor
from container.server_config import read_server_config
from pictures import pixels_of
from repository import ROOT

GOOD = ModelState(min_workers=1, ready_workers=1, pending=0, capacity=100)
SEEN = Observation(
    started=0.0,
    at=1000.0,
    ping=Ping.HEALTHY,
    answered=1000.0,
    models={"a": GOOD, "b": replace(GOOD, min_workers=2, ready_workers=2)},
    canaries={"a": "", "b": ""},
)
NOW = 1000.5


def test_all_is_well() -> None:
    assert ready(SEEN, NOW) == live(SEEN, NOW) == Verdict(True)


NOT_READY: Mapping[str, tuple[dict[str, Any], str]] = {
    "a model is missing": (
        {"models": {"a": GOOD, "b": "it is not registered"}},
        "model b: it is not registered",
    ),
    "loading, or crashing over and over": (
        {"models": {"a": replace(GOOD, ready_workers=0)}},
        "model a: 0 of 1 workers are READY",
    ),
    "fewer than its minimum": (
        {"models": {"a": replace(GOOD, min_workers=3, ready_workers=2)}},
        "model a: 2 of 3 workers are READY",
    ),
    "scaled to nothing": (
        {"models": {"a": replace(GOOD, min_workers=0, ready_workers=0)}},
        "model a: it is scaled to no worker",
    ),
    "no canary yet": ({"canaries": {"a": ""}}, "model b: its canary has not succeeded"),
    "a canary that failed": (
        {"canaries": {"a": "", "b": "it was answered 500"}},
        "it was answered 500",
    ),
    "draining": ({"draining": True}, "shutting down"),
    "nobody has looked": ({"at": NOW - STALE - 1}, "last seen 31 s ago"),
}


@pytest.mark.parametrize("case", NOT_READY)
def test_not_ready(case: str) -> None:
    changes, part = NOT_READY[case]
    verdict = ready(replace(SEEN, **changes), NOW)
    assert not verdict.ok
    (reason,) = verdict.reasons
    assert part in reason
    assert live(replace(SEEN, **changes), NOW).ok  # a restart would mend none of these


def test_a_full_queue_leaves_it_ready() -> None:
    full = replace(GOOD, pending=100)
    assert ready(replace(SEEN, models={"a": full}), NOW).ok


def test_every_reason_is_told() -> None:
    seen = replace(SEEN, models={"a": "gone", "b": "lost"}, canaries={})
    assert ready(seen, NOW).reasons == ("model a: gone", "model b: lost")


@pytest.mark.parametrize(
    ("changes", "ok"),
    [
        ({"ping": Ping.UNHEALTHY}, False),
        ({"ping": Ping.SILENT, "answered": NOW - SILENCE + 1}, True),
        ({"ping": Ping.SILENT, "answered": NOW - SILENCE - 1}, False),
        ({"ping": Ping.SILENT, "answered": None, "started": NOW - FIRST_ANSWER + 1}, True),
        ({"ping": Ping.SILENT, "answered": None, "started": NOW - FIRST_ANSWER - 1}, False),
        ({"ping": Ping.UNHEALTHY, "draining": True}, True),  # it ends anyway, in good order
    ],
)
def test_live(changes: dict[str, Any], ok: bool) -> None:
    verdict = live(replace(SEEN, **changes), NOW)
    assert verdict.ok == ok
    assert bool(verdict.reasons) != ok


def test_started_means_ready_once() -> None:
    loading = replace(SEEN, models={"a": replace(GOOD, ready_workers=0)})
    assert not started(loading, NOW).ok
    assert started(loading, NOW).reasons == ready(loading, NOW).reasons
    assert started(replace(loading, was_ready=True), NOW).ok


DESCRIBED = [
    {
        "modelName": "demo",
        "minWorkers": 2,
        "workers": [{"status": "READY"}, {"status": "UNLOADING"}],
        "jobQueueStatus": {"remainingCapacity": 97, "pendingRequests": 3},
    }
]


def test_what_the_management_api_says() -> None:
    assert read_model_state(DESCRIBED) == ModelState(2, 1, 3, 100)


@pytest.mark.parametrize("document", [{}, [], [{}], [1], None, [DESCRIBED[0], DESCRIBED[0]]])
def test_what_it_might_say(document: object) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        read_model_state(document)


class TestCanary:
    def test_its_picture_is_a_picture(self) -> None:
        pixels = pixels_of(picture())
        assert pixels.shape == (64, 64, 3)
        assert pixels[30, 30].tolist() == [230, 180, 60]
        assert len(picture()) < 10_000

    @pytest.mark.parametrize(
        ("status", "body", "kind", "part"),
        [
            (200, b'{"explanations": [{"index": 1}]}', "explain", ""),
            (200, b'{"cat": 0.9}', "predict", ""),
            (200, b'{"cat": 0.9}', "explain", "no explanation"),
            (200, b'{"explanations": []}', "explain", "no explanation"),
            (200, b"{}", "predict", "empty"),
            (200, b"hello", "predict", "not JSON"),
            (422, b'{"message": "no layer"}', "explain", "GRADCAM_CANARY=predict"),
            (503, b"full", "explain", "answered 503: full"),
        ],
    )
    def test_its_answer_is_judged(self, status: int, body: bytes, kind: Any, part: str) -> None:
        told = judge(status, body, kind)
        assert part in told
        assert bool(part) == bool(told)


def test_the_gauges() -> None:
    seen = replace(SEEN, models={"a": replace(GOOD, min_workers=2, pending=5), "b": "gone"})
    page = "Active connections: 7 \nserver accepts handled requests\n 9 9 9 \nReading: 1 Writing: "
    text = metrics_text(seen, NOW, door_connections(f"{page}2 Waiting: 4 \n"))
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert samples == [
        'gradcam_pending_requests{model_name="a"} 5',
        'gradcam_queue_capacity{model_name="a"} 100',
        'gradcam_ready_workers{model_name="a"} 1',
        'gradcam_ready_workers{model_name="b"} 0',
        'gradcam_expected_workers{model_name="a"} 2',
        'gradcam_expected_workers{model_name="b"} 1',
        "gradcam_ready 0",
        "gradcam_draining 0",
        'gradcam_door_connections{state="active"} 7',
        'gradcam_door_connections{state="reading"} 1',
        'gradcam_door_connections{state="writing"} 2',
        'gradcam_door_connections{state="waiting"} 4',
    ]
    assert text.count("# TYPE ") == text.count("# HELP ") == 7
    assert "gradcam_ready 1\n" in metrics_text(SEEN, NOW, {})
    assert door_connections("<html>") == {}


def test_a_verdict_as_an_answer() -> None:
    assert health_document("live", Verdict(True))[0] == 200
    status, document = health_document("ready", Verdict(False, ("one", "two")))
    assert status == 503
    assert document == {
        "code": 503,
        "type": "NotReady",
        "message": "one; two",
        "reasons": ["one", "two"],
    }


class FakeTorchServe:
    """Says what it is told to say, on one port for all three APIs."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(fake: FakeTorchServe) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fake.asked.append(self.path)
            status, body = fake.answers.get(self.path, (404, b""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def fake() -> Iterator[FakeTorchServe]:
    running = FakeTorchServe()
    yield running
    running.stop()


@pytest.fixture
def monitor(fake: FakeTorchServe) -> Monitor:
    config = read_server_config(ROOT / "config.properties")
    address = fake.address
    return Monitor(
        replace(config, inference=address, management=address, metrics=address),
        ["demo"],
        "explain",
    )


def _until(monitor: Monitor, canary: str) -> None:
    for _ in range(100):
        if monitor.seen.canaries.get("demo", "not asked") == canary:
            return
        threading.Event().wait(0.02)
    raise AssertionError(monitor.seen)


class TestMonitor:
    def test_from_nothing_to_ready(
        self, monitor: Monitor, fake: FakeTorchServe, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monitor.look()
        assert "not registered" in ready(monitor.seen, monitor.seen.at).reasons[0]
        assert monitor.seen.ping is Ping.UNHEALTHY  # it answered something, and not 200

        fake.answers |= {
            "/ping": (200, b""),
            "/models/demo": (200, json.dumps(DESCRIBED).encode()),
        }
        monitor.look()
        assert "1 of 2 workers" in ready(monitor.seen, monitor.seen.at).reasons[0]
        assert "/explanations/demo" not in fake.asked  # nobody there to answer it yet

        DESCRIBED_READY = [{**DESCRIBED[0], "minWorkers": 1}]  # noqa: N806
        fake.answers["/models/demo"] = (200, json.dumps(DESCRIBED_READY).encode())
        monitor.look()
        _until(monitor, "it was answered 404: ")
        assert "its canary" in ready(monitor.seen, monitor.seen.at).reasons[0]
        assert not monitor.seen.was_ready

        monitor.end()  # of the pause behind a failed canary
        fake.answers["/explanations/demo"] = (200, b'{"explanations": [1]}')
        for _ in range(100):
            monitor.look()
            if monitor.seen.was_ready:
                break
            threading.Event().wait(0.02)
        assert ready(monitor.seen, monitor.seen.at).ok
        asked = fake.asked.count("/explanations/demo")
        monitor.look()
        monitor.look()
        assert fake.asked.count("/explanations/demo") == asked  # once it succeeded, never again
        monitor.drain()
        assert not ready(monitor.seen, monitor.seen.at).ok

    def test_a_canary_that_fails_in_no_way_that_is_known_is_asked_again(
        self, monitor: Monitor, fake: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []

        def once_broken(_address: str, name: str, _canary: str) -> str:
            asked.append(name)
            if len(asked) == 1:
                raise LookupError("nobody has thought of this")
            return ""

        monkeypatch.setattr("container.monitor.ask_canary", once_broken)
        monkeypatch.setattr(threading, "excepthook", lambda _: None)  # pytest would warn of it
        described = [{**DESCRIBED[0], "minWorkers": 1}]
        fake.answers |= {
            "/ping": (200, b""),
            "/models/demo": (200, json.dumps(described).encode()),
        }
        for _ in range(100):
            monitor.look()
            if monitor.seen.was_ready:
                break
            threading.Event().wait(0.02)
        assert asked == ["demo", "demo"]
        assert ready(monitor.seen, monitor.seen.at).ok

    def test_silence(self, monitor: Monitor, fake: FakeTorchServe) -> None:
        fake.stop()
        monitor.look()
        assert (monitor.seen.ping, monitor.seen.answered) == (Ping.SILENT, None)
        assert "does not answer" in ready(monitor.seen, monitor.seen.at).reasons[0]


@pytest.fixture
def agent(monitor: Monitor, fake: FakeTorchServe, tmp_path: Path) -> Iterator[Agent]:
    running = Agent(monitor, 0, fake.address, tmp_path)
    running.start()
    yield running
    running.stop()


class TestAgent:
    def test_its_paths(self, agent: Agent, fake: FakeTorchServe) -> None:
        address = f"127.0.0.1:{agent.port}"
        assert ask(address, "/ready", 5).status == 503
        assert ask(address, "/startup?x=y", 5).status == 503
        assert ask(address, "/live", 5).status == 200
        assert ask(address, "/", 5).status == 404
        fake.answers["/metrics"] = (200, b"ts_up 1")
        text = ask(address, "/metrics", 5).text
        assert text.startswith("ts_up 1\n# HELP gradcam_pending_requests ")
        fake.stop()
        assert ask(address, "/metrics", 5).text.startswith("# HELP gradcam_pending_requests ")

    @pytest.mark.parametrize(("check", "status"), [("ready", 1), ("live", 0), ("startup", 1)])
    def test_the_command(self, agent: Agent, check: str, status: int) -> None:
        code, said = _command(check, agent.port)
        assert code == status
        (sentence,) = said.splitlines()
        assert sentence.startswith(f"{check}: ")
        assert ("TorchServe does not answer yet" in sentence) == (status == 1)

    def test_the_command_without_an_agent(self, agent: Agent) -> None:
        agent.stop()
        code, said = _command("live", agent.port)
        assert code == 1
        assert "nobody can tell" in said


def _command(check: str, port: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "container.health", check],
        cwd=ROOT,
        env={"GRADCAM_AGENT_PORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout
