"""What can go wrong between here and a cluster."""

import json


class ClusterError(Exception):
    """The API refused something or did not answer.

    Attributes:
        status: Of the answer; 0 where there was none.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class TooSlow(Exception):  # noqa: N818 - the check decides whether it is an error
    """Something did not come in time; the message says what, and what stood in its way."""


def sentence(handshake: str) -> str:
    """The server's own sentence, where the text of a failed handshake ends in its JSON."""
    document = handshake[max(handshake.rfind('{"kind"'), 0) :].strip().removeprefix("b'")
    try:
        return str(json.loads(document.removesuffix("'"))["message"])
    except (ValueError, KeyError, TypeError):
        return handshake
