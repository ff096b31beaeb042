"""The programs that run in pods run here as they do there: fed to a bare Python, over sockets."""

import io
import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cluster.bundle import bundle
from cluster.inside import load, readiness, wire
from cluster.inside.load import Target, account, send

FEED = "import sys; exec(compile(sys.stdin.read(int(sys.argv[1])), 'check', 'exec'))"


class Handler(BaseHTTPRequestHandler):
    """Answers as its server says; keeps connections."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        self.server.reply(self)

    do_POST = do_GET  # noqa: N815 - the name that the base class looks for

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # a busy machine lets connections wait
    reply: Callable[[Handler], None]

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.reply = lambda handler: handler.answer(200, b"{}")
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        yield running
        running.shutdown()


def run(program: str, *arguments: Any) -> tuple[Any, list[str]]:
    """As a pod runs it: no file of ours, no package, the source through the standard input."""
    source = bundle(program)
    told = [one if isinstance(one, str) else json.dumps(one) for one in arguments]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", FEED, str(len(source)), *told],
        input=source,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    return json.loads(last), lines


@pytest.mark.parametrize(
    "program", ["asking", "ending", "guards", "load", "reach", "readiness", "workers"]
)
def test_a_program_is_plain_ascii(program: str) -> None:
    assert bundle(program).isascii()


def test_the_picture_is_one() -> None:
    picture = Image.open(io.BytesIO(wire.picture(side=40)))
    picture.load()
    assert (picture.size, picture.mode) == ((40, 40), "RGB")
    assert wire.picture(seed=0) != wire.picture(seed=1)


def test_requests_are_sent_as_wished(server: Server) -> None:
    def reply(handler: Handler) -> None:
        if handler.headers["Authorization"] != "Bearer right":
            handler.answer(401, b'{"code": 401}')
        elif handler.command == "GET":
            handler.answer(200, b"\xff\xfe", "image/png")
        else:
            length = handler.headers["Content-Length"]
            handler.answer(200, f'{{"path": "{handler.path}", "sent": {length}}}'.encode())

    server.reply = reply
    usual = {"host": "127.0.0.1", "port": server.port, "path": "/x", "headers": {}}
    right = {"Authorization": "Bearer right"}

    found, _ = run(
        "asking",
        [
            {**usual, "picture": True},
            {**usual, "headers": right, "picture": True},
            {**usual, "headers": right, "picture": False},
            {**usual, "port": 1, "picture": False},
        ],
    )

    refused, sent, got, nobody = found["answers"]
    assert (refused["status"], refused["begins"]) == (401, '{"code": 401}')
    assert json.loads(sent["begins"]) == {"path": "/x", "sent": len(wire.picture())}
    assert (got["kind"], got["begins"]) == ("image/png", "//4=")
    assert (nobody["status"], nobody["begins"].split(":")[0]) == (0, "ConnectionRefusedError")


def test_ports_are_open_or_not(server: Server) -> None:
    found, _ = run("reach", [["127.0.0.1", server.port], ["127.0.0.1", 1]])
    assert found == {"reached": ["open", "connection refused"]}


def metrics(explained: int) -> bytes:
    return (
        "# TYPE gradcam_requests_total counter\n"
        'gradcam_requests_total{model_name="demo",api="explanations",method="gradcam",'
        f'outcome="ok",Hostname="h",}} {explained}.0\n'
        'gradcam_requests_total{model_name="demo",api="predictions",outcome="ok",} 9.0\n'
        'gradcam_requests_total{model_name="demo",api="explanations",outcome="refused",} 9.0\n'
    ).encode()


@pytest.mark.parametrize("canaries", [0, 1])
def test_a_start_is_watched_until_it_is_ready(server: Server, canaries: int) -> None:
    asked = itertools.count()

    def reply(handler: Handler) -> None:
        if handler.path == "/metrics":
            handler.answer(200, metrics(canaries), "text/plain")
        else:
            handler.answer(200 if next(asked) >= 5 else 503, b"{}")

    server.reply = reply
    found, _ = run("readiness", [server.port, server.port], "20")

    assert found["canaries"] == canaries
    assert found["not_ready"] == 5
    assert 0 < found["seconds"] < 20


def test_what_is_never_ready_is_given_up(server: Server) -> None:
    server.reply = lambda handler: handler.answer(503, b"{}")
    found, _ = run("readiness", [server.port, server.port], "0.5")
    assert found["canaries"] is None
    assert found["not_ready"] > 0


def test_metrics_that_do_not_count_explanations_say_nothing() -> None:
    assert readiness.explanations("gradcam_ready 1\n") is None
    assert wire.total('a{x="1"} 2\na{x="2"} 3\nb 4\na_more 5', "a") == 5
    assert wire.total('a{x="1"} 2\na{x="2"} 3', "a", x="2") == 3
    assert wire.total("a 1e3", "a") == 1000


def test_guards_are_read_off_the_kernel() -> None:
    found, _ = run("guards")
    assert isinstance(found["user"], int)
    assert found["scratch"] is True
    assert set(found["status"]) == {"CapEff", "CapBnd", "NoNewPrivs", "Seccomp"}
    assert set(found["cgroup"]) == {"memory", "cpu", "period"}


def test_no_worker_is_killed_outside_of_a_container() -> None:
    source = bundle("workers")
    done = subprocess.run(
        [sys.executable, "-I", "-c", FEED, str(len(source)), "8000", "1"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "nothing is killed" in done.stderr


def test_a_load_runs_until_a_file_appears(server: Server, tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    answered, numbers, second = threading.Semaphore(0), itertools.count(1), threading.Event()

    def reply(handler: Handler) -> None:
        if next(numbers) == 1:  # so that it has not ended when the first line is printed
            assert second.wait(30)
        second.set()
        handler.answer(200, b"{}")
        answered.release()

    def end() -> None:
        for _ in range(25):
            assert answered.acquire(timeout=60)
        run("ending", str(stop))

    server.reply = reply
    ending = threading.Thread(target=end)
    ending.start()
    target = {
        "host": "127.0.0.1",
        "port": server.port,
        "path": "/explanations/demo",
        "headers": {"Authorization": "Bearer right"},
        "timeout": 5,
    }
    found, lines = run("load", target, "20", str(stop), "30")
    ending.join()

    assert lines[0] == "0 s: 1 sent, 0 ended, 0 lost"
    assert found["sent"] >= 25
    assert found["kept"] == (found["sent"] + 1) // 2
    assert found["statuses"] == {"200": found["sent"]}
    assert found["lost"] == []
    assert found["seconds"] < 20


def test_a_kept_connection_that_was_closed_in_between_is_no_loss(
    server: Server, tmp_path: Path
) -> None:
    def reply(handler: Handler) -> None:
        handler.answer(200, b"{}")
        handler.close_connection = True  # without a word about it in the answer

    server.reply = reply
    target = Target("127.0.0.1", server.port, "/", {}, 5)
    sent, renewed = send(target, rate=10, seconds=1, stop=tmp_path / "never")

    assert [one.status for one in sent] == [200] * 10
    # five over kept connections; each but the first may find the one before, and closed
    assert 1 <= renewed <= 4


@pytest.mark.parametrize("kind", ["broken", "refused"])
def test_a_request_without_its_answer_is_lost(server: Server, tmp_path: Path, kind: str) -> None:
    count = iter(range(100))

    def reply(handler: Handler) -> None:
        if next(count) != 3:
            handler.answer(200, b"{}")
        elif kind == "refused":
            handler.answer(503, b'{"code": 503}')
        else:
            handler.close_connection = True

    server.reply = reply
    target = Target("127.0.0.1", server.port, "/", {}, 5)
    found = account(*send(target, rate=20, seconds=0.5, stop=tmp_path / "never"), seconds=0.5)

    wanted = {"broken": "0", "refused": "503"}[kind]
    assert found["statuses"] == {"200": 9, wanted: 1}
    (lost,) = found["lost"]
    assert lost["error"].startswith({"broken": "RemoteDisconnected", "refused": '{"code"'}[kind])


def test_a_server_that_is_gone_loses_everything(tmp_path: Path) -> None:
    target = Target("127.0.0.1", 1, "/", {}, 5)
    sent, _ = send(target, rate=20, seconds=0.5, stop=tmp_path / "never")
    found = account(sent, 0, 0.5)
    assert found["statuses"] == {"0": 10}
    assert (found["median"], found["slowest"]) == (None, None)


def test_latencies_count_from_when_a_request_was_due() -> None:
    sent = [load.Sent(0.0, True, 200, seconds, "") for seconds in (0.1, 0.2, 0.9)]
    found = account(sent, 0, 1.0)
    assert (found["median"], found["slowest"]) == (0.2, 0.9)
