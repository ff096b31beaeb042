"""The nginx configuration of the door, rendered from settings and keys; nothing is run here.

Where nginx has no word for what is wanted, the template goes these ways:

- *Two kinds of 413.* ``proxy_intercept_errors`` cannot tell the handler's 413, whose sentence the
  client needs, from nginx's own. So the body is read in one location, where nginx's refusals are
  answered in JSON, and sent on from another (``@torchserve``), where only TorchServe's faults are.
  Reading is what ``mirror`` does before it copies a request (to a location that does nothing);
  handing on is an ``error_page`` for the 405 with which ``empty_gif`` meets any POST and PUT.
- *Connections that end while draining.* ``keepalive_timeout`` cannot depend on anything, but a
  location can be chosen by whether a file is there: see ``@draining``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from container.keys import Key
from container.refusals import (
    DRAINING,
    READ,
    own_error_pages,
    refusal_locations,
    served_error_pages,
)
from container.settings import MODEL_NAME, Settings

ANONYMOUS = "anonymous"
"""The name of everybody where keys are off."""

SLOWEST = 150
"""Seconds that the door waits for TorchServe's answer."""

FORM = "multipart/x-form-data"
"""The type that forms get here: what the handler calls an unread one."""

_LARGE_AT_ONCE = 32  # of one to four MB
_HUGE_AT_ONCE = 8  # of at most 16 MiB: with a hundred smaller ones that wait, 360 MB in all
_SHUTDOWN = SLOWEST + 60  # and for a body that comes slowly

_TEMPLATE = Path(__file__).with_name("nginx.conf.template")
_PLACE = re.compile(r"%([a-z_]+)%")


@dataclass(frozen=True)
class Machine:
    """What the configuration must know of where it runs.

    Attributes:
        ipv6: Whether to listen on IPv6 too.
        user: The user to stay, where nginx is started as root and would become another.
        access_log: A file for the access log.
    """

    ipv6: bool = False
    user: str = ""
    access_log: str = "/dev/stdout"


def draining_flag(run_dir: Path) -> Path:
    """The file that makes answers end their connections."""
    return run_dir / "draining"


def status_socket(run_dir: Path) -> Path:
    """Where nginx tells its own numbers."""
    return run_dir / "status.sock"


def render(settings: Settings, keys: Sequence[Key] | None, machine: Machine) -> str:
    """The text of ``nginx.conf``.

    Args:
        settings: What the container is told.
        keys: What opens the door; ``None`` for everybody.
        machine: Where it runs.
    """
    request = "$gradcam_request"
    told = {"max_body": f"{settings.max_body:,}", "rate": str(settings.rate), "request": request}
    own: Mapping[int, str] = {DRAINING: "@draining", READ: "@torchserve"}
    values: Mapping[str, str | list[str]] = {
        "user": f"user {machine.user};" if machine.user else "",
        "run": str(settings.run_dir),
        "slowest": str(SLOWEST),
        # of a change of keys too, so never less; when all ends, the entry point keeps its own limit
        "shutdown": f"{max(_SHUTDOWN, round(settings.drain_limit))}",
        "max_body": str(settings.max_body),
        "keys": _keys(keys),
        "name": MODEL_NAME,
        "access_log": machine.access_log,
        "rate_zone": _rate_zone(settings.rate),
        "upstreams": [f"server {upstream} max_fails=0;" for upstream in settings.upstreams],
        "listen": _listen(settings.listen, settings.door_port, machine),
        "listen_metrics": _listen(settings.listen, settings.metrics_port, machine),
        "own_errors": own_error_pages({}),
        "inference_errors": own_error_pages(own),
        "health_errors": own_error_pages(dict.fromkeys((502, 504), "@no_health")),
        "served_errors": served_error_pages(),
        "form": FORM,
        "refusals": refusal_locations(told, {"X-Request-Id": request}),
        "read_body": [
            *_limit(settings.rate),
            f"limit_conn gradcam_large {_LARGE_AT_ONCE};",
            f"limit_conn gradcam_huge {_HUGE_AT_ONCE};",
            *("mirror /.read;", "empty_gif;"),
        ],
        "agent_port": str(settings.agent_port),
    }
    return "".join(_fill(line, values) for line in _TEMPLATE.read_text("utf-8").splitlines(True))


def _fill(line: str, values: Mapping[str, str | list[str]]) -> str:
    """A line of the template; where a place is all of it, it may become several or none."""
    whole = _PLACE.fullmatch(line.strip())
    if whole is None:
        return _PLACE.sub(lambda match: str(values[match[1]]), line)
    value = values[whole[1]]
    indent = line[: len(line) - len(line.lstrip())]
    lines = [value] if isinstance(value, str) else value
    return "".join(f"{indent}{one}\n" for one in lines if one)


def _keys(keys: Sequence[Key] | None) -> list[str]:
    if keys is None:
        return [f"default {ANONYMOUS};"]
    return ['default "";'] + [
        rf'"~^(?i:bearer) +{re.escape(key.secret)}\z" "{key.name}";' for key in keys
    ]


def _rate_zone(rate: int) -> list[str]:
    if not rate:
        return []
    return [
        "limit_req_status 429;",
        f"limit_req_zone $gradcam_key zone=gradcam_rate:1m rate={rate}r/s;",
    ]


def _limit(rate: int) -> list[str]:
    """One second's worth may come at once; what is beyond is refused rather than delayed."""
    return [f"limit_req zone=gradcam_rate burst={rate} nodelay;"] if rate else []


def _listen(address: str, port: int, machine: Machine) -> list[str]:
    if address:
        return [f"listen {address}:{port};"]
    lines = [f"listen {port};"]
    return [*lines, f"listen [::]:{port};"] if machine.ipv6 else lines
