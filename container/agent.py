"""The agent: health and metrics over HTTP, on loopback; the door decides who may ask.

GET /ready /live /startup    200, or 503 with the reasons
GET /metrics                 TorchServe's own, then the container's gauges
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from container.door import status_socket
from container.gauges import door_connections, metrics_text
from container.health import CHECKS, Verdict
from container.local_http import Silent, ask
from container.monitor import Monitor

_PATIENCE = 5.0  # seconds for TorchServe's metrics
_KINDS = {"ready": "NotReady", "live": "NotLive", "startup": "NotStarted"}


class Agent:
    """Tells what a monitor knows."""

    def __init__(self, monitor: Monitor, port: int, metrics: str, run_dir: Path) -> None:
        """Opens the port.

        Args:
            monitor: Who knows.
            port: On 127.0.0.1; 0 for a free one.
            metrics: ``host:port`` of TorchServe's metrics.
            run_dir: Where nginx's status socket is.

        Raises:
            OSError: The port is in use.
        """
        self._monitor = monitor
        self._metrics = metrics
        self._run_dir = run_dir
        self._server = _Server(("127.0.0.1", port), _handler(self.answer))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def running(self) -> bool:
        """Whether it still answers."""
        return self._thread.is_alive()

    def start(self) -> None:
        """From now on it answers."""
        self._thread.start()

    def stop(self) -> None:
        """It answers no more."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, str, str]:
        """Status, content type and text for a path."""
        name = path.split("?", 1)[0].removeprefix("/")
        if name in CHECKS:
            status, document = health_document(
                name, CHECKS[name](self._monitor.seen, time.monotonic())
            )
        elif name == "metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", self._metrics_text()
        else:
            status, document = 404, {"code": 404, "type": "NotFound", "message": "no such path"}
        return status, "application/json", json.dumps(document) + "\n"

    def _metrics_text(self) -> str:
        try:
            served = ask(self._metrics, "/metrics", _PATIENCE)
            text = served.text if served.status == 200 else ""
        except Silent:
            text = ""
        try:
            door = door_connections(ask(status_socket(self._run_dir), "/status", 1).text)
        except Silent:
            door = {}
        if text and not text.endswith("\n"):
            text += "\n"
        return text + metrics_text(self._monitor.seen, time.monotonic(), door)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # five, the default, are lost among many who ask at once

    def handle_error(self, *_: object) -> None:
        """Says so in one line; by default, a probe that gave up waiting is a traceback."""
        error = sys.exception()
        if not isinstance(error, OSError):
            print(f"gradcam: the agent failed to answer: {error!r}", flush=True)


def health_document(name: str, verdict: Verdict) -> tuple[int, dict[str, object]]:
    """The status and the JSON of a verdict."""
    if verdict.ok:
        return 200, {"code": 200, "type": name.capitalize(), "message": "yes", "reasons": []}
    return 503, {
        "code": 503,
        "type": _KINDS[name],
        "message": "; ".join(verdict.reasons),
        "reasons": list(verdict.reasons),
    }


def _handler(answer: Callable[[str], tuple[int, str, str]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            status, kind, text = answer(self.path)
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - http.server looks for this name

        def log_message(self, *_: object) -> None:
            """Says nothing: probes come every few seconds."""

    return Handler
