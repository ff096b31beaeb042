"""Pods through the API: their logs, their eviction, and programs that run in them."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from kubernetes.stream import stream

from cluster.api import Cluster
from cluster.errors import ClusterError, sentence
from kubernetes import client

_FEED = "import sys; exec(compile(sys.stdin.read(int(sys.argv[1])), 'check', 'exec'))"
_STEP = 0.5  # seconds between looks at the clock


class Pods:
    """The pods of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    def evict(self, pod: str) -> None:
        """Asks for a pod's eviction, as draining a node does.

        Raises:
            ClusterError: With status 429 if a disruption budget forbids it.
        """
        metadata = client.V1ObjectMeta(name=pod, namespace=self._namespace)
        body = client.V1Eviction(metadata=metadata)
        core = client.CoreV1Api(self._cluster.client)
        self._cluster.asked(lambda: core.create_namespaced_pod_eviction(pod, self._namespace, body))

    def log(self, pod: str, container: str, lines: int) -> str:
        """The last lines of a container's log."""
        core = client.CoreV1Api(self._cluster.client)
        return str(
            self._cluster.asked(
                lambda: core.read_namespaced_pod_log(
                    pod, self._namespace, container=container, tail_lines=lines
                )
            )
        )

    def run(
        self,
        pod: str,
        container: str,
        program: str,
        arguments: Sequence[str],
        seconds: float,
        on_line: Callable[[str], None] = lambda _: None,
    ) -> Any:
        """Runs a Python program in a container, and reads the JSON that is its last line.

        Args:
            pod: Where.
            container: Of the pod.
            program: Its source; goes through the standard input, for URLs are short.
            arguments: Of the program.
            seconds: After which it is given up.
            on_line: Is told every line but the last.

        Raises:
            ClusterError: It cannot be started, fails, or takes too long.
        """
        # a client of its own: while a stream is opened, the library patches the one it is given
        core = client.CoreV1Api(client.ApiClient(self._cluster.client.configuration))
        command = ["python", "-c", _FEED, str(len(program)), *arguments]
        try:
            socket = self._cluster.asked(
                lambda: stream(
                    core.connect_get_namespaced_pod_exec,
                    pod,
                    self._namespace,
                    container=container,
                    command=command,
                    stdin=True,
                    stdout=True,
                    stderr=True,
                    tty=False,
                    _preload_content=False,
                )
            )
        except ClusterError as error:
            why = sentence(str(error))
            raise ClusterError(error.status, f"no program can be run in {pod}: {why}") from error
        try:
            socket.write_stdin(program)
            return _answer(socket, seconds, on_line)
        finally:
            socket.close()


def _answer(socket: Any, seconds: float, on_line: Callable[[str], None]) -> Any:
    end = time.monotonic() + seconds
    text = ""
    while time.monotonic() < end:
        running = socket.is_open()
        if running:
            socket.update(timeout=_STEP)
        text += socket.read_stdout()
        *lines, text = text.split("\n")
        for line in lines:
            if line.startswith("{"):
                return json.loads(line)
            on_line(line)
        if not running:
            errors = socket.read_stderr().strip()[-500:]
            raise ClusterError(0, f"a program in the pod gave no answer: {errors or text}")
    raise ClusterError(0, f"a program in the pod was still running after {seconds:.0f} s")
