"""What Prometheus knows of the pods: samples of their counters, and its ``rate``."""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple


class Sample(NamedTuple):
    """What one scrape of a pod gave.

    Attributes:
        time: Of the scrape, in seconds.
        latency: ``ts_inference_latency_microseconds``, in seconds.
        queue: ``ts_queue_latency_microseconds``, in seconds.
        requests: ``ts_inference_requests_total``.
        working: Seconds for which workers have worked on batches: the sum of the handler's
            histograms of seconds.
        pending: ``gradcam_pending_requests``, a gauge.
    """

    time: float
    latency: float
    queue: float
    requests: float
    working: float
    pending: float


@dataclass
class Prometheus:
    """Samples of the last ``window`` seconds, of pods that are gone too, as ``rate`` counts them.

    Attributes:
        window: Of ``rate(...[window])``.
    """

    window: float
    _series: dict[Hashable, deque[Sample]] = field(default_factory=dict)
    _gone: set[Hashable] = field(default_factory=set)

    def scraped(self, pod: Hashable, sample: Sample) -> None:
        """Takes a sample."""
        self._series.setdefault(pod, deque()).append(sample)

    def gone(self, pod: Hashable) -> None:
        """The pod is no target any more: its gauges are stale, its counters still in the window."""
        self._gone.add(pod)

    def summed_rates(self, now: float) -> Sample | None:
        """Rates of all counters, and the last gauge, summed over pods; None without any rate."""
        self._forget(now)
        rates = [
            rated
            for samples in self._series.values()
            if (rated := _rates(samples, now, self.window)) is not None
        ]
        if not rates:
            return None
        pending = sum(last.pending for last in self._last())
        latency, queue, requests, working = (sum(column) for column in zip(*rates, strict=True))
        return Sample(now, latency, queue, requests, working, pending)

    def summed_last(self) -> Sample | None:
        """The counters themselves, summed over the pods that are there."""
        last = self._last()
        if not last:
            return None
        return Sample(*(sum(column) for column in zip(*last, strict=True)))

    def _last(self) -> list[Sample]:
        return [
            samples[-1]
            for pod, samples in self._series.items()
            if samples and pod not in self._gone
        ]

    def _forget(self, now: float) -> None:
        for pod, samples in list(self._series.items()):
            while samples and samples[0].time <= now - self.window:
                samples.popleft()
            if not samples and pod in self._gone:
                del self._series[pod]
                self._gone.discard(pod)


def _rates(
    samples: deque[Sample], now: float, window: float
) -> tuple[float, float, float, float] | None:
    """``rate`` of the four counters of a pod; None of fewer than two samples.

    The increase between the first and the last sample is extended to the edges of the window, by
    half the distance of samples at most where the series begins or ends within it, and not beyond
    where a counter would have been zero.
    """
    if len(samples) < 2:
        return None
    first, last = samples[0], samples[-1]
    sampled = last.time - first.time
    step = sampled / (len(samples) - 1)
    before, after = first.time - (now - window), now - last.time
    before = before if before < 1.1 * step else step / 2
    after = after if after < 1.1 * step else step / 2

    def rate(one: float, other: float) -> float:
        increase = other - one
        lead = min(before, sampled * one / increase) if increase > 0 else before
        return increase * (sampled + lead + after) / sampled / window

    return (
        rate(first.latency, last.latency),
        rate(first.queue, last.queue),
        rate(first.requests, last.requests),
        rate(first.working, last.working),
    )
