"""The door's configuration in a real nginx, before an upstream that tells what reached it.

What TorchServe itself makes of requests is in ``live/test_container_door.py``.
"""

import http.client
import re
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from container.door import FORM
from container.keys import Key
from doors import AUTHORISED, KEY, Door, Reply, Upstream, door, read_reply
from local_ports import HOST

LIMIT = 100_000
EXPLAIN = "/explanations/demo"
PATHS = (
    "/predictions/demo",
    "/predictions/demo/1.0",
    EXPLAIN,
    "/explanations/a_b-c.d/2",
    "/explanations/demo?a=b",
    "/v1/models/demo:predict",
    "/v1/models/demo:explain",
)
CLOSED = (
    "/",
    "/models",
    "/models/demo",
    "/models/demo?min_worker=0",
    "/models/demo/invoke",
    "/invocations",
    "/demo/predict",
    "/ping",
    "/metrics",
    "/api-description",
    "/v1/models/demo",
    "/v2/models/demo/infer",
    "/v2/health/ready",
    "/status",
    "/.read",
    "/.refused/400",
    "/predictions",
    "/predictions/",
    "/predictions/demo/1.0/more",
    "/explanations//demo",
    "/explanations/../models/demo",
    "/explanations/..%2Fmodels",
    "/explanations/%2e%2e/models/demo",
    "/models/demo/invoke/../../../predictions/demo",
    "/models/demo/../../predictions/demo",
    "/explanations/demo/..",
    "/explanations/de%6do",
    "/explanations/demo;a=b",
    "/EXPLANATIONS/demo",
)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream("first") as running:
        yield running


@pytest.fixture(scope="module")
def opened(upstream: Upstream) -> Iterator[Door]:
    with door(UPSTREAMS=upstream.address, MAX_BODY=str(LIMIT)) as running:
        yield running


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("path", PATHS)
def test_what_is_let_through(opened: Door, method: str, path: str) -> None:
    seen = opened.ask.send(method, path, b"picture", AUTHORISED).json()
    assert (seen["method"], seen["path"], seen["length"]) == (method, path, 7)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", CLOSED)
def test_what_is_not(opened: Door, upstream: Upstream, method: str, path: str) -> None:
    before = len(upstream.requests)
    body = b"x" if method in ("POST", "PUT") else None
    reply = opened.ask.send(method, path, body, AUTHORISED)
    assert "/explanations/<model>" in reply.refused(404, "NotFound")
    assert len(upstream.requests) == before


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods(opened: Door, method: str) -> None:
    reply = opened.ask.send(method, EXPLAIN, None, AUTHORISED)
    assert reply.status == 405
    assert reply.headers["allow"] == "POST, PUT"
    if method != "HEAD":
        assert "POST or PUT" in reply.refused(405, "MethodNotAllowed")


WRONG_KEYS: Mapping[str, Mapping[str, str]] = {
    "none": {},
    "another": {"Authorization": "Bearer Sesame-Open.123~457"},
    "in other letter case": {"Authorization": f"Bearer {KEY.secret.lower()}"},
    "its dot as any character": {"Authorization": "Bearer Sesame-OpenX123~456"},
    "its beginning": {"Authorization": f"Bearer {KEY.secret[:-1]}"},
    "and more": {"Authorization": f"Bearer {KEY.secret}x"},
    "and more after a blank": {"Authorization": f"Bearer {KEY.secret} x"},
    "two of them": {"Authorization": f"Bearer x, Bearer {KEY.secret}"},
    "without the word": {"Authorization": KEY.secret},
    "as a password": {"Authorization": f"Basic {KEY.secret}"},
    "in the wrong header": {"X-Api-Key": KEY.secret},
}


@pytest.mark.parametrize("name", WRONG_KEYS)
@pytest.mark.parametrize("path", PATHS)
def test_without_the_key(opened: Door, upstream: Upstream, path: str, name: str) -> None:
    before = len(upstream.requests)
    reply = opened.ask.send("POST", path, b"picture", WRONG_KEYS[name])
    assert "Authorization: Bearer" in reply.refused(401, "Unauthorized")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert len(upstream.requests) == before


def test_the_scheme_in_any_letter_case(opened: Door) -> None:
    headers = {"Authorization": f"bearer {KEY.secret}"}
    assert opened.ask.send("POST", EXPLAIN, b"x", headers).status == 200


