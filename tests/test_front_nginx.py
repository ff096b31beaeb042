"""``container/front.conf`` in a real nginx, before two containers' doors; one of them is lost."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

import pytest

from debian_tools import find_program
from doors import AUTHORISED, Asker, Door, Upstream, door, free_ports, kill, wait_for
from load import Shot, closed_loop
from local_ports import HOST
from repository import ROOT

EXPLAIN = "/explanations/demo"
_TEXT = (ROOT / "container" / "front.conf").read_text(encoding="utf-8")


@contextlib.contextmanager
def front(*doors: int, changes: Mapping[str, str] = MappingProxyType({})) -> Iterator[int]:
    """The file as it is, but for ports and changes; gives its port."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="front-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, nginx's workers become nobody
        text = _TEXT
        for old, new in (
            ("listen 8000;", f"listen {HOST}:{port};"),
            ("server 127.0.0.1:8001 ", f"server {HOST}:{doors[0]} "),
            ("server 127.0.0.1:8002 ", f"server {HOST}:{doors[1]} "),
            *changes.items(),
        ):
            assert text.count(old) == 1
            text = text.replace(old, new)
        config = folder / "nginx.conf"
        config.write_text(text, encoding="utf-8")
        command = [str(find_program("nginx")), "-e", "stderr", "-p", name, "-c", str(config)]
        running = subprocess.Popen(command, start_new_session=True)
        try:
            wait_for(port)
            yield port
        finally:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


@pytest.fixture
def both() -> Iterator[tuple[Upstream, Upstream, Door, Door]]:
    with (
        Upstream("a") as a,
        Upstream("b") as b,
        door(UPSTREAMS=a.address, MAX_BODY="1m") as first,
        door(UPSTREAMS=b.address, MAX_BODY="1m") as second,
    ):
        yield a, b, first, second


def _ports(first: Door, second: Door) -> tuple[int, int]:
    return first.settings.door_port, second.settings.door_port


def test_a_container_is_killed_under_load_and_no_request_fails(
    both: tuple[Upstream, Upstream, Door, Door],
) -> None:
    a, b, first, second = both
    with front(*_ports(first, second)) as port:
        shots = [
            Shot(
                f"http://{HOST}:{port}{EXPLAIN}",
                bytes(50_000),
                {**AUTHORISED, "Content-Type": "image/jpeg"},
            )
        ]

        def kill_with_requests_under_way() -> None:
            a.wait_for(50)
            a.hold.clear()  # what it gets from now on it never answers
            a.wait_for(len(a.requests) + 2)
            kill(first)

        killing = threading.Thread(target=kill_with_requests_under_way)
        killing.start()
        load = closed_loop(shots, 6, requests=400)
        killing.join()
    assert load.statuses.tolist() == [200] * 400
    assert len(a.requests) >= 52
    assert len(b.requests) >= 100
    assert len(a.requests) + len(b.requests) >= 402  # what the first had lost was asked again


def test_without_it_what_is_under_way_is_lost_and_can_be_asked_again(
    both: tuple[Upstream, Upstream, Door, Door],
) -> None:
    """So it is behind a Service: the door in a pod goes with the pod."""
    a, _, first, second = both
    a.hold.clear()
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(first.ask.send, "POST", EXPLAIN, b"x", AUTHORISED)
        assert a.arrived.wait(10)
        kill(first)
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            under_way.result()
        with pytest.raises(ConnectionError):
            first.ask.send("POST", EXPLAIN, b"x", AUTHORISED)
        again = second.ask.send("POST", EXPLAIN, b"x", AUTHORISED)
    assert again.json()["from"] == "b"


