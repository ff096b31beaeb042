"""What became of a run's requests: answered, refused by a replica, or failed.

A replica whose queue is full says so with 503, and then the door asks the next; when no other takes
it, the client gets 503 with ``Retry-After``. Such a request is refused. Whatever else is not
answered with a 2xx has failed: a 503 because no replica could be reached, a worker's death, a
connection that broke. A client cannot tell the two kinds of 503 apart, the door's access log can.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

REFUSED = 503


@dataclass(frozen=True)
class Half:
    """The requests that arrived before the kill, or after it.

    Attributes:
        name: What it is called in the table.
        replicas: How many there were to answer.
        latencies: Seconds, ``[N]``.
        statuses: ``[N]``; 0 where there was no answer.
        asked: By a request's place in these arrays, the statuses that the door got for it from one
            replica after the other, from its log: ``("502", "200")``.
    """

    name: str
    replicas: int
    latencies: NDArray[np.float64]
    statuses: NDArray[np.int64]
    asked: Mapping[int, tuple[str, ...]]

    @property
    def refused(self) -> int:
        """Requests that a living replica did not take, for its queue was full, and no other did."""
        return len([number for number in self._unanswered if self._is_refused(number)])

    @property
    def failed(self) -> int:
        """Requests with neither a 2xx nor a refusal."""
        return len(self._unanswered) - self.refused

    @property
    def repeated(self) -> int:
        """Requests that were answered after a first replica had lost or refused them."""
        answered = set(np.flatnonzero(self.statuses // 100 == 2).tolist())
        return len([number for number in answered if len(self.asked.get(number, ())) > 1])

    def failures(self) -> list[str]:
        """What failed, in words, the most frequent first."""
        found = Counter(
            (int(self.statuses[number]), self.asked.get(number, ()))
            for number in self._unanswered
            if not self._is_refused(number)
        )
        return [
            f"{count} × {status or 'no answer'} "
            f"({', then '.join(asked) + ' from replicas' if asked else 'not in the log'})"
            for (status, asked), count in found.most_common()
        ]

    def quantile(self, share: float) -> float:
        """The latency in seconds that this share of what was answered stays within, or NaN."""
        answered = self.latencies[self.statuses // 100 == 2]
        return float(np.quantile(answered, share)) if len(answered) else float("nan")

    @property
    def _unanswered(self) -> list[int]:
        numbers: list[int] = np.flatnonzero(self.statuses // 100 != 2).tolist()
        return numbers

    def _is_refused(self, number: int) -> bool:
        asked = self.asked.get(number, ())
        return bool(self.statuses[number] == REFUSED) and str(REFUSED) in asked


def read_asked(access_log: Path, ids: str) -> dict[int, tuple[str, ...]]:
    """The statuses that the door got from replicas, by the number of the request.

    Args:
        access_log: The door's, one JSON object a line.
        ids: What the requests' ids begin with; the number follows.
    """
    found = {}
    for text in access_log.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if line["request_id"].startswith(ids):
            number = int(line["request_id"].removeprefix(ids))
            found[number] = tuple(line["upstream_status"].replace(",", " ").split())
    return found


def halves(
    latencies: NDArray[np.float64],
    statuses: NDArray[np.int64],
    before: NDArray[np.bool_],
    asked: Mapping[int, tuple[str, ...]],
) -> tuple[Half, Half]:
    """Parts a run.

    Args:
        latencies: Of all requests in their order.
        statuses: Of all.
        before: Whether a request arrived before the kill.
        asked: Of all, by their number.
    """
    first, second = (
        Half(name, replicas, latencies[chosen], statuses[chosen], _among(chosen, asked))
        for name, replicas, chosen in (
            ("two replicas", 2, before),
            ("one was killed", 1, ~before),
        )
    )
    return first, second


def _among(
    chosen: NDArray[np.bool_], asked: Mapping[int, tuple[str, ...]]
) -> dict[int, tuple[str, ...]]:
    """Of the chosen requests only, by their place among these."""
    return {
        place: asked[int(number)]
        for place, number in enumerate(np.flatnonzero(chosen))
        if int(number) in asked
    }
