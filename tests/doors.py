"""A real nginx with our configuration, before an upstream that tells what reached it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from container.keys import Key
from container.nginx import Nginx
from container.settings import Settings, read_settings
from debian_tools import find_program
from local_ports import HOST
from repository import ROOT

KEY = Key("alice", "Sesame-Open.123~456")
AUTHORISED = {"Authorization": f"Bearer {KEY.secret}"}


@dataclass(frozen=True)
class Reply:
    """An answer, with its headers by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json", self
        return json.loads(self.body)

    def refused(self, status: int, kind: str) -> str:
        """The message of a refusal, once its form is checked."""
        assert self.status == status, self
        document = self.json()
        assert set(document) == {"code", "type", "message"}
        assert (document["code"], document["type"]) == (status, kind)
        assert self.headers["x-request-id"]
        return str(document["message"])


@dataclass(frozen=True)
class Asker:
    """Sends one request a connection to a port of this machine."""

    port: int

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        chunked: bool = False,
    ) -> Reply:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        with contextlib.closing(connection):
            connection.connect()
            with contextlib.suppress(ConnectionError):  # refused before all of it was sent
                connection.request(method, path, body, dict(headers or {}), encode_chunked=chunked)
            return read_reply(connection)

    def raw(self, text: bytes) -> bytes:
        """What comes back for these bytes, whether or not they are HTTP."""
        with socket.create_connection((HOST, self.port), timeout=10) as connection:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))


def read_reply(connection: http.client.HTTPConnection) -> Reply:
    reply = connection.getresponse()
    headers = {name.lower(): value for name, value in reply.getheaders()}
    return Reply(reply.status, headers, reply.read())


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def environment(folder: Path, **told: str) -> dict[str, str]:
    """The container's environment in a test: loopback only, its own ports, a store with a model."""
    store = folder / "store"
    store.mkdir(exist_ok=True)
    if not list(store.iterdir()):
        (store / "demo.mar").touch()
    door, metrics, agent = free_ports(3)
    return {
        "GRADCAM_CONFIG": str(ROOT / "config.properties"),
        "GRADCAM_MODEL_STORE": str(store),
        "GRADCAM_RUN_DIR": str(folder / "run"),
        "GRADCAM_LISTEN": HOST,
        "GRADCAM_DOOR_PORT": str(door),
        "GRADCAM_METRICS_PORT": str(metrics),
        "GRADCAM_AGENT_PORT": str(agent),
        "GRADCAM_NGINX": str(find_program("nginx")),
        **{f"GRADCAM_{name}": value for name, value in told.items()},
    }


@dataclass(frozen=True)
class Door:
    """A running door."""

    nginx: Nginx
    settings: Settings
    ask: Asker

    @property
    def access_log(self) -> list[dict[str, Any]]:
        """The lines of its access log that are written whole."""
        text = (self.settings.run_dir / "access.log").read_text(encoding="utf-8")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def logged(self, *ids: str) -> list[dict[str, Any]]:
        """The access log's line of each request with one of these ids, in their order.

        A line follows the answer that it is about, so it is waited for.

        Raises:
            AssertionError: ten seconds later one of them has no line.
        """
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            lines = {line["request_id"]: line for line in self.access_log}
            if lines.keys() >= set(ids):
                return [lines[one] for one in ids]
            time.sleep(0.02)
        raise AssertionError(f"no line for {set(ids) - lines.keys()}")


@contextlib.contextmanager
def door(keys: tuple[Key, ...] | None = (KEY,), **told: str) -> Iterator[Door]:
    """A door with these settings (``GRADCAM_`` left out)."""
    # short: the path of a Unix socket has 107 bytes
    with tempfile.TemporaryDirectory(prefix="door-", dir="/tmp") as folder:
        settings = read_settings(environment(Path(folder), **told))
        settings.run_dir.mkdir()
        nginx = Nginx(settings, str(settings.run_dir / "access.log"))
        try:
            nginx.start(keys)
            wait_for(settings.door_port)
            yield Door(nginx, settings, Asker(settings.door_port))
        finally:
            nginx.stop()


def kill(opened: Door) -> None:
    """Ends a container's door as a node does that fails: nothing is said to anybody."""
    child = opened.nginx._child
    assert child is not None
    os.killpg(child.pid, signal.SIGKILL)


def wait_for(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"nobody listens on {port}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # with five, the default, a burst of connections waits for seconds


class Upstream:
    """An HTTP server that answers what it was sent, with the status that ``X-Want`` asks for."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.requests: list[dict[str, Any]] = []
        self.hold = threading.Event()  # cleared: answers wait
        self.hold.set()
        self.arrived = threading.Event()
        self._server = _Server((HOST, 0), _handler(self))
        self.address = f"{HOST}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def wait_for(self, requests: int) -> None:
        """Until it was sent so many."""
        deadline = time.monotonic() + 60
        while len(self.requests) < requests:
            assert time.monotonic() < deadline, f"{len(self.requests)} of {requests} came"
            time.sleep(0.002)

    def __enter__(self) -> "Upstream":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            told = {
                "from": upstream.name,
                "method": self.command,
                "path": self.path,
                "length": len(self.rfile.read(length)),
                "headers": {name.lower(): value for name, value in self.headers.items()},
            }
            upstream.requests.append(told)
            upstream.arrived.set()
            upstream.hold.wait(30)
            body = json.dumps(told).encode()
            self.send_response(int(self.headers.get("X-Want") or 200))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Request-Id", "the upstream's own")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    return Handler
