"""What an image must show when it runs, each with what was seen."""

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image.asking_door import Answer, ask
from image.containers import DOOR_PORT, METRICS_PORT, WRITABLE, Container

GRACE = 180.0
"""Seconds that the image has between SIGTERM and its end, as the manifests give it."""

_USER = ["10001", "0", "0|0|0", "1"]
# 127.0.0.1; the same as Java binds it, mapped into IPv6; ::1
_LOOPBACK = (
    "0100007F:",
    "0000000000000000FFFF00000100007F:",
    "00000000000000000000000001000000:",
)
# each of 400 copies is a forward and a backward pass; even so one takes a core half a second or so
_SLOW = {"X-Explain-Smooth": "400"}
_MANY = 8
_ANSWERED = {200, 413}  # where others need the processors, the handler refuses what takes too long


@dataclass(frozen=True)
class Row:
    """One check: what it is about, whether it held, and what was seen."""

    name: str
    held: bool
    seen: str


Asking = Callable[..., Answer]


def with_key(container: Container, key: str, timeout: float = 60.0) -> Asking:
    """Asks the door with a key: ``asking(path, headers, body)``; ``timeout`` is in seconds."""
    door = container.url(DOOR_PORT)

    def asking(
        path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        return ask(
            f"{door}{path}",
            headers={"Authorization": f"Bearer {key}", **(headers or {})},
            body=body,
            timeout=timeout,
        )

    return asking


def wait_ready(container: Container, within: float, asked: float) -> Row:
    """Asks ``/ready`` until it says yes.

    Args:
        container: One that has been started.
        within: Seconds from now that it may take.
        asked: When its engine was asked to start it, by :func:`time.monotonic`.
    """
    begun = time.monotonic()
    door = container.url(DOOR_PORT)
    answer = Answer(0, "", b"never asked")
    while container.running() and time.monotonic() - begun < within:
        answer = ask(f"{door}/ready", timeout=10)
        if answer.status == 200:
            passed = time.monotonic() - asked
            return Row("ready", True, f"{passed:.1f} s after the engine was asked to start it")
        time.sleep(0.2)
    return Row("ready", False, f"{answer.status} {_short(answer.body)} {container.logs()[-1500:]}")


def at_the_door(container: Container, key: str, photo: bytes) -> Iterator[Row]:
    """Keys, predictions, explanations, the health command, metrics."""
    asking = with_key(container, key)
    answer = ask(f"{container.url(DOOR_PORT)}/explanations/demo", body=photo, headers=_JPEG)
    yield Row("refused without a key", answer.status == 401, _told(answer))
    answer = asking("/predictions/demo", _JPEG, photo)
    yield Row("prediction", answer.status == 200 and len(answer.json()) == 5, _told(answer))
    answer = asking("/explanations/demo", {**_JPEG, "X-Explain-Target": "top2"}, photo)
    maps = answer.json().get("explanations", [])
    told = ", ".join(f"{one['label']} {one['probability']:.3f}" for one in maps)
    yield Row("explanation", answer.status == 200 and len(maps) == 2, f"{answer.status}: {told}")
    answer = asking("/explanations/demo", {**_JPEG, "Accept": "image/png"}, photo)
    drawn = answer.body.startswith(b"\x89PNG\r\n")
    yield Row("overlay", drawn, f"{answer.status} {answer.content_type}, {len(answer.body)} bytes")
    document = {"instances": [{"b64": base64.b64encode(photo).decode()}]}
    answer = asking(
        "/v1/models/demo:explain",
        {"Content-Type": "application/json"},
        json.dumps(document).encode(),
    )
    yield Row("KServe's v1", len(answer.json().get("explanations", [])) == 1, f"{answer.status}")
    answer = asking("/models")
    yield Row("nothing else at the door", answer.status == 404, _told(answer))
    done = container.run(["python", "-m", "container.health", "ready"])
    yield Row(
        "health command",
        done.returncode == 0,
        f"exit status {done.returncode} {done.stdout.strip()}",
    )
    answer = ask(f"{container.url(METRICS_PORT)}/metrics")
    names = {line.split("{")[0].split(" ")[0] for line in answer.body.decode().splitlines()}
    wanted = {"ts_inference_requests_total", "gradcam_ready"}
    yield Row("metrics", wanted <= names, f"{answer.status}, {len(names)} names")


def with_its_own_key(container: Container, photo: bytes) -> Row:
    """A container without a file of keys: the key that its log names opens, as in a first try."""
    found = re.search(r"Authorization: Bearer ([^']+)'", container.logs())
    answer = with_key(container, found[1] if found else "none")("/explanations/demo", _JPEG, photo)
    return Row(
        "without keys, the one that its log names opens", answer.status == 200, _told(answer)
    )


def confined(look: dict[str, Any]) -> Iterator[Row]:
    """User, capabilities, read-only root, ports; from :mod:`image.inside`."""
    odd = {name: told for name, told in look["processes"].items() if told != _USER}
    yield Row(
        "all run as 10001:0, no capabilities, no new privileges",
        not odd,
        f"{len(look['processes'])} processes" if not odd else str(odd),
    )
    open_ones = [place for place, why in look["unwritable"].items() if not why]
    yield Row("root is read-only", not open_ones, _counted(look["unwritable"].values(), open_ones))
    shut = {place: why for place, why in look["writable"].items() if why}
    yield Row(
        "its own folders can be written to",
        not shut,
        ", ".join(look["writable"]) if not shut else str(shut),
    )
    more = [point for point in look["mounts"] if point not in WRITABLE]
    told = ", ".join(f"{place} {held / 1e6:.1f} MB" for place, held in look["used"].items())
    yield Row(
        "nothing else is mounted to be written to",
        not more,
        f"in use: {told}" if not more else ", ".join(more),
    )
    outside = {one.rpartition(":")[2] for one in look["listeners"] if not one.startswith(_LOOPBACK)}
    yield Row(
        "only the door and metrics listen beyond loopback",
        outside == {str(DOOR_PORT), str(METRICS_PORT)},
        f"outside {', '.join(sorted(outside))}; {len(look['listeners'])} sockets in all",
    )


def bare(look: dict[str, Any], labels: dict[str, str], container: Container) -> Iterator[Row]:
    """No installers, compilers, or files that change the user; readable by group 0; described."""
    yield Row("no compiler", not look["compilers"], _none_or(look["compilers"]))
    yield Row(
        "nothing that installs packages", not look["installers"], _none_or(look["installers"])
    )
    done = container.run(["java", "--list-modules"])
    modules = [line.partition("@")[0] for line in done.stdout.splitlines()]
    yield Row(
        "Java is reduced to a runtime",
        "java.base" in modules and not {"jdk.compiler", "jdk.jlink", "jdk.jshell"} & set(modules),
        f"{len(modules)} modules",
    )
    yield Row("no setuid or setgid file", not look["setuid"], _none_or(look["setuid"]))
    yield Row(
        "ours is readable by group 0", not look["unreadable"], _none_or(look["unreadable"][:5])
    )
    wanted = [
        f"org.opencontainers.image.{name}" for name in ("title", "version", "revision", "source")
    ]
    missing = [name for name in wanted if not labels.get(name)]
    revision = labels.get("org.opencontainers.image.revision", "")
    yield Row("OCI labels", not missing, f"revision {revision}" if not missing else f"no {missing}")
    done = container.run(["cat", "/usr/share/sbom/gradcam.cdx.json"])
    parts = json.loads(done.stdout)["components"] if done.returncode == 0 else []
    kinds = {part["purl"].split(":")[1].split("/")[0] for part in parts if "purl" in part}
    yield Row(
        "bill of materials",
        {"pypi", "deb", "maven"} <= kinds,
        f"{len(parts)} components: {', '.join(sorted(kinds))}",
    )


def stopping(container: Container, key: str, photo: bytes) -> Iterator[Row]:
    """SIGTERM while requests are being answered, or wait for it."""
    asking = with_key(container, key, GRACE)  # with no less patience than the container has time
    answers: list[Answer] = []
    slow = [
        threading.Thread(
            target=lambda: answers.append(asking("/explanations/demo", {**_JPEG, **_SLOW}, photo))
        )
        for _ in range(_MANY)
    ]
    for one in slow:
        one.start()
    time.sleep(1.0)
    under_way = _MANY - len(answers)
    container.terminate()
    time.sleep(1.0)
    turned = ask(f"{container.url(DOOR_PORT)}/ready", timeout=5).status
    yield Row("not ready while it drains", turned == 503, f"/ready {turned} a second after SIGTERM")
    ended = container.wait(GRACE)
    for one in slow:
        one.join()
    statuses = sorted(answer.status for answer in answers)
    yield Row(
        "what is under way is answered",
        under_way > 0 and len(answers) == _MANY and {200} <= set(statuses) <= _ANSWERED,
        f"{under_way} of {_MANY} requests were unanswered at SIGTERM; statuses of all: "
        + ", ".join(f"{statuses.count(one)} x {one}" for one in sorted(set(statuses))),
    )
    yield Row(
        "stops within its grace",
        ended.code == 0 and ended.seconds < GRACE,
        f"{ended.seconds:.1f} s of {GRACE:.0f}, exit status {ended.code}",
    )


def look_inside(container: Container) -> dict[str, Any]:
    """What :mod:`image.inside` sees there.

    Raises:
        ValueError: It did not run.
    """
    code = (Path(__file__).parent / "inside.py").read_text(encoding="utf-8")
    done = container.run(["python", "-c", code])
    if done.returncode:
        raise ValueError(f"the container could not be looked into: {done.stderr}")
    return dict(json.loads(done.stdout))


_JPEG = {"Content-Type": "image/jpeg"}


def _told(answer: Answer) -> str:
    return f"{answer.status} {_short(answer.body)}"


def _short(body: bytes) -> str:
    text = " ".join(body.decode("utf-8", "replace").split())
    return text if len(text) <= 90 else f"{text[:87]}..."


def _none_or(found: Sequence[str]) -> str:
    return ", ".join(found) or "none"


def _counted(whys: Any, open_ones: Sequence[str]) -> str:
    return (
        f"can be written to: {', '.join(open_ones)}" if open_ones else ", ".join(sorted(set(whys)))
    )
