"""One simulated replica: its queue, its workers, and the counters that it would report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scaling.events import Events
from scaling.replica import Replica


@dataclass(frozen=True)
class Journal:
    """When what happened to each request, by its number; NaN for what did not happen.

    Attributes:
        arrived: Seconds.
        begun: When its batch began.
        answered: When it was answered.
    """

    arrived: Sequence[float]
    begun: list[float]
    answered: list[float]

    @classmethod
    def of(cls, arrived: Sequence[float]) -> "Journal":
        """A journal of requests of which nothing but their arrival is known."""
        unknown = [float("nan")]
        return cls(arrived, unknown * len(arrived), unknown * len(arrived))


class Pod:
    """A replica at work.

    Attributes:
        queue: Numbers of the requests that wait, those of a batch that is being gathered included.
        gathering: Whether a free worker waits for the batch to fill.
        working: How many workers work.
        asked: Requests that came, refused ones among them: ``ts_inference_requests_total``.
        answered: Those that are done: ``gradcam_batch_size_sum``.
        latency_seconds: Of them, summed: ``ts_inference_latency_microseconds`` in seconds.
        queue_seconds: That part of them that they waited: ``ts_queue_latency_microseconds``.
        worked_seconds: Of the batches that are done: the handler's three sums of seconds.
        batches: How many are done: ``gradcam_batch_size_count``.
    """

    __slots__ = (
        *("answered", "asked", "batches", "gathering", "latency_seconds", "queue"),
        *("queue_seconds", "worked_seconds", "working"),
        *("_busy_seconds", "_events", "_journal", "_replica", "_seconds_of"),
        *("_since", "_stretch", "_ticket"),
    )

    def __init__(
        self, replica: Replica, journal: Journal, events: Events, stretch: Callable[[], float]
    ) -> None:
        """A pod without any request.

        Args:
            replica: What it can do.
            journal: Where it writes what becomes of requests.
            events: Where it asks to be called later.
            stretch: Gives for each batch how many times as long as the mean it takes.
        """
        self.queue: list[int] = []
        self.gathering = False
        self.working = 0
        self.asked = 0
        self.answered = 0
        self.latency_seconds = 0.0
        self.queue_seconds = 0.0
        self.worked_seconds = 0.0
        self.batches = 0
        self._replica, self._journal, self._events = replica, journal, events
        self._seconds_of = [replica.times.of(size) for size in range(replica.batch_size + 1)]
        self._stretch = stretch
        self._ticket = 0
        self._busy_seconds = 0.0
        self._since = 0.0

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is worked on."""
        return not self.queue and not self.working

    @property
    def pending(self) -> int:
        """Requests in TorchServe's queue; a batch that is being gathered has left it."""
        return 0 if self.gathering else len(self.queue)

    def busy_seconds(self, now: float) -> float:
        """How long workers have worked so far, summed over them."""
        return self._busy_seconds + self.working * (now - self._since)

    def take(self, number: int, now: float) -> bool:
        """Takes a request; False where it is refused, because the queue is full."""
        queue = self.queue
        self.asked += 1
        if self.gathering:
            queue.append(number)
            if len(queue) >= self._replica.batch_size:
                self._begin(now)
            return True
        if len(queue) >= self._replica.queue_size:
            return False
        queue.append(number)
        if self.working < self._replica.workers:
            self._gather(now)
        return True

    def _gather(self, now: float) -> None:
        """A free worker has its first request."""
        delay = self._replica.delay
        if delay <= 0 or len(self.queue) >= self._replica.batch_size:
            self._begin(now)
            return
        self.gathering = True
        ticket = self._ticket
        self._events.at(now + delay, lambda time: self._waited(time, ticket))

    def _waited(self, now: float, ticket: int) -> None:
        if ticket == self._ticket:  # otherwise the batch was full before
            self._begin(now)

    def _begin(self, now: float) -> None:
        self.gathering = False
        self._ticket += 1
        size = self._replica.batch_size
        batch = self.queue[:size]
        del self.queue[:size]
        begun, arrived = self._journal.begun, self._journal.arrived
        total = 0.0
        for number in batch:
            begun[number] = now
            total += arrived[number]
        self._count_work(now, 1)
        end = now + self._seconds_of[len(batch)] * self._stretch()
        self._events.at(end, lambda time: self._done(time, batch, now, total))
        if self.queue and self.working < self._replica.workers:
            self._gather(now)

    def _done(self, now: float, batch: list[int], begun: float, arrived: float) -> None:
        answered = self._journal.answered
        for number in batch:
            answered[number] = now
        size = len(batch)
        self.answered += size
        self.batches += 1
        self.latency_seconds += size * now - arrived
        self.queue_seconds += size * begun - arrived
        self.worked_seconds += now - begun
        self._count_work(now, -1)
        if self.queue and not self.gathering:
            self._gather(now)

    def _count_work(self, now: float, change: int) -> None:
        self._busy_seconds += self.working * (now - self._since)
        self._since = now
        self.working += change
