"""What happened to a batch, as far as it is counted. Frozen data: the walk of a batch makes it.

Nothing in it is worked out for the counting alone where an answer says it anyway; ``measures.py``
turns it into samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_A_FAULT_OF_OURS = 500  # statuses from here up


@dataclass(frozen=True)
class Told:
    """What an answer tells, as far as it is counted; a refusal tells its error alone.

    Attributes:
        error: The kind of the error, such as ``InvalidOption``; ``None`` for an answer.
        low_evidence: Of every map in the answer, in order, why it says little; ``None`` if it does
            not (:class:`gradcam.answer.evidence.Evidence`).
        top_probability: Of the best class, 0…1; the mean over the request's pictures. ``None``
            where nothing was predicted, or the model has no probabilities.
    """

    error: str | None = None
    low_evidence: tuple[str | None, ...] = ()
    top_probability: float | None = None


@dataclass(frozen=True)
class RequestRecord:
    """What happened to one request.

    Attributes:
        api: One of :data:`gradcam.request.wire.APIS`.
        method: The CAM method that it asks for, :data:`SEVERAL` if its pictures ask for different
            ones; ``None`` if it asks for no map, or could not be read.
        status: The answer's.
        told: What the answer tells.
    """

    api: str
    method: str | None
    status: int
    told: Told

    @property
    def outcome(self) -> str:
        """``ok``, ``refused`` (the request's own fault) or ``failed`` (the server's)."""
        if self.told.error is None:
            return "ok"
        return "failed" if self.status >= _A_FAULT_OF_OURS else "refused"


@dataclass(frozen=True)
class BatchRecord:
    """What happened to a batch.

    Attributes:
        requests: In order.
        decode: Seconds in which they were read: pictures decoded, cut and resized.
        compute: Seconds of forward and backward passes, with the way to the device and back;
            ``None`` where nothing was to be computed.
        render: Seconds in which answers were written: evidence, pictures, JSON; ``None`` where
            every request had been refused before.
        device: Where the network is: ``cpu``, or such as ``cuda:0``.
        memory: Bytes that the worker holds when the batch is done
            (:func:`gradcam.memory.used_bytes`); ``None`` where that cannot be known.
    """

    requests: tuple[RequestRecord, ...]
    decode: float
    compute: float | None
    render: float | None
    device: str
    memory: int | None


SEVERAL = "several"


def only_method(methods: Sequence[str]) -> str | None:
    """The one method of a request's pictures, or :data:`SEVERAL`; ``None`` if there is none."""
    different = set(methods)
    return SEVERAL if len(different) > 1 else next(iter(different), None)