def test_what_the_upstream_gets_to_see(opened: Door) -> None:
    sent = {
        **AUTHORISED,
        "Content-Type": "image/jpeg",
        "Accept": "image/png",
        "X-Explain-Target": "Schäferhund".encode().decode("latin-1"),
        "Explain": "True",
        "explain": "True",
        "Describe": "True",
        "Cookie": "a=b",
        "url_path": "x",
        "ts_request_sequence_id": "1",
    }
    seen = opened.ask.send("POST", EXPLAIN, b"x", sent).json()["headers"]
    kept = {"content-type": "image/jpeg", "accept": "image/png"}
    assert {name: seen.get(name) for name in kept} == kept
    assert seen["x-explain-target"].encode("latin-1").decode() == "Schäferhund"
    gone = {"authorization", "explain", "describe", "cookie", "url_path", "ts_request_sequence_id"}
    assert not gone & set(seen)


class TestRequestIds:
    @pytest.mark.parametrize("sent", ["abc-123", "A.b:c_d", "x" * 128])
    def test_a_sane_one_is_kept(self, opened: Door, sent: str) -> None:
        headers = {**AUTHORISED, "X-Request-Id": sent}
        reply = opened.ask.send("POST", EXPLAIN, b"x", headers)
        assert reply.headers["x-request-id"] == sent
        assert reply.json()["headers"]["x-request-id"] == sent

    @pytest.mark.parametrize("sent", [None, "", "x" * 129, 'a"b', "a b", "<script>", "ä"])
    def test_otherwise_one_is_made(self, opened: Door, sent: str | None) -> None:
        headers = AUTHORISED if sent is None else {**AUTHORISED, "X-Request-Id": sent}
        reply = opened.ask.send("POST", EXPLAIN, b"x", headers)
        assert re.fullmatch("[0-9a-f]{32}", reply.headers["x-request-id"])
        assert reply.json()["headers"]["x-request-id"] == reply.headers["x-request-id"]

    def test_errors_have_it_too(self, opened: Door) -> None:
        for want, path in ((404, "/nowhere"), (401, EXPLAIN)):
            reply = opened.ask.send("POST", path, b"x", {"X-Request-Id": "mine"})
            assert (reply.status, reply.headers["x-request-id"]) == (want, "mine")


class TestSizes:
    def test_a_body_at_the_limit(self, opened: Door) -> None:
        seen = opened.ask.send("POST", EXPLAIN, bytes(LIMIT), AUTHORISED).json()
        assert seen["length"] == LIMIT

    def test_a_body_beyond(self, opened: Door) -> None:
        reply = opened.ask.send("POST", EXPLAIN, bytes(LIMIT + 1), AUTHORISED)
        assert "100,000 bytes" in reply.refused(413, "TooLarge")

    @pytest.mark.parametrize("pieces", [9, 12])
    def test_a_body_in_chunks(self, opened: Door, pieces: int) -> None:
        body = iter([bytes(10_000)] * pieces)
        reply = opened.ask.send("POST", EXPLAIN, body, AUTHORISED, chunked=True)
        if pieces * 10_000 > LIMIT:
            assert "100,000 bytes" in reply.refused(413, "TooLarge")
        else:
            assert reply.json()["length"] == pieces * 10_000
            assert "transfer-encoding" not in reply.json()["headers"]

    def test_a_long_address(self, opened: Door) -> None:
        reply = opened.ask.send("POST", f"{EXPLAIN}?{'a' * 4000}", b"x", AUTHORISED)
        assert "address" in reply.refused(414, "TooLarge")

    def test_long_headers(self, opened: Door) -> None:
        reply = opened.ask.send("POST", EXPLAIN, b"x", {**AUTHORISED, "X-A": "a" * 9000})
        assert "headers" in reply.refused(431, "TooLarge")


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "Application/X-WWW-Form-URLencoded; charset=utf-8",
        " application/x-www-form-urlencoded",
    ],
)
def test_pictures_declared_as_forms_never_reach_torchserve_which_fails_on_them(
    opened: Door, upstream: Upstream, kind: str
) -> None:
    before = len(upstream.requests)
    reply = opened.ask.send("POST", EXPLAIN, b"x", {**AUTHORISED, "Content-Type": kind})
    assert "curl -T" in reply.refused(415, "UnsupportedMediaType")
    assert len(upstream.requests) == before


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ("multipart/form-data", ""),
        ("multipart/form-data; boundary=a", "; boundary=a"),
        ('Multipart/Form-Data;boundary="a b; c"', ';boundary="a b; c"'),
        ("multipart/form-data; charset=utf-8; Boundary=--W7", "; charset=utf-8; Boundary=--W7"),
        ("\t multipart/form-datax; boundary=a", "x; boundary=a"),
        ("x; multipart/form-data; boundary=a", "; boundary=a"),
    ],
)
def test_forms_get_a_type_that_torchserve_does_not_read(opened: Door, sent: str, got: str) -> None:
    reply = opened.ask.send("POST", EXPLAIN, b"x", {**AUTHORISED, "Content-Type": sent})
    assert reply.json()["headers"]["content-type"] == FORM + got


