"""What becomes of a batch that waits for more requests."""

from functools import lru_cache
from typing import NamedTuple

from scaling.poisson import erlang_below, poisson_masses

_FILLING_INSTANTS = 4
"""Moments at which a batch that fills up is taken to fill up."""


class Outcome(NamedTuple):
    """One way in which it can end.

    Attributes:
        probability: Of it.
        seconds: Until the batch begins.
        size: Of the batch then.
    """

    probability: float
    seconds: float
    size: int


@lru_cache(maxsize=4096)
def outcomes(members: int, batch_size: int, rate: float, time: float) -> tuple[Outcome, ...]:
    """All ways in which gathering can end: time is up, or the batch is full before.

    Args:
        members: Requests that the batch has already, 1 or more.
        batch_size: How many fill it.
        rate: Requests per second that arrive at random.
        time: Seconds for which it may still wait.
    """
    missing = batch_size - members
    if missing <= 0:
        return (Outcome(1.0, 0.0, batch_size),)
    masses = poisson_masses(rate * time, missing)
    ways = [Outcome(float(mass), time, members + more) for more, mass in enumerate(masses)]
    filled = 1 - float(masses.sum())
    if filled > 1e-12:
        moments = erlang_below(missing, rate, time, _FILLING_INSTANTS)
        share = filled / len(moments)
        ways += [Outcome(share, float(moment), batch_size) for moment in moments]
    return tuple(ways)


def mean_seconds(members: int, batch_size: int, rate: float, time: float) -> float:
    """For how long a batch waits on average; arguments as of :func:`outcomes`."""
    return sum(way.probability * way.seconds for way in outcomes(members, batch_size, rate, time))
