"""What a load found, and whether it lost a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Account:
    """Of one load, as ``inside/load.py`` tells it.

    Attributes:
        sent: Requests in all.
        kept: Those over kept connections.
        statuses: How many by status; 0 stands for no answer.
        lost: A line for each of the first that were not answered with 200.
        renewed: Kept connections that the server had closed between two requests.
        median: Latency of the answered in seconds; ``None`` where none was.
        slowest: The same.
        seconds: From the first request to the last answer.
    """

    sent: int
    kept: int
    statuses: Mapping[int, int]
    lost: Sequence[str]
    renewed: int
    median: float | None
    slowest: float | None
    seconds: float

    @property
    def answered(self) -> int:
        """With 200."""
        return self.statuses.get(200, 0)

    @property
    def not_answered(self) -> int:
        """With anything else, or not at all."""
        return self.sent - self.answered


def read_account(document: Mapping[str, Any]) -> Account:
    """Reads what the program in the pod printed."""
    return Account(
        sent=document["sent"],
        kept=document["kept"],
        statuses={int(status): count for status, count in document["statuses"].items()},
        lost=[_line(one) for one in document["lost"]],
        renewed=document["renewed"],
        median=document["median"],
        slowest=document["slowest"],
        seconds=document["seconds"],
    )


def wrong_with(account: Account, least: int) -> list[str]:
    """Why a load did not go as it should: requests were lost, or too few were sent to tell."""
    wrong = []
    if account.not_answered:
        counts = ", ".join(
            f"{count} {'without an answer' if status == 0 else f'with {status}'}"
            for status, count in sorted(account.statuses.items())
            if status != 200
        )
        wrong.append(f"{account.not_answered} of {account.sent} requests were lost ({counts})")
        wrong += account.lost[:3]
    if account.sent < least:
        wrong.append(f"only {account.sent} requests were sent, which tells too little")
    return wrong


def told(account: Account) -> str:
    """A clause about a load."""
    text = (
        f"{account.answered} of {account.sent} explanations in {account.seconds:.0f} s answered, "
        f"{account.kept} over kept connections ({account.renewed} renewed)"
    )
    if account.median is not None and account.slowest is not None:
        text += f", median {account.median:.2f} s, slowest {account.slowest:.2f} s"
    return text


def _line(one: Mapping[str, Any]) -> str:
    connection = "kept" if one["kept"] else "new"
    what = one["error"] or "no body"
    return f"at {one['at']:.1f} s ({connection} connection): {one['status'] or 'no answer'}, {what}"