@pytest.mark.parametrize(
    "kind", ["image/jpeg", "application/json; charset=utf-8", "multipart/mixed"]
)
def test_other_content_types_pass(opened: Door, kind: str) -> None:
    reply = opened.ask.send("POST", EXPLAIN, b"x", {**AUTHORISED, "Content-Type": kind})
    assert reply.json()["headers"]["content-type"] == kind


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"POST /explanations/demo HTTP/1.1\r\n\r\n", 400),
        (b"POST /explanations/demo HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /explanations/%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"POST /explanations/demo HTTP/4.0\r\nHost: a\r\n\r\n", 505),
        (b"POST /explanations/demo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    ],
)
def test_what_is_not_http(opened: Door, text: bytes, status: int) -> None:
    head, _, body = opened.ask.raw(text).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Type: application/json" in head
    assert b'"code": %d' % status in body


def test_broken_chunks(opened: Door) -> None:
    head = f"POST {EXPLAIN} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY.secret}\r\n"
    answer = opened.ask.raw(head.encode() + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"type": "MalformedRequest"' in answer


class TestAnswersOfTheUpstream:
    @pytest.mark.parametrize("status", [400, 404, 405, 413, 415, 422, 429])
    def test_refusals_pass_untouched(self, opened: Door, status: int) -> None:
        reply = opened.ask.send("POST", EXPLAIN, b"x", {**AUTHORISED, "X-Want": str(status)})
        assert reply.status == status
        assert reply.json()["from"] == "first"

    @pytest.mark.parametrize(
        ("status", "answered", "kind"),
        [
            (403, 400, "MalformedRequest"),
            (500, 500, "InternalError"),
            (502, 503, "Unavailable"),
            (503, 503, "Unavailable"),
            (504, 504, "TimedOut"),
            (507, 500, "InternalError"),
        ],
    )
    def test_faults_are_replaced(self, opened: Door, status: int, answered: int, kind: str) -> None:
        headers = {**AUTHORISED, "X-Want": str(status), "X-Request-Id": "this-one"}
        reply = opened.ask.send("POST", EXPLAIN, b"x", headers)
        message = reply.refused(answered, kind)
        assert ("this-one" in message) == (answered in (500, 504))
        assert ("retry-after" in reply.headers) == (answered == 503)

    def test_nobody_there(self) -> None:
        with door(UPSTREAMS=f"{HOST}:1") as opened:
            reply = opened.ask.send("POST", EXPLAIN, b"x", AUTHORISED)
            assert "try again" in reply.refused(503, "Unavailable")
            assert reply.headers["retry-after"] == "1"
            assert opened.ask.send("GET", "/ready").refused(503, "NotKnown")


def test_no_version_is_told(opened: Door) -> None:
    for path in (EXPLAIN, "/nowhere"):
        assert opened.ask.send("POST", path, b"x", AUTHORISED).headers["server"] == "nginx"


def test_the_access_log_has_the_id_and_the_keys_name_and_never_the_key(opened: Door) -> None:
    opened.ask.send("POST", EXPLAIN, b"x", {**AUTHORISED, "X-Request-Id": "logged-1"})
    opened.ask.send("POST", EXPLAIN, b"x", {"X-Request-Id": "logged-2"})
    opened.ask.send("POST", '/a"b', b"x", {"X-Request-Id": "logged-3"})
    answered, refused, quoted = opened.logged("logged-1", "logged-2", "logged-3")
    assert (answered["key"], answered["status"]) == (KEY.name, 200)
    assert answered["path"] == EXPLAIN
    assert (refused["key"], refused["status"]) == ("", 401)
    assert quoted["path"] == '/a"b'
    opened.ask.send("POST", "/explanations/../models", b"x", {"X-Request-Id": "logged-4"})
    (tricky,) = opened.logged("logged-4")
    assert tricky["path"] == "/explanations/../models"  # as it was sent
    assert KEY.secret not in (opened.settings.run_dir / "access.log").read_text("utf-8")


def test_the_configuration_is_for_nobody_elses_eyes(opened: Door) -> None:
    config = opened.settings.run_dir / "nginx.conf"
    assert KEY.secret[:6] in config.read_text("utf-8")
    assert config.stat().st_mode & 0o077 == 0


def test_keys_off(upstream: Upstream) -> None:
    with door(None, UPSTREAMS=upstream.address) as opened:
        assert opened.ask.send("POST", EXPLAIN, b"x", {"X-Request-Id": "open"}).status == 200
        assert opened.logged("open")[0]["key"] == "anonymous"


def test_other_keys_are_taken_up(upstream: Upstream) -> None:
    other = Key("bob", "another-key-of-bob")
    with door(UPSTREAMS=upstream.address) as opened:
        opened.nginx.reload((other,))
        deadline = time.monotonic() + 20
        headers = {"Authorization": f"Bearer {other.secret}"}
        # for a moment the old worker processes take connections beside the new ones
        while [
            opened.ask.send("POST", EXPLAIN, b"x", told).status
            for told in [AUTHORISED, headers] * 5
        ] != [401, 200] * 5:
            assert time.monotonic() < deadline


def test_what_is_under_way_outlasts_a_change_of_keys() -> None:
    with Upstream() as upstream, door(UPSTREAMS=upstream.address, DRAIN_LIMIT="1") as opened:
        upstream.hold.clear()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(opened.ask.send, "POST", EXPLAIN, b"x", AUTHORISED)
            assert upstream.arrived.wait(10)
            opened.nginx.reload((Key("bob", "another-key-of-bob"),))
            time.sleep(2.5)  # more than the limit for draining, which this is not
            upstream.hold.set()
            assert asked.result().status == 200


@pytest.mark.parametrize(
    ("size", "chunked", "at_once", "below"),
    [
        (4_000_000, False, 8, 3_999_999),
        (10, True, 8, 3_999_999),  # nobody knows how long it will be
        (1_000_000, False, 32, 999_999),
    ],
)
def test_only_so_many_large_bodies_at_once(
    size: int, chunked: bool, at_once: int, below: int
) -> None:
    with Upstream() as upstream, door(UPSTREAMS=upstream.address) as opened:
        upstream.hold.clear()

        def large() -> Reply:
            body = iter([bytes(size)]) if chunked else bytes(size)
            return opened.ask.send("POST", EXPLAIN, body, AUTHORISED, chunked=chunked)

        def arrived(count: int) -> None:
            deadline = time.monotonic() + 20
            while len(upstream.requests) < count:
                assert time.monotonic() < deadline
                time.sleep(0.02)

        with ThreadPoolExecutor(at_once + 1) as pool:
            held = [pool.submit(large) for _ in range(at_once)]
            arrived(at_once)
            refused = large()
            assert "too many large pictures" in refused.refused(503, "Unavailable")
            assert refused.headers["retry-after"] == "1"
            held.append(pool.submit(opened.ask.send, "POST", EXPLAIN, bytes(below), AUTHORISED))
            arrived(at_once + 1)
            upstream.hold.set()
            assert [one.result().status for one in held] == [200] * (at_once + 1)
        assert large().status == 200


def test_a_rate_is_of_one_key(upstream: Upstream) -> None:
    other = Key("bob", "another-key-of-bob")
    with door((KEY, other), UPSTREAMS=upstream.address, RATE="3") as opened:
        replies = [opened.ask.send("POST", EXPLAIN, b"x", AUTHORISED) for _ in range(12)]
        refused = [reply for reply in replies if reply.status != 200]
        assert 1 <= len(refused) <= 9  # three at once and one more; a slow machine fits in others
        for reply in refused:
            assert "3 requests a second" in reply.refused(429, "TooManyRequests")
            assert reply.headers["retry-after"] == "1"
        headers = {"Authorization": f"Bearer {other.secret}"}
        assert opened.ask.send("POST", EXPLAIN, b"x", headers).status == 200


class TestSeveralUpstreams:
    def test_they_share_the_requests(self) -> None:
        with Upstream("a") as a, Upstream("b") as b, door(UPSTREAMS=_both(a, b)) as opened:
            for _ in range(10):
                opened.ask.send("POST", EXPLAIN, b"x", AUTHORISED)
            assert min(len(a.requests), len(b.requests)) >= 3

    def test_one_that_is_not_there_is_gone_around(self) -> None:
        with Upstream("a") as a, door(UPSTREAMS=f"{HOST}:1,{a.address}") as opened:
            for _ in range(10):
                reply = opened.ask.send("POST", EXPLAIN, b"picture", AUTHORISED)
                assert (reply.json()["from"], reply.json()["length"]) == ("a", 7)

    def test_a_full_one_too_and_only_when_all_are_full_it_is_told(self) -> None:
        with Upstream("a") as a, Upstream("b") as b, door(UPSTREAMS=_both(a, b)) as opened:
            headers = {**AUTHORISED, "X-Want": "503"}
            assert opened.ask.send("POST", EXPLAIN, b"x", headers).refused(503, "Unavailable")
            assert (len(a.requests), len(b.requests)) == (1, 1)

    def test_a_fault_is_not_repeated_on_the_next(self) -> None:
        with Upstream("a") as a, Upstream("b") as b, door(UPSTREAMS=_both(a, b)) as opened:
            headers = {**AUTHORISED, "X-Want": "500"}
            assert opened.ask.send("POST", EXPLAIN, b"x", headers).refused(500, "InternalError")
            assert len(a.requests) + len(b.requests) == 1


def _both(a: Upstream, b: Upstream) -> str:
    return f"{a.address},{b.address}"


class TestDraining:
    def test_answers_announce_that_their_connection_ends(self, upstream: Upstream) -> None:
        with door(UPSTREAMS=upstream.address) as opened:
            connection = http.client.HTTPConnection(HOST, opened.settings.door_port, timeout=30)
            said = []
            for _ in range(3):
                connection.request("POST", EXPLAIN, b"x", AUTHORISED)
                reply = read_reply(connection)
                assert reply.json()["from"] == "first"
                said.append(reply.headers["connection"])
                if len(said) == 2:
                    opened.nginx.announce_end()
            assert said == ["keep-alive", "keep-alive", "close"]

    @pytest.mark.parametrize(
        ("want", "body", "kind"),
        [(500, b"x", "InternalError"), (503, b"x", "Unavailable"), (200, bytes(200), "TooLarge")],
    )
    def test_refusals_are_the_same_while_it_drains(
        self, upstream: Upstream, want: int, body: bytes, kind: str
    ) -> None:
        with door(UPSTREAMS=upstream.address, MAX_BODY="100") as opened:
            opened.nginx.announce_end()
            reply = opened.ask.send("POST", EXPLAIN, body, {**AUTHORISED, "X-Want": str(want)})
            assert reply.refused(reply.status, kind)
            # nginx keeps no connection after a body that it has not read, draining or not
            assert reply.headers["connection"] == "close"
            reply = opened.ask.send("POST", EXPLAIN, b"x", {**AUTHORISED, "X-Want": "422"})
            assert (reply.status, reply.json()["from"]) == (422, "first")

    def test_what_is_under_way_is_finished_and_nothing_new_is_taken(self) -> None:
        with (
            Upstream("slow") as slow,
            door(UPSTREAMS=slow.address) as opened,
            ThreadPoolExecutor(1) as pool,
        ):
            slow.hold.clear()
            under_way = pool.submit(opened.ask.send, "POST", EXPLAIN, b"x", AUTHORISED)
            assert slow.arrived.wait(10)
            opened.nginx.finish()
            _until_refused(opened)
            assert opened.nginx.status is None  # it waits
            slow.hold.set()
            assert under_way.result().json()["from"] == "slow"
            deadline = time.monotonic() + 10
            while opened.nginx.status is None:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert opened.nginx.status == 0

    def test_a_body_that_is_still_being_sent_counts_as_under_way(self, upstream: Upstream) -> None:
        with door(UPSTREAMS=upstream.address) as opened:
            sent, more = threading.Event(), threading.Event()

            def pieces() -> Iterator[bytes]:
                yield b"x" * 1000
                sent.set()
                assert more.wait(30)
                yield b"y" * 1000

            with ThreadPoolExecutor(1) as pool:
                headers = {**AUTHORISED, "Content-Length": "2000"}
                sending = pool.submit(opened.ask.send, "POST", EXPLAIN, pieces(), headers)
                assert sent.wait(30)
                opened.ask.send("GET", "/nowhere")  # taken after it, as connections queue up
                opened.nginx.finish()
                _until_refused(opened)
                more.set()
                assert sending.result().json()["length"] == 2000

    def test_stale_files_of_a_killed_container_do_no_harm(self, upstream: Upstream) -> None:
        with door(UPSTREAMS=upstream.address) as opened:
            opened.nginx.announce_end()
            child = opened.nginx._child
            assert child is not None
            child.stop(0)  # killed: its socket stays
            assert child.status is not None
            (opened.settings.run_dir / "status.sock").touch()
            opened.nginx.start((KEY,))
            reply = None
            for _ in range(100):
                try:
                    reply = opened.ask.send("POST", EXPLAIN, b"x", AUTHORISED)
                    break
                except OSError:
                    time.sleep(0.05)
            assert reply is not None
            assert reply.headers["connection"] == "keep-alive"


def _until_refused(opened: Door) -> None:
    for _ in range(100):
        try:
            opened.ask.send("GET", "/nowhere")
        except OSError:
            return
        time.sleep(0.05)
    raise AssertionError("the door still takes connections")
