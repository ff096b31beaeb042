"""What one replica can do: how long batches take, how they are gathered, how many wait at most."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class BatchTimes:
    """How long a worker takes for a batch: a fixed part, and one for each request.

    Attributes:
        fixed: Seconds of every batch, not negative.
        per_request: Seconds that each request of the batch adds, above 0.

    Raises:
        ValueError: A number out of its range.
    """

    fixed: float
    per_request: float

    def __post_init__(self) -> None:
        if self.fixed < 0 or self.per_request <= 0:
            raise ValueError(
                f"a batch takes {self.fixed} s + {self.per_request} s for each request; the first "
                "cannot be negative, and the second must be above 0"
            )

    def of(self, size: int) -> float:
        """Seconds of a batch of ``size`` requests."""
        return self.fixed + self.per_request * size

    @classmethod
    def fitted(cls, measured: Mapping[int, float]) -> "BatchTimes":
        """The line through what was measured, by least squares of the relative errors.

        Relative, because a millisecond matters more to a batch of one than to one of sixteen.

        Args:
            measured: Seconds by the size of the batch; two sizes or more.

        Raises:
            ValueError: Fewer than two sizes, or no line with both parts in their range fits.
        """
        if len(measured) < 2:
            raise ValueError("two sizes of batches at least are needed to fit a line")
        weights = {size: 1 / seconds**2 for size, seconds in measured.items()}
        total = sum(weights.values())
        size_mean = sum(weights[size] * size for size in measured) / total
        mean = sum(weights[size] * seconds for size, seconds in measured.items()) / total
        covariance = sum(
            weights[size] * (size - size_mean) * (seconds - mean)
            for size, seconds in measured.items()
        )
        variance = sum(weights[size] * (size - size_mean) ** 2 for size in measured)
        slope = covariance / variance
        return cls(mean - slope * size_mean, slope)


@dataclass(frozen=True)
class Replica:
    """One TorchServe with one model.

    A free worker takes the first request of the queue and then what else is there, up to
    ``batch_size``; it waits for more until ``delay`` has passed since it took the first. Only one
    worker gathers at a time, as in TorchServe.

    Attributes:
        times: Of a batch in one worker, while the others work too.
        workers: Processes, 1 or more.
        batch_size: ``batchSize``, 1 or more.
        delay: ``maxBatchDelay`` in seconds.
        queue_size: ``jobQueueSize``; a request that finds so many waiting is refused.

    Raises:
        ValueError: A number out of its range.
    """

    times: BatchTimes
    workers: int = 1
    batch_size: int = 8
    delay: float = 0.005
    queue_size: int = 100

    def __post_init__(self) -> None:
        if self.workers < 1 or self.batch_size < 1 or self.delay < 0:
            raise ValueError("a replica has workers, batches of at least 1, and a delay from 0 up")
        if self.queue_size < self.batch_size:
            raise ValueError("the queue must hold a whole batch")

    @property
    def limit(self) -> float:
        """Requests per second that full batches give, which nothing can exceed."""
        return self.workers * self.batch_size / self.times.of(self.batch_size)
