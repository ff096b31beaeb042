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
        asked: ``ts_inference_requests_total``, of which some were refused.
        answered: ``gradcam_batch_size_sum``.
        worked: ``gradcam_decode_seconds_sum``, ``_compute_`` and ``_render_`` together.
        pending: ``gradcam_pending_requests``, a gauge.
    """

    time: float
    latency: float
    queue: float
    asked: float
    answered: float
    worked: float
    pending: float


class Rates(NamedTuple):
    """What a pod's counters grow by in a second; fields as in :class:`Sample`."""

    latency: float
    queue: float
    asked: float
    answered: float
    worked: float


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

    def rates(self, now: float) -> list[Rates]:
        """Of the counters of each pod that has two samples in the window."""
        self._forget(now)
        rated = (_rates(samples, now, self.window) for samples in self._series.values())
        return [rates for rates in rated if rates is not None]

    def last(self) -> list[Sample]:
        """The newest sample of each pod that is there."""
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


def _rates(samples: deque[Sample], now: float, window: float) -> Rates | None:
    """``rate`` of the counters of a pod; None of fewer than two samples.

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

    return Rates(
        rate(first.latency, last.latency),
        rate(first.queue, last.queue),
        rate(first.asked, last.asked),
        rate(first.answered, last.answered),
        rate(first.worked, last.worked),
    )
