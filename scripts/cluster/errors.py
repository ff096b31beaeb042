"""What can go wrong between here and a cluster."""


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
