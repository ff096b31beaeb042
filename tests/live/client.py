"""A plain HTTP client for the live tests; answers have the shape that ``sending`` gives them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import requests

from sending import Answer

Headers = Mapping[str, str | bytes]
Part = tuple[str, tuple[str | None, bytes | str, str]]
"""A part of a form: its name, then file name, content and content type (empty for none)."""


@dataclass(frozen=True)
class Client:
    """Sends requests to one server."""

    base: str

    def put(self, path: str, picture: bytes, headers: Headers | None = None) -> Answer:
        """As ``curl -T`` does: the bytes, and no content type."""
        return self.send("PUT", path, picture, headers)

    def json(self, path: str, document: object, headers: Headers | None = None) -> Answer:
        body = json.dumps(document).encode()
        return self.send(
            "POST", path, body, {"Content-Type": "application/json", **(headers or {})}
        )

    def form(self, path: str, parts: Sequence[Part], headers: Headers | None = None) -> Answer:
        return self.send("POST", path, None, headers, parts)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Headers | None = None,
        parts: Sequence[Part] | None = None,
    ) -> Answer:
        with requests.Session() as session:
            session.trust_env = False
            reply = session.request(
                method,
                f"{self.base}/{path}",
                data=body,
                headers=dict(headers or {}),
                files=list(parts) if parts else None,
                timeout=120,
            )
        kind = reply.headers.get("Content-Type", "")
        return Answer(reply.status_code, reply.reason, kind, reply.content)
