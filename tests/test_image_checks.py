"""The checks of an image: each fails where its subject is wrong. The door here is pretended."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from image import checks, inside
from image.containers import (
    DOOR_PORT,
    METRICS_PORT,
    DockerContainer,
    Ended,
    Wanted,
    engine_command,
    image_config,
)

_KEY = "the-key"
_PHOTO = b"\xff\xd8 a photograph"
_MAPS = [{"label": "cat", "probability": 0.9}, {"label": "dog", "probability": 0.1}]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # eight requests at once, on a machine that has no time for them


class Pretended:
    """What a container shows: a door on this machine, and answers of commands inside."""

    limits = ""

    def __init__(self, wrong: str = "") -> None:
        self.wrong = wrong
        self.draining = threading.Event()
        self.firsts = threading.Semaphore(1)
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def url(self, port: int) -> str:
        return f"http://127.0.0.1:{self._server.server_port}" + (
            "/m" if port == METRICS_PORT else ""
        )

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        text, code = "", int(self.wrong == "health")
        if command[0] == "java":
            text = "java.base@17.0.21\n" + ("jdk.compiler@17.0.21\n" if self.wrong == "jdk" else "")
        if command[0] == "cat":
            text = json.dumps(
                {"components": [{"purl": f"pkg:{kind}/x"} for kind in _kinds(self.wrong)]}
            )
        return subprocess.CompletedProcess(list(command), code, text, "")

    def running(self) -> bool:
        return self.wrong != "ended"

    def logs(self) -> str:
        if self.wrong == "key-told":
            return f"ask with\n  curl -H 'Authorization: Bearer {_KEY}' -T photo.jpg http://..."
        return "what it said last"

    def terminate(self) -> None:
        self.draining.set()

    def wait(self, seconds: float) -> Ended:
        assert seconds == checks.GRACE
        return Ended(
            checks.GRACE + 1 if self.wrong == "late" else 3.0, 1 if self.wrong == "status" else 0
        )

    def remove(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _kinds(wrong: str) -> list[str]:
    return ["pypi", "deb"] if wrong == "no-jars" else ["pypi", "deb", "maven"]


def _handler(container: Pretended) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def _say(self, status: int, document: object, kind: str = "application/json") -> None:
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            wrong = container.wrong
            if self.path == "/ready":
                drains = container.draining.is_set() and wrong != "ready-while-draining"
                self._say(503 if drains or wrong == "never-ready" else 200, {})
            elif self.path == "/m/metrics":
                counters = b"" if wrong == "metrics" else b'ts_inference_requests_total{a="b"} 1\n'
                self._say(200, counters + b"gradcam_ready 1\n", "text/plain")
            else:
                self._say(200 if wrong == "more-paths" else 404, {"code": 404})

        def do_POST(self) -> None:
            wrong = container.wrong
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Authorization"] != f"Bearer {_KEY}" and wrong != "open":
                return self._say(401, {"code": 401})
            if "X-Explain-Smooth" in self.headers:
                time.sleep(0.1 if wrong == "quick" else 2.5)
                first = container.firsts.acquire(blocking=False)
                refused = wrong == "all-too-long" or (wrong == "one-too-long" and first)
                return self._say(500 if wrong == "lost" else 413 if refused else 200, {})
            if self.headers["Accept"] == "image/png":
                return self._say(
                    200, b"GIF89a" if wrong == "overlay" else b"\x89PNG\r\n\x1a\n", "image/png"
                )
            if self.path.startswith("/predictions"):
                return self._say(200, {} if wrong == "predictions" else dict.fromkeys("abcde", 0.2))
            maps = _MAPS[:1] if self.path.startswith("/v1") or wrong == "maps" else _MAPS
            return self._say(503 if wrong == "explain" else 200, {"explanations": maps})

    return Handler


@pytest.fixture
def pretended(request: pytest.FixtureRequest) -> Iterator[Pretended]:
    container = Pretended(request.param)
    yield container
    container.remove()


def failed(rows: Iterator[checks.Row]) -> list[str]:
    return [row.name for row in rows if not row.held]


@pytest.mark.parametrize(
    ("pretended", "rows"),
    [
        ("", []),
        ("open", ["refused without a key"]),
        ("predictions", ["prediction"]),
        ("maps", ["explanation"]),
        ("explain", ["explanation"]),
        ("overlay", ["overlay"]),
        ("more-paths", ["nothing else at the door"]),
        ("health", ["health command"]),
        ("metrics", ["metrics"]),
    ],
    indirect=["pretended"],
)
def test_the_door(pretended: Pretended, rows: list[str]) -> None:
    assert failed(checks.at_the_door(pretended, _KEY, _PHOTO)) == rows


@pytest.mark.parametrize(
    ("pretended", "rows"),
    [
        ("", []),
        ("lost", ["what is under way is answered"]),
        ("one-too-long", []),  # the handler's own refusal is an answer
        ("all-too-long", ["what is under way is answered"]),
        ("quick", ["what is under way is answered"]),  # it has shown nothing
        ("ready-while-draining", ["not ready while it drains"]),
        ("late", ["stops within its grace"]),
        ("status", ["stops within its grace"]),
    ],
    indirect=["pretended"],
)
def test_stopping(pretended: Pretended, rows: list[str]) -> None:
    assert failed(checks.stopping(pretended, _KEY, _PHOTO)) == rows


@pytest.mark.parametrize("pretended", [""], indirect=True)
def test_what_is_under_way_is_waited_for_as_long_as_the_container_may_take(
    pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "GRACE", 2.0)  # the answers come after 2.5 s
    assert "what is under way is answered" in failed(checks.stopping(pretended, _KEY, _PHOTO))


@pytest.mark.parametrize("pretended", [""], indirect=True)
def test_ready(pretended: Pretended) -> None:
    row = checks.wait_ready(pretended, 30, time.monotonic() - 1000)
    assert row.held
    assert re.match(r"100\d\.\d s after the engine was asked", row.seen)


@pytest.mark.parametrize("pretended", ["ended", "never-ready"], indirect=True)
def test_what_does_not_become_ready_is_told_with_its_log(pretended: Pretended) -> None:
    row = checks.wait_ready(pretended, 0.5, time.monotonic())
    assert not row.held
    assert "what it said last" in row.seen


@pytest.mark.parametrize(
    ("pretended", "held"), [("key-told", True), ("", False)], indirect=["pretended"]
)
def test_the_key_that_was_made_is_read_from_the_log(pretended: Pretended, held: bool) -> None:
    assert checks.with_its_own_key(pretended, _PHOTO).held is held


def look() -> dict[str, Any]:
    """What a good image shows."""
    return {
        "processes": {"tini 1": ["10001", "0", "0|0|0", "1"]},
        "unwritable": {"/": "Read-only file system"},
        "writable": {"/tmp": ""},
        "mounts": ["/dev/shm", "/run/gradcam", "/tmp"],
        "used": {"/tmp": 0},
        "memory": 0,
        "listeners": [
            "00000000:8000",
            "00000000000000000000000000000000:8002",
            "0100007F:8003",
            "0000000000000000FFFF00000100007F:8081",
        ],
        "compilers": [],
        "installers": [],
        "setuid": [],
        "unreadable": [],
    }


def with_one(place: str, key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda told: told[place].update({key: value})


@pytest.mark.parametrize(
    ("spoil", "row"),
    [
        (with_one("processes", "java 9", ["0", "0", "0|0|0", "1"]), "all run as"),
        (with_one("processes", "nginx 9", ["10001", "0", "0|0|1ff", "1"]), "all run as"),
        (with_one("processes", "nginx 9", ["10001", "0", "0|0|0", "0"]), "all run as"),
        (with_one("unwritable", "/opt/venv", ""), "root is read-only"),
        (with_one("writable", "/dev/shm", "Permission denied"), "its own folders"),
        (lambda told: told["mounts"].append("/"), "nothing else is mounted"),
        (lambda told: told["listeners"].append("00000000:8081"), "only the door"),
        (
            lambda told: told["listeners"].append("0000000000000000FFFF00000200000A:8081"),
            "only the door",
        ),
        (lambda told: told["listeners"].remove("00000000:8000"), "only the door"),
        (lambda told: told["compilers"].append("gcc"), "no compiler"),
        (lambda told: told["installers"].append("/usr/lib/python3/pip"), "nothing that installs"),
        (lambda told: told["setuid"].append("/usr/bin/su"), "no setuid"),
        (lambda told: told["unreadable"].append("/opt/x"), "ours is readable"),
    ],
)
def test_what_is_seen_inside(spoil: Callable[[dict[str, Any]], None], row: str) -> None:
    labels = {
        f"org.opencontainers.image.{name}": "x"
        for name in ("title", "version", "revision", "source")
    }
    container = Pretended()
    try:
        assert failed(checks.confined(look())) == []
        assert failed(checks.bare(look(), labels, container)) == []
        spoiled = look()
        spoil(spoiled)
        (name,) = failed(checks.confined(spoiled)) + failed(checks.bare(spoiled, labels, container))
        assert name.startswith(row)
        container.wrong = "jdk"
        assert failed(checks.bare(look(), labels, container)) == ["Java is reduced to a runtime"]
        container.wrong = "no-jars"
        assert failed(checks.bare(look(), {}, container)) == ["OCI labels", "bill of materials"]
    finally:
        container.remove()


# --- inside.py, which runs in the container: here it looks at this machine ------------------------


def test_files_are_told_apart(tmp_path: Path) -> None:
    def put(name: str, mode: int = 0o644, text: str = "x") -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    put("opt/venv/lib/python3.11/site-packages/torch/lib/libtorch.so", text="x" * 500)
    put("opt/venv/lib/python3.11/site-packages/nvidia/cudnn/lib/libcudnn.so", text="x" * 300)
    put("opt/gradcam/container/door.py", 0o600)
    put("usr/local/lib/python3.11/site-packages/pip/__init__.py")
    put("usr/bin/su", 0o4755, "x" * 20)
    put("proc/1/status", 0o4755)  # a file system of its own, which is not the image's
    setuid, unreadable, installers, sizes = inside.files(str(tmp_path))
    assert setuid == ["/usr/bin/su"]
    assert [path for path in unreadable if path.endswith(".py")] == [
        "/opt/gradcam/container/door.py"
    ]
    assert installers == ["/usr/local/lib/python3.11/site-packages/pip"]
    assert sizes == {"torch": 500, "nvidia/cudnn": 300, "/opt/gradcam": 1, "pip": 1, "/usr": 20}


def test_listeners_are_found_by_address() -> None:
    with socket.socket() as near, socket.socket() as far:
        near.bind(("127.0.0.1", 0))
        near.listen()
        assert f"0100007F:{near.getsockname()[1]}" in inside.listeners()
        far.bind(("127.0.0.2", 0))  # what is not 127.0.0.1 is told as it is
        far.listen()
        (told,) = [one for one in inside.listeners() if one.endswith(f":{far.getsockname()[1]}")]
        assert told == f"0200007F:{far.getsockname()[1]}"


def test_processes_are_told_with_user_and_capabilities() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (told,) = [
            told for name, told in inside.processes().items() if name.endswith(f" {child.pid}")
        ]
    finally:
        child.communicate(b"\n")
    assert told[:2] == [str(os.getuid()), str(os.getgid())]
    assert (told[2] == "0|0|0") == (os.geteuid() != 0)


def test_what_is_mounted_to_be_written_to_is_told() -> None:
    table = """\
