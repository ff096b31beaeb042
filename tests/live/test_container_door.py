"""The container with the demo model, asked from outside: keys, paths, sizes, errors, other keys."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from urllib3.filepost import encode_multipart_formdata

from doors import Asker, Reply
from live.archives import package_demo
from live.container_run import Container, container
from pictures import cat_jpeg, cat_png
from repository import ROOT

pytestmark = pytest.mark.live

ALICE, BOB = "key-of-alice-1234567", "key-of-bob-123456789"
EXPLAIN = "/explanations/demo"
JPEG = {"Content-Type": "image/jpeg"}


def _key(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_text(f"# who may ask\nalice:{ALICE}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory, keys_file: Path) -> Iterator[Container]:
    store = tmp_path_factory.mktemp("store")
    assert package_demo(store), "the demo model has not been trained"
    with container(store, KEYS_FILE=str(keys_file), MAX_BODY="3m", DRAIN_SECONDS="0") as running:
        running.wait_ready()
        yield running


def _send(pod: Container, body: object, path: str = EXPLAIN, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return pod.door.send("POST", path, body, {**_key(ALICE), **named})


def test_an_explanation(pod: Container) -> None:
    reply = _send(pod, cat_jpeg(), X_Explain_Target="dog", Content_Type="image/jpeg")
    (entry,) = reply.json()["explanations"]
    assert entry["label"] == "dog"
    assert reply.headers["x-request-id"]


def test_every_way_in(pod: Container) -> None:
    body = b'{"instances": []}'
    assert "cat" in _send(pod, cat_png(), "/predictions/demo").json()
    assert _send(pod, cat_png(), "/explanations/demo/1.0").status == 200
    for verb in ("predict", "explain"):
        reply = _send(pod, body, f"/v1/models/demo:{verb}", Content_Type="application/json")
        assert "instances" in reply.refused(400, "MalformedRequest")


def test_the_paths_word_decides_and_not_a_header(pod: Container) -> None:
    """At TorchServe itself ``Explain: True`` would survive beside its own header."""
    assert "explanations" not in _send(pod, cat_png(), "/predictions/demo", Explain="True").json()


def test_without_a_key(pod: Container) -> None:
    for headers in ({}, _key(BOB), _key(ALICE[:-1])):
        reply = pod.door.send("POST", EXPLAIN, cat_jpeg(), headers)
        assert "Authorization" in reply.refused(401, "Unauthorized")


class TestManagement:
    PATHS = ("/models", "/models/demo", "/models?url=x.mar", "/models/demo?min_worker=0")

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
    @pytest.mark.parametrize("path", PATHS)
    def test_it_is_not_behind_the_door(self, pod: Container, method: str, path: str) -> None:
        body = b"" if method in ("POST", "PUT") else None
        assert pod.door.send(method, path, body, _key(ALICE)).refused(404, "NotFound")
        assert pod.metrics.send(method, path, body, _key(ALICE)).refused(404, "NotFound")
        assert pod.workers("demo")[0]["status"] == "READY"

    def test_only_door_and_metrics_are_open_to_others(self, pod: Container) -> None:
        """Every port that a process of the container listens on, from the kernel."""
        listening = _listening(set(pod.processes()))
        asked_for = {int(pod.told["GRADCAM_DOOR_PORT"]), int(pod.told["GRADCAM_METRICS_PORT"])}
        ports = vars(pod.ports)
        assert {port for _, port in listening} >= asked_for | {ports["management"]}
        assert all(address == "127.0.0.1" for address, _ in listening)  # the tests' own LISTEN
        config = (Path(pod.told["GRADCAM_RUN_DIR"]) / "nginx.conf").read_text("utf-8")
        listens = re.findall(r"listen (?:127\.0\.0\.1:)?(\S+);", config)
        assert {int(port) for port in listens if port.isdecimal()} == asked_for


def _listening(pids: set[int]) -> set[tuple[str, int]]:
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(str(descriptor.readlink()))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:  # LISTEN
                found.add(_address(fields[1]))
    return found


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    words = [host[start : start + 8] for start in range(0, len(host), 8)]
    parts = [str(part) for part in bytes.fromhex(words[-1])[::-1]]
    mapped = len(words) == 1 or words[:3] == ["00000000", "00000000", "FFFF0000"]
    return (".".join(parts) if mapped else host), int(port, 16)


@pytest.mark.parametrize("path", [EXPLAIN, "/predictions/demo", "/v1/models/demo:explain"])
def test_a_form_is_answered_as_the_picture_with_its_options_in_headers(
    pod: Container, path: str
) -> None:
    """The door has the handler read it; asked without the door, TorchServe reads it itself."""
    picture = ("cat.png", cat_png(), "image/png")
    form, kind = encode_multipart_formdata(
        [("image", picture), ("top_k", "3"), ("heatmap", "grid")]
    )
    reply = _send(pod, form, path, Content_Type=kind)
    plain = _send(pod, cat_png(), path, X_Explain_Top_K="3", X_Explain_Heatmap="grid")
    own = Asker(pod.ports.inference).send("POST", path, form, {"Content-Type": kind})
    assert reply.status == plain.status == own.status == 200
    assert reply.json() == plain.json() == own.json()


def _resident(pid: int) -> int:
    """Memory of a process, in bytes."""
    (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) * 1024


class TestErrors:
    def test_too_large(self, pod: Container) -> None:
        beyond = 3 * 1024 * 1024 + 1
        assert "3,145,728" in _send(pod, bytes(beyond)).refused(413, "TooLarge")
        chunks = iter([bytes(65536)] * 49)
        reply = pod.door.send("POST", EXPLAIN, chunks, _key(ALICE), chunked=True)
        assert "3,145,728" in reply.refused(413, "TooLarge")

    def test_the_handlers_own_refusals_pass(self, pod: Container) -> None:
        picture = cat_jpeg()
        assert "hello" not in _send(pod, b"hello").refused(415, "UnsupportedPicture")
        assert "truncated" in _send(pod, picture[:1200]).refused(400, "BrokenPicture")
        assert "zebra" in _send(pod, picture, X_Explain_Target="zebra").refused(
            422, "InvalidOption"
        )
        smooth = _send(pod, picture, X_Explain_Smooth="3001")
        assert "lower smooth" in smooth.refused(413, "TooLarge")  # not the door's sentence

    def test_a_form_that_is_a_picture(self, pod: Container) -> None:
        kind = "application/x-www-form-urlencoded"
        reply = _send(pod, cat_jpeg(), Content_Type=kind)
        assert "curl -T" in reply.refused(415, "UnsupportedMediaType")

    @pytest.mark.parametrize(
        ("part", "status", "kind", "word"),
        [
            (part, 400, "MalformedRequest", "no name")
            for part in (
                "X-Y: z",
                "Content-Disposition",
                "Content-Disposition: x",
                "Content-Disposition: form-data",
                'Content-Disposition: form-data; name=""',
            )
        ]
        + [
            (f"Content-Disposition: form-data; name=a{more}", 400, "MalformedRequest", "no picture")
            for more in ("", "\r\nContent-Type: text/plain; charset=zzz", "; filename*=zzz''a")
        ]
        + [
            (
                "Content-Disposition: form-data; name=image\r\nContent-Type: multipart/mixed",
                *(415, "UnsupportedPicture", "JPEG"),
            )
        ],
    )
    @pytest.mark.parametrize("path", [EXPLAIN, "/predictions/demo", "/v1/models/demo:explain"])
    def test_a_form_that_torchserve_could_not_read(
        self, pod: Container, path: str, part: str, status: int, kind: str, word: str
    ) -> None:
        """Its own parser fails on most, with a 500, and never frees what they took."""
        body = f"--a\r\n{part}\r\n\r\nsecret-bytes\r\n--a--\r\n".encode()
        reply = _send(pod, body, path, Content_Type="multipart/form-data; boundary=a")
        assert word in reply.refused(status, kind)
        assert b"secret" not in reply.body

    def test_broken_forms_leave_no_memory_taken(self, pod: Container) -> None:
        """Where TorchServe reads them, these 200 are 700 MB of Java's that are never freed."""
        java = pod.part("org.pytorch.serve.ModelServer")
        body = b"--a\r\nX-Y: z\r\n\r\n" + bytes(2_900_000) + b"\r\n--a--\r\n"
        kind = "multipart/form-data; boundary=a"
        taken = []
        for _ in range(2):  # the first time, for what Java takes for itself
            for _ in range(200):
                reply = _send(pod, body, Content_Type=kind)
                assert "no name" in reply.refused(400, "MalformedRequest")
            taken.append(_resident(java))
        assert taken[1] - taken[0] < 300 * 2**20

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("multipart/form-data", b"x"),
            ("multipart/form-data; boundary=a", b""),
            ("multipart/form-data; boundary=a", b"--b\r\n\r\nsecret-bytes"),
            (
                "multipart/form-data; boundary=a",
                b'--a\r\nContent-Disposition: form-data; name="x"\r\n\r\nsecret-bytes',
            ),
            ("application/json", b"{secret-bytes"),
            ("application/json; charset=nonsense", b'{"image": "secret-bytes"}'),
            ("nonsense", b"secret-bytes"),
            ("text/plain; charset=nonsense", b"secret-bytes"),
        ],
    )
    def test_malformed_bodies(self, pod: Container, kind: str, body: bytes) -> None:
        """Whatever TorchServe makes of them, the answer is in our form and has none of the body."""
        reply = _send(pod, body, Content_Type=kind)
        assert 400 <= reply.status < 500
        assert set(reply.json()) == {"code", "type", "message"}
        assert reply.json()["code"] == reply.status
        assert b"secret-bytes" not in reply.body

    def test_a_model_that_is_not_there(self, pod: Container) -> None:
        reply = _send(pod, cat_jpeg(), "/explanations/zebra")
        assert "zebra" in reply.refused(404, "ModelNotFoundException")  # TorchServe's own
        reply = _send(pod, cat_jpeg(), "/explanations/demo/7.0")
        assert reply.json()["code"] == reply.status == 404

    def test_headers_as_long_as_they_may_be(self, pod: Container) -> None:
        """What the door lets through is not too long for TorchServe."""
        for name in ("X-A", "X-B"):
            headers = {"X-Explain-Target": "cat", "X-Filler-1": "a" * 2900, name: "b" * 2700}
            reply = pod.door.send("POST", EXPLAIN, cat_jpeg(), {**_key(ALICE), **headers})
            assert reply.status == 200, reply
        assert _send(pod, cat_jpeg(), f"{EXPLAIN}?{'a' * 2900}").status == 200


