"""What a door makes of the ways in which one of several upstreams can be lost."""

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from doors import AUTHORISED, Asker, Upstream, door
from local_ports import HOST

EXPLAIN = "/explanations/demo"
PICTURE = b"x" * 300_000  # more than one read or write takes


@contextlib.contextmanager
def breaking(says: bytes) -> Iterator[tuple[str, list[int]]]:
    """An upstream that takes a whole request, says this and ends the connection.

    Gives its address, and the lengths of the bodies that it took.
    """
    taken: list[int] = []
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, connection.makefile("rb") as file:
                    file.readline()
                    headers = http.client.parse_headers(file)
                    taken.append(len(file.read(int(headers["Content-Length"]))))
                    connection.sendall(says)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"{HOST}:{server.getsockname()[1]}", taken
        finally:
            server.shutdown(socket.SHUT_RDWR)  # close() alone does not wake accept()


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """An address where nobody says anything to who connects, as at a host that is switched off."""
    with socket.socket() as server, contextlib.ExitStack() as stack:
        server.bind((HOST, 0))
        server.listen(0)
        for _ in range(4):  # the kernel takes one or two for it, and then answers no more
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield f"{HOST}:{server.getsockname()[1]}"


def _asked_until(taken: list[int], port: int) -> list[str]:
    """Who answered, of requests sent until the breaking one was asked too."""
    answered = []
    for _ in range(10):
        reply = Asker(port).send("POST", EXPLAIN, PICTURE, AUTHORISED)
        assert reply.json()["length"] == len(PICTURE)
        answered.append(reply.json()["from"])
        if taken:
            return answered
    raise AssertionError("it was never asked")


def test_what_one_has_taken_and_loses_is_asked_of_the_next() -> None:
    with (
        Upstream("a") as a,
        breaking(b"") as (lost, taken),
        door(UPSTREAMS=f"{lost},{a.address}") as opened,
    ):
        answered = _asked_until(taken, opened.settings.door_port)
        assert taken == [len(PICTURE)]  # it had all of it
        assert set(answered) == {"a"}


def test_an_answer_that_breaks_off_is_cut_and_not_begun_anew() -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + bytes(100)
    with (
        Upstream("a") as a,
        breaking(begun) as (lost, taken),
        door(UPSTREAMS=f"{lost},{a.address}") as opened,
    ):
        with pytest.raises(http.client.IncompleteRead):
            _asked_until(taken, opened.settings.door_port)
        assert len(taken) == 1
        assert len(a.requests) < 10


def test_a_host_that_is_gone_costs_a_second_each_time_and_no_request() -> None:
    with (
        Upstream("a") as a,
        silent() as gone,
        door(UPSTREAMS=f"{gone},{a.address}") as opened,
    ):
        slowest = 0.0
        for _ in range(4):
            begun = time.monotonic()
            reply = opened.ask.send("POST", EXPLAIN, PICTURE, AUTHORISED)
            slowest = max(slowest, time.monotonic() - begun)
            assert reply.json()["from"] == "a"
        assert slowest > 0.9
        statuses = {line["upstream_status"] for line in opened.access_log}
        assert statuses <= {"200", "504, 200"}
