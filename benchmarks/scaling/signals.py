"""What an autoscaler can look at, and how many replicas each of it asks for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scaling.hpa import by_average, by_utilisation, by_value
from scaling.prometheus import Prometheus
from scaling.replica import Replica


@dataclass(frozen=True)
class View:
    """What can be seen at one moment.

    Attributes:
        now: Seconds.
        current: Replicas, those that are starting included.
        ready: Those that are ready.
        prometheus: What was scraped.
        processor: What ready replicas use of the processor that they request, each.
    """

    now: float
    current: int
    ready: int
    prometheus: Prometheus
    processor: Sequence[float]


@dataclass(frozen=True)
class Targets:
    """Thresholds, each for one replica.

    Attributes:
        in_service: Requests in workers: ``(rate(inference) - rate(queue)) / 1e6``. Every request of
            a batch counts, so that this goes up to workers × batch size.
        working: Workers at work, by the handler's seconds per batch; up to the number of workers.
        queue_seconds: ``rate(queue) / rate(requests) / 1e6``, of all replicas together.
        pending: Requests in the queue.
        processor: Share of the requested processor.
        counter: Microseconds of the raw counter in TorchServe's example.
    """

    in_service: float
    working: float
    queue_seconds: float
    pending: float
    processor: float = 0.7
    counter: float = 7000.0

    @classmethod
    def of(cls, replica: Replica) -> "Targets":
        """What docs/scaling.md advises for a replica."""
        return cls(
            in_service=0.7 * replica.workers,
            working=0.7 * replica.workers,
            queue_seconds=replica.delay + replica.times.of(replica.batch_size),
            pending=float(replica.workers * replica.batch_size),
        )


Signal = Callable[[View, Targets], list[int | None]]


def requests_in_service(view: View, targets: Targets) -> list[int | None]:
    """Requests in workers, seconds in the queue, and requests that wait."""
    return _with_queue(view, targets, lambda rates: (rates[0] - rates[1], targets.in_service))


def workers_at_work(view: View, targets: Targets) -> list[int | None]:
    """Workers at work, seconds in the queue, and requests that wait."""
    return _with_queue(view, targets, lambda rates: (rates[3], targets.working))


def raw_counter(view: View, targets: Targets) -> list[int | None]:
    """TorchServe's example (kubernetes/hpa.yaml): the counter of queue seconds itself."""
    last = view.prometheus.summed_last()
    if last is None:
        return [None]
    return [by_value(last.queue * 1e6, targets.counter, view.current, view.ready)]


def processor(view: View, targets: Targets) -> list[int | None]:
    """Utilisation of the processor, which an autoscaler looks at if one says nothing."""
    if not view.processor:
        return [None]
    unready = view.current - len(view.processor)
    return [by_utilisation(view.processor, unready, targets.processor, view.current)]


def none(view: View, _: Targets) -> list[int | None]:
    """Nothing: the number stays."""
    return [view.current]


SIGNALS: Mapping[str, Signal] = {
    "in service": requests_in_service,
    "working": workers_at_work,
    "processor": processor,
    "raw counter": raw_counter,
    "fixed": none,
}
"""By the name of the option."""


def _with_queue(
    view: View, targets: Targets, busy: Callable[[Sequence[float]], tuple[float, float]]
) -> list[int | None]:
    rates = view.prometheus.summed_rates(view.now)
    if rates is None:
        return [None, None, None]
    total, target = busy((rates.latency, rates.queue, rates.requests, rates.working))
    queued = rates.queue / rates.requests if rates.requests > 0 else 0.0
    return [
        by_average(total, target, view.current),
        by_value(queued, targets.queue_seconds, view.current, view.ready),
        by_average(rates.pending, targets.pending, view.current),
    ]
