"""The metrics of a worker, in one table, and the samples of them that a batch gives.

Whoever carries samples away (``gradcam_handler`` for TorchServe) takes them as they are. A sample
costs a line on the way, so counters are summed over the batch: one for each set of labels.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gradcam.record import BatchRecord
from gradcam.request.wire import DESCRIBE, EXPLANATIONS


@dataclass(frozen=True)
class Measure:
    """One metric.

    Attributes:
        kind: ``counter``, ``histogram`` or ``gauge``.
        unit: ``Count``, ``Seconds``, ``Bytes`` or ``Ratio``.
        labels: Their names, in the order of a sample's; the model's name comes before them.
        meaning: One line.
    """

    kind: str
    unit: str
    labels: tuple[str, ...]
    meaning: str


@dataclass(frozen=True)
class Sample:
    """One value of one metric: what a counter grows by, or what is observed or held.

    Attributes:
        name: In :data:`MEASURES`.
        labels: The labels' values; none is empty.
        value: Finite.
    """

    name: str
    labels: tuple[str, ...]
    value: float


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "gradcam_requests_total": Measure(
            "counter", "Count", ("api", "method", "outcome"), "requests answered"
        ),
        "gradcam_refusals_total": Measure(
            "counter", "Count", ("type",), "requests answered with an error, by its type"
        ),
        "gradcam_batch_size": Measure("histogram", "Count", (), "requests in a batch"),
        "gradcam_decode_seconds": Measure(
            "histogram", "Seconds", (), "of a batch, in which its requests were read"
        ),
        "gradcam_compute_seconds": Measure(
            "histogram", "Seconds", (), "of a batch, in forward and backward passes"
        ),
        "gradcam_render_seconds": Measure(
            "histogram", "Seconds", (), "of a batch, in which its answers were written"
        ),
        "gradcam_targets_total": Measure("counter", "Count", ("api",), "maps in answers"),
        "gradcam_targets_per_request": Measure(
            "histogram", "Count", (), "maps in the answer to one request for explanations"
        ),
        "gradcam_maps_total": Measure(
            "counter", "Count", ("evidence",), "maps in answers, by why they say little, or `ok`"
        ),
        "gradcam_top_probability": Measure(
            "histogram", "Ratio", (), "of the best class, for each answered request"
        ),
        "gradcam_device_memory_bytes": Measure(
            "gauge", "Bytes", ("device",), "what the worker held after its last batch"
        ),
    }
)
"""By name. ``metrics.yaml``, ``docs/metrics.md`` and the tests are held against this table."""


def samples_of(batch: BatchRecord) -> Iterator[Sample]:
    """What a batch adds to each metric.

    The management API's question what the model is counts as a request, and for nothing else.
    """
    asked = [request for request in batch.requests if request.api != DESCRIBE]
    told = [request.told for request in asked]
    answered = [request for request in asked if request.told.error is None]
    yield from _counted(
        "gradcam_requests_total",
        ((request.api, request.method or "none", request.outcome) for request in batch.requests),
    )
    yield from _counted(
        "gradcam_refusals_total", ((one.told.error,) for one in batch.requests if one.told.error)
    )
    if not asked:
        return
    yield Sample("gradcam_batch_size", (), len(asked))
    for name, seconds in (
        ("gradcam_decode_seconds", batch.decode),
        ("gradcam_compute_seconds", batch.compute),
        ("gradcam_render_seconds", batch.render),
    ):
        if seconds is not None:
            yield Sample(name, (), round(seconds, 6))
    explained = [len(one.told.low_evidence) for one in answered if one.api == EXPLANATIONS]
    if explained:
        yield Sample("gradcam_targets_total", (EXPLANATIONS,), sum(explained))
    for maps in explained:
        yield Sample("gradcam_targets_per_request", (), maps)
    yield from _counted(
        "gradcam_maps_total", ((reason or "ok",) for one in told for reason in one.low_evidence)
    )
    for one in told:
        if one.top_probability is not None:
            yield Sample("gradcam_top_probability", (), round(one.top_probability, 7))
    if batch.memory is not None:
        yield Sample("gradcam_device_memory_bytes", (batch.device,), batch.memory)


def _counted(name: str, labels: Iterable[tuple[str, ...]]) -> Iterator[Sample]:
    for values, count in Counter(labels).items():
        yield Sample(name, values, count)
