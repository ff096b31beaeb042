"""A queue that is served in batches: how large they are, and how often they come.

Requests arrive at random (Poisson) and are served first come, first served, up to ``B`` at once; a
batch of ``b`` blocks the server for ``blocking[b]`` seconds. Observed whenever a batch begins, the
batch's size and the number left behind form a Markov chain, whose stationary distribution is
solved for numerically: a bulk-service queue (N. T. J. Bailey, "On queueing processes with bulk
service", J. Royal Statistical Society B 16, 1954, 80-87; M. F. Neuts, "A general class of bulk
queues with Poisson input", Annals of Mathematical Statistics 38, 1967, 759-770), here with a time
that depends on the batch's size, with TorchServe's rule for gathering, and with a queue that
refuses. For a single worker it is exact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.gathering import mean_seconds, outcomes
from scaling.poisson import poisson_masses

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BulkQueue:
    """A queue and its server.

    Attributes:
        rate: Arrivals per second, above 0.
        blocking: For how long a batch of 1 to ``B`` requests blocks the next, in seconds, ``[B]``.
        delay: Seconds that an incomplete batch waits for more.
        queue_size: How many may wait, ``B`` at least; what comes then is refused.
        blocks: How likely a batch that leaves nobody behind blocks at all: 1 for a single worker.
            One that leaves somebody behind always does.
    """

    rate: float
    blocking: Floats
    delay: float
    queue_size: int
    blocks: float = 1.0

    @property
    def batch_size(self) -> int:
        """``B``."""
        return len(self.blocking)


@dataclass(frozen=True)
class Cycle:
    """What happens between the beginnings of two batches, on average.

    Attributes:
        seconds: From one to the next.
        alone: Share of the batches of 1 to ``B`` requests that leave nobody behind, ``[B]``.
        leaving: Share of the batches, all of ``B``, that leave 0 to ``Q`` - ``B`` requests behind,
            ``[Q - B + 1]``, the first of them 0 as those count as alone.
        idle: Share in which nobody waits when the server is free, so that it waits for a request.
        gathers: Share in which it then gathers, from 0 to ``B`` - 1 requests on (never from 0),
            ``[B]``; where it begins at once with a full batch is in none.
    """

    seconds: float
    alone: Floats
    leaving: Floats
    idle: float
    gathers: Floats

    @property
    def sizes(self) -> Floats:
        """Share of the batches with 1 to ``B`` requests, ``[B]``."""
        sizes = self.alone.copy()
        sizes[-1] += self.leaving.sum()
        return sizes

    @property
    def mean_size(self) -> float:
        """Requests of a batch."""
        return float(self.sizes @ np.arange(1, len(self.alone) + 1))


def solve(queue: BulkQueue) -> Cycle:
    """The stationary cycle."""
    size, rate = queue.batch_size, queue.rate
    waiting = _waiting_after(queue)
    starts = _stationary(queue, waiting)
    found = starts @ waiting
    gathers = np.zeros(size)
    gathers[1:] = found[1:size]
    if size > 1:
        gathers[1] += found[0]  # it waits for a first request, and then gathers from it
    alone, leaving = starts[:size], starts[size - 1 :].copy()
    leaving[0] = 0
    blocked = queue.blocks * float(alone @ queue.blocking) + leaving.sum() * queue.blocking[-1]
    gathering = sum(
        share * mean_seconds(members, size, rate, queue.delay)
        for members, share in enumerate(gathers)
        if members
    )
    idle = float(found[0])
    return Cycle(float(blocked + gathering + idle / rate), alone, leaving, idle, gathers)


# The states of the chain: batches of 1 to B - 1 with nobody left, then of B with 0 to Q - B left.


def _waiting_after(queue: BulkQueue) -> Floats:
    """How many wait when the server is free after the batch of each state, ``[states, 0 to Q]``."""
    size, count = queue.batch_size, queue.queue_size + 1
    states = queue.queue_size
    waiting = np.zeros((states, count))
    for state in range(states):
        left = max(state - (size - 1), 0)
        masses = poisson_masses(queue.rate * queue.blocking[min(state, size - 1)], count)
        waiting[state, left:] = masses[: count - left]
        waiting[state, -1] += 1 - waiting[state].sum()
        if not left:
            waiting[state] *= queue.blocks
            waiting[state, 0] += 1 - queue.blocks
    return waiting


def _stationary(queue: BulkQueue, waiting: Floats) -> Floats:
    """The share of batches that begin in each state."""
    size, states = queue.batch_size, queue.queue_size
    onward = np.zeros((states, states))
    for found in range(size):
        for way in outcomes(max(found, 1), size, queue.rate, queue.delay):
            onward[:, way.size - 1] += waiting[:, found] * way.probability
    onward[:, size - 1 :] += waiting[:, size:]
    balance = onward.T - np.eye(states)
    balance[-1] = 1  # one of the equations follows from the others; the shares add up to 1
    shares: Floats = np.maximum(np.linalg.solve(balance, np.eye(states)[-1]), 0)
    shares /= shares.sum()
    return shares
