"""Probabilities of random arrivals, without SciPy."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TIMES = 101  # of the grid on which a distribution is inverted


def poisson_masses(mean: float, count: int) -> Floats:
    """How likely 0, 1, ... ``count`` - 1 arrivals are, ``[count]``.

    Args:
        mean: Arrivals expected, from 0 up.
        count: How many numbers of arrivals to give.
    """
    if mean == 0:
        none: Floats = np.eye(1, count)[0]
        return none
    numbers = np.arange(count)
    # by logarithms, as exp(-mean) underflows where many arrivals are expected
    steps = np.concatenate([[0.0], np.log(np.arange(1, count))])
    masses: Floats = np.exp(numbers * math.log(mean) - mean - np.cumsum(steps))
    return masses


def erlang_below(count: int, rate: float, limit: float, points: int) -> Floats:
    """When the ``count``-th arrival comes, given that it comes before ``limit``: its quantiles.

    Args:
        count: Which arrival, 1 or more.
        rate: Arrivals per second.
        limit: Seconds, above 0.
        points: How many quantiles, at the middles of equal shares.

    Returns:
        Seconds in ascending order, ``[points]``.
    """
    times = np.linspace(0, limit, _TIMES)
    means = rate * times
    # 1, m, m²/2!, m³/3! ...: their sum times exp(-m) is the probability of fewer arrivals
    terms = np.cumprod(means / np.arange(1, count)[:, np.newaxis], axis=0).sum(axis=0) + 1
    reached = 1 - np.exp(-means) * terms
    shares = (np.arange(points) + 0.5) / points * reached[-1]
    quantiles: Floats = np.interp(shares, reached, times)
    return quantiles


def erlang_c(servers: int, load: float) -> float:
    """The share of requests that find all servers busy, if arrivals and services are random.

    A. K. Erlang's formula of 1917, by the recursion over servers that cannot overflow.

    Args:
        servers: 1 or more.
        load: Mean number of busy servers, from 0 to ``servers``.
    """
    if load >= servers:
        return 1.0
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return servers * blocked / (servers - load * (1 - blocked))