def test_the_doors_refusals_pass(both: tuple[Upstream, Upstream, Door, Door]) -> None:
    _, _, first, second = both
    with front(*_ports(first, second)) as port:
        ask = Asker(port)
        assert ask.send("POST", EXPLAIN, b"x").refused(401, "Unauthorized")
        assert ask.send("POST", "/models", b"x", AUTHORISED).refused(404, "NotFound")
        large = ask.send("POST", EXPLAIN, bytes(1_100_000), AUTHORISED)
        assert "1,048,576 bytes" in large.refused(413, "TooLarge")
        larger = ask.send("POST", EXPLAIN, bytes(18 << 20), AUTHORISED)
        assert (larger.status, larger.json()["type"]) == (413, "TooLarge")
        kept = ask.send("POST", EXPLAIN, b"x", {**AUTHORISED, "X-Request-Id": "mine"})
        assert (kept.status, kept.headers["x-request-id"]) == (200, "mine")


@pytest.mark.parametrize(("status", "asked"), [("503", 2), ("500", 1), ("422", 1)])
def test_the_next_is_asked_where_that_may_help(
    both: tuple[Upstream, Upstream, Door, Door], status: str, asked: int
) -> None:
    a, b, first, second = both
    with front(*_ports(first, second)) as port:
        reply = Asker(port).send("POST", EXPLAIN, b"x", {**AUTHORISED, "X-Want": status})
    assert reply.status == int(status)
    assert ("retry-after" in reply.headers) == (status == "503")
    assert len(a.requests) + len(b.requests) == asked


def test_a_container_that_drains_loses_nothing(
    both: tuple[Upstream, Upstream, Door, Door],
) -> None:
    a, b, first, second = both
    with front(*_ports(first, second)) as port:
        shots = [Shot(f"http://{HOST}:{port}{EXPLAIN}", b"x", AUTHORISED)]

        def drain() -> None:
            a.wait_for(50)
            first.nginx.announce_end()
            time.sleep(0.5)
            first.nginx.finish()

        draining = threading.Thread(target=drain)
        draining.start()
        load = closed_loop(shots, 6, seconds=3)
        draining.join()
        assert set(load.statuses.tolist()) == {200}
        seen = len(a.requests)
        assert Asker(port).send("POST", EXPLAIN, b"x", AUTHORISED).json()["from"] == "b"
        assert (len(a.requests), len(b.requests) > 50) == (seen, True)


def test_when_all_are_gone_it_says_so() -> None:
    with front(1, 2) as port:
        reply = Asker(port).send("POST", EXPLAIN, b"x", AUTHORISED)
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert (reply.json()["code"], reply.json()["type"]) == (503, "Unavailable")


@pytest.mark.parametrize(
    "text",
    [
        b"GARBAGE\r\n\r\n",
        b"POST /explanations/demo HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 40_000 + b"\r\n\r\n",
        b"POST /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /explanations/demo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /explanations/demo HTTP/4.0\r\nHost: a\r\n\r\n",
    ],
)
def test_its_own_refusals_are_of_the_doors_form(
    both: tuple[Upstream, Upstream, Door, Door], text: bytes
) -> None:
    _, _, first, second = both
    with front(*_ports(first, second)) as port:
        head, _, body = Asker(port).raw(text).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Type: application/json" in head
    document = json.loads(body)
    assert (document["code"], document["type"]) == (400, "MalformedRequest")


def test_silence_is_told_as_such_and_not_as_something_to_repeat(
    both: tuple[Upstream, Upstream, Door, Door],
) -> None:
    a, b, *_ = both
    a.hold.clear()
    b.hold.clear()
    ports = [int(one.address.rpartition(":")[2]) for one in (a, b)]
    sooner = {
        "proxy_read_timeout 160s": "proxy_read_timeout 1s",
        "proxy_next_upstream_timeout 120s": "proxy_next_upstream_timeout 500ms",
    }
    with front(*ports, changes=sooner) as port:
        reply = Asker(port).send("POST", EXPLAIN, b"x")
        a.hold.set()
        b.hold.set()
    assert "in time" in reply.refused(504, "TimedOut")
    assert "retry-after" not in reply.headers
    assert len(a.requests) + len(b.requests) == 1
