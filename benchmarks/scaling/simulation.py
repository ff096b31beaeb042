"""Requests on their way through replicas, event by event."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.balancing import BALANCING, Choose
from scaling.events import Events
from scaling.pod import Journal, Pod
from scaling.replica import Replica

Floats = NDArray[np.float64]

_DRAWN = 4096  # at once


@dataclass(frozen=True)
class Served:
    """What became of the requests, in their order; NaN where one was refused.

    Attributes:
        arrived: Seconds, ``[N]``.
        waits: Seconds until the batch began, ``[N]``.
        latencies: Seconds until the answer, ``[N]``.
    """

    arrived: Floats
    waits: Floats
    latencies: Floats

    @property
    def refused(self) -> int:
        """How many found a full queue, or no replica."""
        return int(np.isnan(self.latencies).sum())

    def between(self, start: float, end: float) -> "Served":
        """Those that arrived from ``start`` to ``end``."""
        kept = (self.arrived >= start) & (self.arrived < end)
        return Served(self.arrived[kept], self.waits[kept], self.latencies[kept])

    def quantile(self, share: float) -> float:
        """The latency that this share of the answered stays within; NaN if of nothing."""
        answered = self.latencies[~np.isnan(self.latencies)]
        return float(np.quantile(answered, share)) if len(answered) else float("nan")


class Simulation:
    """Replicas, and the requests that arrive at them.

    Attributes:
        events: Whoever changes replicas while requests arrive asks for it here.
        pods: Those that get requests, in any order; may be changed between events.
    """

    def __init__(
        self, replica: Replica, arrivals: Floats, balancing: str, spread: float, seed: int
    ) -> None:
        """Nobody serves yet.

        Args:
            replica: What every replica can do.
            arrivals: Times in ascending order, ``[N]``.
            balancing: A name of ``BALANCING``.
            spread: The standard deviation of a batch's time over its mean, from 0 up.
            seed: Of balancing and batch times.
        """
        generator = np.random.default_rng(seed)
        self.events = Events()
        self.pods: list[Pod] = []
        self._replica = replica
        self._arrivals = arrivals
        self._journal = Journal.of(arrivals.tolist())
        self._choose: Choose = BALANCING[balancing](generator)
        self._stretch = _stretches(spread, generator)

    def new_pod(self) -> Pod:
        """A replica, which gets no requests before it is among :attr:`pods`."""
        return Pod(self._replica, self._journal, self.events, self._stretch)

    def run(self, progress: Callable[[int], None] | None = None) -> Served:
        """Lets all requests arrive, and waits for the last answer.

        Args:
            progress: Told now and then how many have arrived.
        """
        events, choose, pods = self.events, self._choose, self.pods
        for number, now in enumerate(self._journal.arrived):
            if events.next_time <= now:
                events.run_until(now)
            if pods:
                choose(pods).take(number, now)
            if progress is not None and not number % 100_000:
                progress(number)
        events.run_until(float("inf"))
        return Served(
            self._arrivals,
            np.array(self._journal.begun) - self._arrivals,
            np.array(self._journal.answered) - self._arrivals,
        )


def serve(
    replica: Replica,
    arrivals: Floats,
    *,
    replicas: int = 1,
    balancing: str = "random",
    spread: float = 0.0,
    seed: int = 0,
) -> tuple[Served, Sequence[Pod]]:
    """Simulates a number of replicas that does not change.

    Args:
        replica: What each can do.
        arrivals: Times in ascending order, ``[N]``.
        replicas: How many, 1 or more.
        balancing: A name of ``BALANCING``.
        spread: The standard deviation of a batch's time over its mean.
        seed: Of balancing and batch times.

    Returns:
        What became of the requests, and the replicas with their counters.
    """
    simulation = Simulation(replica, arrivals, balancing, spread, seed)
    simulation.pods.extend(simulation.new_pod() for _ in range(replicas))
    return simulation.run(), simulation.pods


def _stretches(spread: float, generator: np.random.Generator) -> Callable[[], float]:
    """Gamma-distributed with mean 1; a spread of 1 makes the times exponential."""
    if spread == 0:
        return lambda: 1.0
    shape = 1 / spread**2
    drawn: list[float] = []

    def stretch() -> float:
        if not drawn:
            drawn.extend(generator.gamma(shape, 1 / shape, _DRAWN).tolist())
        return drawn.pop()

    return stretch
