"""Load is sent over real sockets to a server whose every answer is known."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import pytest

from load import NO_ANSWER, Load, Shot, closed_loop, open_loop, poisson_arrivals

PAUSE = 0.05


class Handler(BaseHTTPRequestHandler):
    """Answers what the path says; ``seen`` and ``peak`` tell of all requests so far."""

    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True
    lock = threading.Lock()
    seen: list[tuple[tuple[str, int], str, bytes, str | None]]
    ids: ClassVar[list[str | None]] = []
    open_now: int
    peak: int
    begun: ClassVar[list[tuple[object, float]]] = []
    meeting: threading.Barrier

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = type(self)
        with self.lock:
            number = len(kind.seen)
            kind.seen.append((self.client_address, self.path, body, self.headers["X-Told"]))
            kind.ids.append(self.headers["X-Request-Id"])
            kind.begun.append((self.client_address, time.monotonic()))
            kind.open_now += 1
            kind.peak = max(kind.peak, kind.open_now)
        if self.path == "/slow":
            time.sleep(PAUSE)
        if self.path == "/meet":
            kind.meeting.wait(30)
        with self.lock:
            kind.open_now -= 1
        if self.path == "/broken" and number % 2:
            self.connection.close()
            self.close_connection = True
            return
        self.send_response(503 if self.path == "/faulty" and number % 4 == 0 else 200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"x" * 100)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # all clients connect at once

    def handle_error(self, *_: object) -> None:
        """Says nothing of connections that are broken on purpose."""


class Forgetful(Server):
    """Closes the first connection before anything came over it, as nginx does one that is idle."""

    connections = 0

    def verify_request(self, *_: object) -> bool:
        self.connections += 1
        return self.connections > 1


@pytest.fixture
def server() -> Iterator[str]:
    Handler.seen, Handler.open_now, Handler.peak = [], 0, 0
    Handler.ids.clear()
    with Server(("127.0.0.1", 0), Handler) as running, ThreadPoolExecutor(1) as pool:
        pool.submit(running.serve_forever, 0.01)
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def test_shots_take_turns_with_their_own_paths_bodies_and_headers(server: str) -> None:
    shots = [
        Shot(f"{server}/a?b=c", b"one", {"X-Told": "first"}),
        Shot(f"{server}/d", b"", {}),
        Shot(server, b"three", {}),
    ]
    found = closed_loop(shots, 1, requests=7)
    told = [("/a?b=c", b"one", "first"), ("/d", b"", None), ("/", b"three", None)]
    assert [seen[1:] for seen in Handler.seen] == (told * 3)[:7]
    assert found.statuses.tolist() == [200] * 7
    assert (found.errors, found.received, found.bytes_per_answer) == (0, 700, 100)


def test_every_client_keeps_one_connection(server: str) -> None:
    closed_loop([Shot(f"{server}/slow", b"")], 3, requests=12)
    assert len({address for address, *_ in Handler.seen}) == 3


def test_closed_loop_has_as_many_under_way_as_clients(server: str) -> None:
    Handler.meeting = threading.Barrier(4)  # fewer would wait for each other until it breaks
    found = closed_loop([Shot(f"{server}/meet", b"")], 4, requests=24)
    assert found.statuses.tolist() == [200] * 24
    assert Handler.peak == 4
    assert len({address for address, *_ in Handler.seen}) == 4


def test_closed_loop_goes_on_until_its_time_is_up(server: str) -> None:
    Handler.begun.clear()
    found = closed_loop([Shot(f"{server}/slow", b"")], 4, seconds=6 * PAUSE)
    assert len(found.latencies) == len(Handler.seen)
    for client in {address for address, _ in Handler.begun}:  # its next after its answer
        own = [moment for address, moment in Handler.begun if address == client]
        assert np.all(np.diff(own) >= PAUSE)
    assert found.latencies.min() >= PAUSE
    assert found.seconds >= 6 * PAUSE
    assert found.rate == pytest.approx(len(Handler.seen) / found.seconds)


def test_closed_loop_sends_no_more_than_asked_for(server: str) -> None:
    found = closed_loop([Shot(f"{server}/slow", b"")], 4, requests=6)
    assert len(Handler.seen) == len(found.latencies) == 6


@pytest.mark.parametrize("limits", [{}, {"seconds": 1.0, "requests": 1}])
def test_one_end_is_needed(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="either seconds or requests"):
        closed_loop([Shot("http://127.0.0.1:1/", b"")], 1, **limits)


def test_several_hosts_are_refused() -> None:
    shots = [Shot("http://127.0.0.1:1/", b""), Shot("http://127.0.0.1:2/", b"")]
    with pytest.raises(ValueError, match="not to 2"):
        open_loop(shots, 1, 1, 0)


def test_errors_are_counted_and_do_not_raise_the_rate(server: str) -> None:
    found = closed_loop([Shot(f"{server}/faulty", b"")], 2, requests=8)
    assert found.errors == 2
    assert found.rate == pytest.approx(6 / found.seconds)
    assert found.received == 800


def test_broken_connections_are_no_answers_and_are_opened_anew(server: str) -> None:
    found = closed_loop([Shot(f"{server}/broken", b"")], 1, requests=4)
    assert found.statuses.tolist() == [200, NO_ANSWER, 200, NO_ANSWER]
    assert (found.errors, found.received, found.bytes_per_answer) == (2, 200, 100)


def test_a_connection_that_was_closed_while_it_was_idle_is_replaced() -> None:
    Handler.seen, Handler.open_now, Handler.peak = [], 0, 0
    due = {seed: poisson_arrivals(1, 1, seed).tolist() for seed in range(99)}
    seed = next(seed for seed, times in due.items() if len(times) == 1 and times[0] > 0.5)
    with Forgetful(("127.0.0.1", 0), Handler) as running, ThreadPoolExecutor(1) as pool:
        pool.submit(running.serve_forever, 0.01)
        shots = [Shot(f"http://127.0.0.1:{running.server_address[1]}/", b"one")]
        found = open_loop(shots, 1, 1, seed, clients=1)  # one request, long after the connection
        running.shutdown()
    assert running.connections == 2
    assert found.statuses.tolist() == [200]
    assert [seen[2] for seen in Handler.seen] == [b"one"]  # it was sent once


def test_requests_have_ids_where_asked_for(server: str) -> None:
    found = open_loop([Shot(server, b"")], 20, 0.5, 0, ids="run-")
    assert set(Handler.ids) == {f"run-{number}" for number in range(len(found.latencies))}
    assert len(Handler.ids) == len(found.latencies) > 0
    Handler.ids.clear()
    open_loop([Shot(server, b"")], 20, 0.5, 0)
    assert set(Handler.ids) == {None}


def test_a_server_that_is_down_answers_nothing() -> None:
    found = closed_loop([Shot("http://127.0.0.1:1/", b"")], 1, requests=2)
    assert found.statuses.tolist() == [NO_ANSWER] * 2
    assert found.reasons == {"ConnectionRefusedError": 2}
    assert found.rate == 0
    assert np.isnan(found.bytes_per_answer)


def test_silence_is_no_answer(server: str) -> None:
    found = closed_loop([Shot(f"{server}/slow", b"")], 1, requests=1, timeout=PAUSE / 10)
    assert found.statuses.tolist() == [NO_ANSWER]


def test_open_loop_sends_everything_that_was_due(server: str) -> None:
    found = open_loop([Shot(f"{server}/slow", b"")], rate=200, seconds=0.5, seed=3)
    due = poisson_arrivals(200, 0.5, 3)
    assert len(found.latencies) == len(Handler.seen) == len(due)
    assert found.seconds >= due[-1] + PAUSE
    assert found.latencies.min() >= PAUSE


def test_open_loop_does_not_wait_for_answers(server: str) -> None:
    open_loop([Shot(f"{server}/slow", b"")], rate=200, seconds=0.5, seed=3)
    assert Handler.peak > 4  # 200 a second, each for 0.05 s: ten on the average


def test_waiting_for_a_free_client_counts(server: str) -> None:
    """One client and twice as many arrivals as it can send: the queue grows, and shows."""
    found = open_loop([Shot(f"{server}/slow", b"")], 2 / PAUSE, 10 * PAUSE, 1, clients=1)
    due = poisson_arrivals(2 / PAUSE, 10 * PAUSE, 1)
    earliest = np.zeros(len(due))  # when each can be answered at the earliest
    free = 0.0
    for number, arrival in enumerate(due):
        free = max(free, arrival) + PAUSE
        earliest[number] = free - arrival
    assert earliest[-1] > 3 * PAUSE
    assert np.all(found.latencies >= earliest)


def test_arrivals_are_a_poisson_process() -> None:
    gaps = np.diff(poisson_arrivals(50, 400, 0))
    assert len(gaps) == pytest.approx(20_000, abs=5 * 20_000**0.5)
    assert gaps.min() >= 0
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)  # as of an exponential law
    assert np.array_equal(poisson_arrivals(50, 400, 0), poisson_arrivals(50, 400, 0))
    assert not np.array_equal(poisson_arrivals(50, 2, 0), poisson_arrivals(50, 2, 1))


def test_quantiles_are_of_the_latencies() -> None:
    latencies = np.arange(101) / 100
    found = Load(2.0, latencies, np.full(101, 200), 0)
    assert (found.p50, found.p95, found.p99) == pytest.approx((0.5, 0.95, 0.99))
    nothing = Load(2.0, np.empty(0), np.empty(0, dtype=np.int64), 0)
    assert np.isnan(nothing.p50)
    assert nothing.rate == 0
