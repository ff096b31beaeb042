"""What an autoscaler can look at, and how many replicas each of it asks for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scaling.hpa import by_average, by_utilisation, by_value
from scaling.prometheus import Prometheus, Rates


@dataclass(frozen=True)
class View:
    """What can be seen at one moment.

    Attributes:
        now: Seconds.
        current: Replicas, those that are starting included.
        ready: Those that are ready.
        workers: Of each replica.
        prometheus: What was scraped.
        processor: What ready replicas use of the processor that they request, each.
    """

    now: float
    current: int
    ready: int
    workers: int
    prometheus: Prometheus
    processor: Sequence[float]


@dataclass(frozen=True)
class Targets:
    """Thresholds; the defaults are those of ``kubernetes/components/autoscale-keda``.

    Attributes:
        busy: Share of a replica's workers that is at work.
        rate: Requests per second that a replica is asked, from the capacity model.
        queue_seconds: ``rate(queue) / rate(answered) / 1e6``, of all replicas together.
        pending: Requests in a replica's queue.
        processor: Share of the requested processor.
        counter: Microseconds of the raw counter in TorchServe's example.
    """

    busy: float = 0.7
    queue_seconds: float = 0.25
    pending: float = 4.0
    rate: float = float("inf")
    processor: float = 0.7
    counter: float = 7000.0


Signal = Callable[[View, Targets], list[int | None]]


def workers(view: View, targets: Targets) -> list[int | None]:
    """Workers at work, seconds in the queue, and requests that wait: the overlay's three."""
    return _with_queue(view, lambda rates: rates.worked, targets.busy * view.workers, targets)


def in_service(view: View, targets: Targets) -> list[int | None]:
    """The same, but of a batch every request counts as a worker at work."""
    busy = targets.busy * view.workers
    return _with_queue(view, lambda rates: rates.latency - rates.queue, busy, targets)


def requests(view: View, targets: Targets) -> list[int | None]:
    """Requests per second instead of workers at work, refused ones too; the other two stay."""
    return _with_queue(view, lambda rates: rates.asked, targets.rate, targets)


def raw_counter(view: View, targets: Targets) -> list[int | None]:
    """TorchServe's example (its ``kubernetes/hpa.yaml``): the counter of queue time itself."""
    last = view.prometheus.last()
    if not last:
        return [None]
    counted = sum(sample.queue for sample in last) * 1e6
    return [by_value(counted, targets.counter, view.current, view.ready)]


def processor(view: View, targets: Targets) -> list[int | None]:
    """Utilisation of the processor, and nothing else."""
    if not view.processor:
        return [None]
    unready = view.current - len(view.processor)
    return [by_utilisation(view.processor, unready, targets.processor, view.current)]


def nothing(view: View, _: Targets) -> list[int | None]:
    """The number stays."""
    return [view.current]


SIGNALS: Mapping[str, Signal] = {
    "workers": workers,
    "in service": in_service,
    "requests": requests,
    "processor": processor,
    "raw counter": raw_counter,
    "nothing": nothing,
}
"""By name."""


def _with_queue(
    view: View, measure: Callable[[Rates], float], target: float, targets: Targets
) -> list[int | None]:
    """What is measured of each pod, and what waits."""
    pods = view.prometheus.rates(view.now)
    pending = sum(sample.pending for sample in view.prometheus.last())
    answered = sum(rates.answered for rates in pods)
    queued = sum(rates.queue for rates in pods) / answered if answered > 0 else 0.0
    return [
        by_average(sum(measure(rates) for rates in pods), target, view.current),
        by_value(queued, targets.queue_seconds, view.current, view.ready),
        by_average(pending, targets.pending, view.current),
    ]