class TestRequestIds:
    def test_kept_and_logged_with_the_keys_name(self, pod: Container) -> None:
        assert _send(pod, cat_png(), X_Request_Id="trace-42").headers["x-request-id"] == "trace-42"
        # The door writes its line when the answer has gone, so a client can be ahead of it.
        pod.wait_until(lambda: '"trace-42"' in pod.log(), seconds=20)
        (line,) = [line for line in pod.log().splitlines() if '"trace-42"' in line]
        assert '"key":"alice"' in line
        assert ALICE not in pod.log()

    def test_on_errors(self, pod: Container) -> None:
        reply = _send(pod, b"hello", X_Request_Id="trace-43")
        assert (reply.status, reply.headers["x-request-id"]) == (415, "trace-43")
        pod.wait_until(lambda: '"trace-43"' in pod.log(), seconds=20)


def test_metrics_are_counted_and_the_log_has_a_line_for_each_request(pod: Container) -> None:
    """TorchServe would say each sample once more in its log, a dozen lines for every batch."""
    counter = (
        r'gradcam_requests_total\{model_name="demo",api="predictions",method="none",outcome="ok",'
        r'Hostname="[^"]*",\} (\S+)'
    )

    def counted() -> float:
        found = re.search(counter, pod.metrics.send("GET", "/metrics").body.decode())
        return float(found[1]) if found else 0.0

    earlier = counted()
    assert _send(pod, cat_png(), "/predictions/demo", X_Request_Id="count-0").status == 200
    pod.wait_until(lambda: '"count-0"' in pod.log() and counted() == earlier + 1, seconds=20)
    before, said = counted(), len(pod.log())
    for number in range(1, 9):
        reply = _send(pod, cat_png(), "/predictions/demo", X_Request_Id=f"count-{number}")
        assert reply.status == 200
    mark = '"request_id":"count-'
    pod.wait_until(
        lambda: pod.log()[said:].count(mark) >= 8 and counted() >= before + 8, seconds=20
    )
    assert counted() == before + 8
    lines = pod.log()[said:].splitlines()
    assert len([line for line in lines if mark in line]) == 8
    assert [line for line in lines if mark not in line] == []


