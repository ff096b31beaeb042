"""What is to happen when, in the order of time."""

import heapq
import itertools
from collections.abc import Callable

Action = Callable[[float], None]


class Events:
    """Actions, each with its time; of the same time the one that was asked for first."""

    __slots__ = ("_heap", "_numbers", "next_time")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()
        self.next_time = float("inf")
        """Of the next action; infinite if there is none."""

    def at(self, time: float, action: Action) -> None:
        """Asks for an action, which is told the time."""
        heapq.heappush(self._heap, (time, next(self._numbers), action))
        self.next_time = self._heap[0][0]

    def run_until(self, time: float) -> None:
        """Runs what is due up to and including this time, and what that asks for in turn."""
        heap = self._heap
        while heap and heap[0][0] <= time:
            due, _, action = heapq.heappop(heap)
            self.next_time = heap[0][0] if heap else float("inf")
            action(due)
