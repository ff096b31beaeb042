"""A pod is lost behind a Service: what the client of docs/deploy.md makes of it.

Two doors stand for two pods. The Service is what kube-proxy is to a client: each new connection
goes to one of the pods, and stays there; a pod that is lost gets connections for a second more.
"""

import contextlib
import itertools
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import CodeType
from typing import Any, Self

import pytest
import requests

from doors import AUTHORISED, Upstream, door, kill
from local_ports import HOST
from repository import ROOT

EXPLAIN = "/explanations/demo"
REQUESTS = 200


class Service:
    """Shares connections among ports, in turns, and hands their bytes on."""

    def __init__(self, *ports: int) -> None:
        self._ports = list(ports)
        self._count = itertools.count()
        self._socket = socket.create_server((HOST, 0), backlog=128)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}{EXPLAIN}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._take, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def forget(self, port: int) -> None:
        """Ends the endpoint."""
        self._ports = [one for one in self._ports if one != port]

    def _take(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            try:
                ports = self._ports
                pod = socket.create_connection((HOST, ports[next(self._count) % len(ports)]))
            except ConnectionRefusedError:
                client.close()
                continue
            for one, other in ((client, pod), (pod, client)):
                threading.Thread(target=_hand_on, args=(one, other), daemon=True).start()


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def documented() -> CodeType:
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    section = text.partition("\n## When a replica is lost\n")[2].partition("\n## ")[0]
    (snippet,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return compile(snippet, "docs/deploy.md", "exec")


@pytest.fixture(autouse=True)
def _past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", HOST)


@pytest.fixture
def pods() -> Iterator[tuple[Service, Callable[[], None], Upstream]]:
    """A Service, what kills its first pod while that has requests, and the second's server."""
    with (
        Upstream("a") as a,
        Upstream("b") as b,
        door(UPSTREAMS=a.address) as first,
        door(UPSTREAMS=b.address) as second,
        Service(first.settings.door_port, second.settings.door_port) as service,
    ):

        def kill_with_requests_under_way() -> None:
            a.wait_for(20)
            a.hold.clear()
            a.wait_for(len(a.requests) + 2)
            kill(first)
            time.sleep(1)
            service.forget(first.settings.door_port)

        yield service, kill_with_requests_under_way, b


def test_a_client_that_asks_again_loses_nothing(
    pods: tuple[Service, Callable[[], None], Upstream], documented: CodeType
) -> None:
    def ask(service: Service) -> int:
        told: dict[str, Any] = {"url": service.url, "picture": bytes(1000), "headers": AUTHORISED}
        exec(documented, told)
        status: int = told["answer"].status_code
        return status

    assert _load(pods, ask) == [200] * REQUESTS


def test_a_client_that_does_not_loses_what_was_under_way_and_what_it_sends_there_next(
    pods: tuple[Service, Callable[[], None], Upstream],
) -> None:
    def ask(service: Service) -> int:
        try:
            return requests.post(service.url, bytes(1000), headers=AUTHORISED).status_code
        except requests.ConnectionError:
            return 0

    statuses = _load(pods, ask)
    assert set(statuses) == {0, 200}
    assert statuses.count(0) > 10


def _load(
    pods: tuple[Service, Callable[[], None], Upstream], ask: Callable[[Service], int]
) -> list[int]:
    service, kill_one, other = pods
    killing = threading.Thread(target=kill_one)
    killing.start()
    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda _: ask(service), range(REQUESTS)))
    killing.join()
    assert len(other.requests) >= 20
    return statuses