def test_health_needs_no_key_and_the_command_agrees(pod: Container) -> None:
    for check in ("ready", "live", "startup"):
        assert pod.health(check)[0] == 200
        done = subprocess.run(
            [sys.executable, "-m", "container.health", check],
            cwd=ROOT,
            env={**os.environ, **pod.told},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (0, f"{check}: yes\n")
    assert pod.door.send("POST", "/ready", b"").refused(405, "MethodNotAllowed")
    assert pod.door.send("GET", "/metrics").status == 404
    assert b"gradcam_ready 1\n" in pod.metrics.send("GET", "/metrics").body


def test_a_changed_file_of_keys(pod: Container, keys_file: Path) -> None:
    def accepted(secret: str) -> bool:
        return pod.door.send("POST", EXPLAIN, cat_png(), _key(secret)).status == 200

    assert accepted(ALICE)
    assert not accepted(BOB)
    # as Kubernetes does it: the path leads elsewhere from one moment to the next
    other = keys_file.with_name("other")
    other.write_text(f"bob:{BOB}\n", encoding="utf-8")
    keys_file.unlink()
    keys_file.symlink_to(other)
    pod.wait_until(lambda: accepted(BOB), seconds=20)
    pod.wait_until(lambda: not accepted(ALICE), seconds=5)

    other.write_text("bob without a key\n", encoding="utf-8")
    pod.wait_until(lambda: "the old ones stay good" in pod.log(), seconds=20)
    assert accepted(BOB)
    other.write_text(f"bob:{BOB}\nalice:{ALICE}\n", encoding="utf-8")
    pod.wait_until(lambda: accepted(ALICE), seconds=20)


def test_it_ends_when_java_does(pod: Container) -> None:
    """The last test of this container."""
    os.kill(pod.part("org.pytorch.serve.ModelServer"), signal.SIGKILL)
    assert pod.process.wait(60) == 1
    assert "TorchServe ended by itself" in pod.log()
    assert pod.processes() == {}


def test_a_key_is_made_where_there_is_none(tmp_path: Path) -> None:
    """Before anything is served: the key and the line to ask with are in the log."""
    (tmp_path / "demo.mar").write_bytes(b"no archive")
    with container(tmp_path) as pod:
        pod.wait_until(lambda: pod.health("live")[0] == 200)
        (secret,) = re.findall(r"curl -H 'Authorization: Bearer (\S+)' -T photo.jpg", pod.log())
        refused = pod.door.send("POST", EXPLAIN, b"x", _key(secret[:-1]))
        assert refused.status == 401
        assert pod.door.send("POST", EXPLAIN, b"x", _key(secret)).status in (404, 503)
        assert Asker(int(pod.told["GRADCAM_DOOR_PORT"])).send("POST", EXPLAIN, b"x").status == 401
