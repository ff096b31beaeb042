"""HTTP to the container's ports, for checks. Standard library only."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# a proxy that the environment names has no business with this machine's own ports
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Answer:
    """An answer, whatever its status; status 0 is no answer at all, and the body says why."""

    status: int
    content_type: str
    body: bytes

    def json(self) -> Any:
        """The body as JSON, or an empty object if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return {}


def ask(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = 60.0,
) -> Answer:
    """GETs, or with a body POSTs. ``timeout`` is in seconds."""
    request = urllib.request.Request(url, data=body, headers=dict(headers or {}))
    try:
        with _DIRECT.open(request, timeout=timeout) as answer:
            return Answer(answer.status, answer.headers.get_content_type(), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers.get_content_type(), error.read())
    except OSError as error:
        return Answer(0, "", str(error).encode())