22 1 0:20 / / ro,nosuid,relatime - overlay overlay rw,lowerdir=a
23 22 0:21 / /proc rw,relatime - proc proc rw
24 22 0:22 / /dev rw,nosuid - tmpfs tmpfs rw
25 24 0:23 / /dev/shm rw,nosuid,nodev - tmpfs tmpfs rw
26 22 0:24 / /run/gradcam rw,noexec - tmpfs tmpfs rw
27 22 8:1 /k /etc/gradcam/keys ro,relatime - ext4 /dev/a rw
28 22 8:1 /m /model-store rw,relatime - ext4 /dev/a rw
"""
    assert inside.writable_mounts(table) == ["/dev/shm", "/model-store", "/run/gradcam"]


def test_memory_is_that_of_a_process() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "held = bytearray(64_000_000); print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    assert 64_000_000 < inside.memory(Path(f"/proc/{child.pid}")) < 128_000_000
    child.communicate(b"\n")
    assert inside.memory(Path(f"/proc/{child.pid}")) == 0


def test_writing_says_why_not(tmp_path: Path) -> None:
    assert inside.why_unwritable(str(tmp_path)) == ""
    assert not list(tmp_path.iterdir())
    assert inside.why_unwritable(str(tmp_path / "nowhere")) == "No such file or directory"


def test_it_runs_by_its_text_alone() -> None:
    """As it does in a container: ``python -c``, where nothing of ours can be imported."""
    code = Path(inside.__file__).read_text(encoding="utf-8")
    shorter = code.replace("os.walk(root)", 'os.walk(root + "etc/ssl")')  # not all of this machine
    done = subprocess.run(
        [sys.executable, "-I", "-c", shorter], capture_output=True, text=True, check=True, cwd="/"
    )
    assert set(look()) | {"sizes", "rest"} == set(json.loads(done.stdout))


# --- the engine's command line --------------------------------------------------------------------


def test_options_of_the_environment_stand_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADCAM_ENGINE_OPTIONS", "--root '/a b' --storage-driver vfs")
    assert engine_command("buildah", "images") == [
        *("buildah", "--root", "/a b", "--storage-driver", "vfs", "images")
    ]


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ("docker", [{"Config": {"User": "1:0", "Healthcheck": {"Test": ["CMD"]}}}]),
        ("podman", [{"Config": {"User": "1:0"}, "Healthcheck": {"Test": ["CMD"]}}]),
        ("buildah", {"Docker": {"config": {"User": "1:0", "Healthcheck": {"Test": ["CMD"]}}}}),
    ],
)
def test_each_engine_tells_the_configuration_in_its_way(
    engine: str, told: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = tmp_path / engine
    stub.write_text(f"#!/bin/sh\necho '{json.dumps(told)}'\n")
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("GRADCAM_ENGINE_OPTIONS", raising=False)
    assert image_config(engine, "x") == {"User": "1:0", "Healthcheck": {"Test": ["CMD"]}}


def test_docker_is_asked_for_a_confined_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = tmp_path / "podman"
    stub.write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\n'
        "case $1 in run) echo 0123 ;; port) echo 127.0.0.1:4321 ;; esac\n"
    )
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    wanted = Wanted("the:image", tmp_path / "keys", "23456:0", {"A": "b"})
    container = DockerContainer("podman", wanted)
    assert container.url(DOOR_PORT) == "http://127.0.0.1:4321"
    container.terminate()
    container.remove()
    run, port, kill, remove = (tmp_path / "asked").read_text().splitlines()
    for part in (
        "--read-only ",
        "--read-only-tmpfs=false",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--tmpfs /run/gradcam:rw,",
        "--shm-size 1g",
        f"--volume {tmp_path}/keys:/etc/gradcam/keys:ro",
        "--publish 127.0.0.1::8000",
        "--user 23456:0",
        "--env A=b",
    ):
        assert part in run
    assert run.endswith(" the:image")
    assert (port, kill) == ("port 0123 8000/tcp", "kill --signal TERM 0123")
    assert remove == "rm --force 0123"
