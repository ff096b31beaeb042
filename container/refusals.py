"""The door's own refusals, in the handler's form: ``{"code", "type", "message"}``.

One table for the nginx configuration, its tests and docs/health.md. The handler's refusals (4xx)
are none of the door's business and pass through it as they are.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

DRAINING, NOT_POSTED, NOT_GOT, READ = 418, 419, 420, 405
"""nginx's own codes, never sent: where a location hands a request on to another."""


@dataclass(frozen=True)
class Refusal:
    """One answer of the door.

    Attributes:
        status: The HTTP status.
        kind: ``type`` in the answer.
        message: ``{max_body}`` and ``{rate}`` are filled in, ``{request}`` by nginx.
        raised: What nginx calls it where that differs from the status; empty for what only
            TorchServe finds.
        headers: Further headers.
        early: nginx finds it before there is a path, and can then not jump to a named location.
        served: TorchServe's own answers with these statuses are replaced by this one.
        place: Of its location, where the status alone is ambiguous.
    """

    status: int
    kind: str
    message: str
    raised: tuple[int, ...] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    early: bool = False
    served: tuple[int, ...] = ()
    place: str = ""

    @property
    def codes(self) -> tuple[int, ...]:
        """What nginx calls it."""
        return (self.status,) if self.raised is None else self.raised

    @property
    def location(self) -> str:
        """Where nginx goes to answer it."""
        place = self.place or str(self.status)
        return f"/.refused/{place}" if self.early else f"@refused_{place}"

    def body(self, values: Mapping[str, str]) -> str:
        """The JSON text."""
        message = self.message.format(**values)
        return json.dumps({"code": self.status, "type": self.kind, "message": message})


REFUSALS: Sequence[Refusal] = (
    Refusal(
        400,
        "MalformedRequest",
        "this is not an HTTP request that can be read; check its first line, its headers and the "
        "length of its body",
        early=True,
    ),
    Refusal(
        400,
        "MalformedRequest",
        "the body cannot be read as its content type says; check the character set in it",
        raised=(),
        served=(403,),
        place="400_body",
    ),
    Refusal(
        401,
        "Unauthorized",
        "a key is needed: send the header Authorization: Bearer <key>",
        headers={"WWW-Authenticate": "Bearer"},
    ),
    Refusal(
        404,
        "NotFound",
        "there is no such path; send a picture to /explanations/<model>, /predictions/<model>, "
        "/v1/models/<model>:explain or /v1/models/<model>:predict",
    ),
    Refusal(
        405,
        "MethodNotAllowed",
        "send a picture here, with POST or PUT",
        raised=(NOT_POSTED,),
        headers={"Allow": "POST, PUT"},
    ),
    Refusal(
        405,
        "MethodNotAllowed",
        "this can only be read, with GET",
        raised=(NOT_GOT, 405),
        headers={"Allow": "GET, HEAD"},
        place="405_get",
    ),
    Refusal(413, "TooLarge", "the body is larger than the {max_body} bytes that are taken here"),
    Refusal(
        414,
        "TooLarge",
        "the address is too long; options go into X-Explain-* headers or into the body",
        early=True,
    ),
    Refusal(
        415,
        "UnsupportedMediaType",
        "the body is declared as application/x-www-form-urlencoded, as curl does with -d and "
        "--data-binary; send a picture with curl -T, or say what it is with "
        "-H Content-Type:image/jpeg",
    ),
    Refusal(
        429,
        "TooManyRequests",
        "this key may send {rate} requests a second; wait a moment",
        headers={"Retry-After": "1"},
    ),
    Refusal(
        431,
        "TooLarge",
        "the headers are too long; options can go into a form or into JSON instead",
        raised=(494,),
        early=True,
    ),
    Refusal(
        500,
        "InternalError",
        "the server failed on this request, {request} in its access log; what TorchServe and the "
        "model logged at that time says why",
        # 507: a worker was killed, or memory ran out; the same request might kill the next one
        served=(500, 507),
    ),
    Refusal(
        501,
        "NotImplemented",
        "a body comes with a Content-Length or with Transfer-Encoding: chunked, nothing else",
    ),
    Refusal(
        503,
        "Unavailable",
        "the request cannot be taken now: the queue is full, too many large pictures come at once, "
        "or the model has no worker that is ready; try again in a moment",
        raised=(502, 503),
        headers={"Retry-After": "1"},
        served=(502, 503),
    ),
    Refusal(
        504,
        "TimedOut",
        "the model did not answer in time; the request is {request} in the access log",
        served=(504,),
    ),
    Refusal(505, "MalformedRequest", "this server speaks HTTP/1.1", early=True),
)


def own_error_pages(extra: Mapping[int, str]) -> list[str]:
    """The ``error_page`` lines for what nginx refuses itself.

    Args:
        extra: By a code, a location that goes before the table's, and whose status is kept.
    """
    lines = [
        _error_page(code, refusal)
        for refusal in REFUSALS
        for code in refusal.codes
        if code not in extra
    ]
    return [*lines, *(f"error_page {code} = {place};" for code, place in extra.items())]


def served_error_pages() -> list[str]:
    """The ``error_page`` lines for what TorchServe answers, and for when it does not."""
    return [_error_page(code, refusal) for refusal in REFUSALS for code in refusal.served]


def refusal_locations(values: Mapping[str, str], headers: Mapping[str, str]) -> list[str]:
    """The locations that answer.

    Args:
        values: For the messages.
        headers: That every answer has.
    """
    lines = []
    for refusal in REFUSALS:
        lines.append(f"location {'= ' if refusal.early else ''}{refusal.location} {{")
        lines += ["    internal;"] if refusal.early else []
        for name, value in {**headers, **refusal.headers}.items():
            lines.append(f'    add_header {name} "{value}" always;')
        lines += [f"    return {refusal.status} '{refusal.body(values)}';", "}"]
    return lines


def _error_page(code: int, refusal: Refusal) -> str:
    status = "" if code == refusal.status else f"={refusal.status} "
    return f"error_page {code} {status}{refusal.location};"
