"""Replicas that start, serve, drain and end."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from scaling.pod import Pod
from scaling.simulation import Simulation


@dataclass(frozen=True)
class Lifetimes:
    """How long what takes, in seconds.

    Attributes:
        start: From the decision for a replica to its first request: to schedule it, pull the image
            where it is not there, load the model, warm it up and answer the canary.
        drain: For which an ending replica stays at least (``GRADCAM_DRAIN_SECONDS``); after that it
            stays until what it has is answered.
    """

    start: float = 30.0
    drain: float = 10.0


class Cluster:
    """The replicas of a simulation.

    Attributes:
        ready: Those that get requests.
        history: Time, replicas wanted, and replicas ready, after each change.
    """

    def __init__(
        self, simulation: Simulation, lifetimes: Lifetimes, gone: Callable[[Pod], None]
    ) -> None:
        """No replica yet.

        Args:
            simulation: Where requests arrive.
            lifetimes: Of replicas.
            gone: Told of every replica that gets no more requests.
        """
        self.ready = simulation.pods
        self.history: list[tuple[float, int, int]] = []
        self._simulation, self._lifetimes, self._gone = simulation, lifetimes, gone
        self._starting: list[Pod] = []
        self._since: dict[Pod, float] = {}
        self._paid = 0.0

    @property
    def current(self) -> int:
        """Replicas that are ready or starting, as the autoscaler counts them."""
        return len(self.ready) + len(self._starting)

    def start_at_once(self, count: int) -> None:
        """Has so many replicas ready at the time 0."""
        for _ in range(count):
            pod = self._simulation.new_pod()
            self._since[pod] = 0.0
            self.ready.append(pod)
        self._note(0.0)

    def scale_to(self, now: float, wanted: int) -> None:
        """Starts or ends replicas; of those to end first the starting, then the newest."""
        for _ in range(wanted - self.current):
            pod = self._simulation.new_pod()
            self._starting.append(pod)
            self._since[pod] = now
            self._simulation.events.at(now + self._lifetimes.start, partial(self._started, pod))
        while self.current > wanted:
            if self._starting:
                self._end(now, self._starting.pop())
            else:
                self._drain(now, self.ready.pop())
        self._note(now)

    def pod_seconds(self, now: float) -> float:
        """What is paid for: each replica from the decision for it until it has ended."""
        return self._paid + sum(now - since for since in self._since.values())

    def _started(self, pod: Pod, now: float) -> None:
        if pod in self._starting:  # otherwise it was given up before
            self._starting.remove(pod)
            self.ready.append(pod)
            self._note(now)

    def _drain(self, now: float, pod: Pod) -> None:
        self._gone(pod)
        self._simulation.events.at(now + self._lifetimes.drain, partial(self._empty, pod))

    def _empty(self, pod: Pod, now: float) -> None:
        if pod.idle:
            self._end(now, pod)
        else:
            self._simulation.events.at(now + 1, partial(self._empty, pod))

    def _end(self, now: float, pod: Pod) -> None:
        self._paid += now - self._since.pop(pod)

    def _note(self, now: float) -> None:
        self.history.append((now, self.current, len(self.ready)))
