"""A day of requests: a quiet night, a busy afternoon, and a burst."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOUR = 3600.0


@dataclass(frozen=True)
class Day:
    """When how many requests arrive.

    Attributes:
        peak: Requests per second at the busiest moment.
        fold: How many times the quietest moment's rate that is.
        peak_at: Hour of it, 0 to 24; the quietest is twelve hours away.
        burst: Requests per second that come on top, all at once.
        burst_at: Hour at which they begin.
        burst_minutes: For how long they come.
        hours: Where the day ends.
    """

    peak: float = 120.0
    fold: float = 10.0
    peak_at: float = 15.0
    burst: float = 80.0
    burst_at: float = 6.0
    burst_minutes: float = 10.0
    hours: float = 24.0

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.hours * HOUR

    def rate(self, time: float) -> float:
        """Requests per second at a moment, in seconds from midnight."""
        hour = time / HOUR
        # squared, so that the night is longer than the peak
        height = ((1 + math.cos(2 * math.pi * (hour - self.peak_at) / 24)) / 2) ** 2
        quiet = self.peak / self.fold
        rate = quiet + (self.peak - quiet) * height
        within = self.burst_at <= hour < self.burst_at + self.burst_minutes / 60
        return rate + self.burst * within

    def arrivals(self, seed: int) -> Floats:
        """Random times (a Poisson process) whose rate is as said in every minute, ``[N]``."""
        generator = np.random.default_rng(seed)
        minutes = np.arange(math.ceil(self.seconds / 60))
        means = np.array([60 * self.rate(60 * minute + 30) for minute in minutes.tolist()])
        counts = generator.poisson(means)
        times = np.repeat(60.0 * minutes, counts) + generator.uniform(0, 60, int(counts.sum()))
        return np.sort(times[times < self.seconds])
