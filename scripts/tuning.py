"""Which ways to serve a model are tried, in which order, and which of them is best."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

PRECISIONS = ("fp32", "bf16", "fp16")
BATCH_SIZES = (1, 2, 4, 8, 16)
DELAYS = (1, 5, 20)  # milliseconds


@dataclass(frozen=True)
class Choices:
    """What a search may choose from.

    Attributes:
        cores: To be divided among workers.
        precisions: Of ``handler: gradcam: execution``; at least one.
        batch_sizes: At least one.
        delays: Milliseconds; at least one.
    """

    cores: int
    precisions: tuple[str, ...]
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    delays: tuple[int, ...] = DELAYS

    def first(self) -> list["Setup"]:
        """Every precision with every division of the cores.

        With a batch of 8 that waits 5 ms, or what comes nearest of the choices.
        """
        size = min(self.batch_sizes, key=lambda one: abs(one - 8))
        delay = min(self.delays, key=lambda one: abs(one - 5))
        return [
            Setup(precision, workers, self.cores // workers, size, delay)
            for precision in self.precisions
            for workers in divisions(self.cores)
        ]

    @property
    def most(self) -> int:
        """How many setups a search tries at most."""
        return len(self.first()) + len(self.batch_sizes) - 1 + len(self.delays) - 1


@dataclass(frozen=True)
class Setup:
    """One way to serve a model.

    Attributes:
        precision: Of ``handler: gradcam: execution``.
        workers: Processes.
        threads: Of each.
        batch_size: Requests that a batch holds at most.
        delay: Milliseconds that a batch waits for more.
    """

    precision: str
    workers: int
    threads: int
    batch_size: int
    delay: int

    def __str__(self) -> str:
        return (
            f"{self.precision}, {self.workers} × {self.threads} threads, batches of "
            f"{self.batch_size} that wait {self.delay} ms"
        )

    @property
    def folder(self) -> str:
        """A name for its logs."""
        return (
            f"{self.precision}-{self.workers}x{self.threads}-batch{self.batch_size}-{self.delay}ms"
        )


@dataclass(frozen=True)
class Measured:
    """What a setup did under load.

    Attributes:
        setup: It.
        rate: Answers per second with as many clients as fill its batches.
        busy: The 95th percentile of the latency then, in seconds.
        lone: The median latency of a single client, in seconds.
        errors: Requests without a sound answer.
    """

    setup: Setup
    rate: float
    busy: float
    lone: float
    errors: int

    def within(self, limit: float) -> bool:
        """Whether every answer was sound, and came in time under full load."""
        return not self.errors and self.busy <= limit


@dataclass(frozen=True)
class Refused:
    """A setup that could not be served.

    Attributes:
        setup: It.
        reason: Why, in a sentence.
    """

    setup: Setup
    reason: str


def search(
    choices: Choices, measure: Callable[[Setup], Measured | Refused], limit: float
) -> Iterator[Measured | Refused]:
    """Tries setups, and gives each as it is measured; the best so far is what the next vary.

    First precision and the division of the cores, which decide the most; then the size of a batch,
    then how long it waits. Where none of the first could be served there is nothing to vary.

    Args:
        choices: What may be tried.
        measure: Serves a setup and loads it.
        limit: Seconds within which 95 of 100 answers must come under full load.
    """
    found: dict[Setup, Measured | Refused] = {}

    def try_all(setups: Iterable[Setup]) -> Iterator[Measured | Refused]:
        for setup in setups:
            if setup not in found:
                found[setup] = measure(setup)
                yield found[setup]

    yield from try_all(choices.first())
    if leader := best(found.values(), limit):
        base = leader.setup
        yield from try_all(replace(base, batch_size=size) for size in choices.batch_sizes)
    if leader := best(found.values(), limit):
        base = leader.setup
        yield from try_all(replace(base, delay=delay) for delay in choices.delays)


def divisions(cores: int) -> list[int]:
    """Numbers of workers that share all cores evenly, from one up to one for each core.

    Of a machine with many cores not every one: each is at least twice the one before it.
    """
    found = [1]
    for workers in range(2, cores + 1):
        if cores % workers == 0 and workers >= 2 * found[-1]:
            found.append(workers)
    return found


def best(found: Iterable[Measured | Refused], limit: float) -> Measured | None:
    """The highest rate within the limit; the shortest wait where none is within.

    Of rates that differ by less than 3 %, which is noise, the one that serves a lone client sooner.
    ``None`` where nothing could be served.
    """
    listed = [one for one in found if isinstance(one, Measured)]
    timely = [one for one in listed if one.within(limit)]
    if not timely:
        return min(listed, key=lambda one: (one.errors, one.busy), default=None)
    highest = max(one.rate for one in timely)
    return min((one for one in timely if one.rate >= 0.97 * highest), key=lambda one: one.lone)


def configured(config: Mapping[str, Any], setup: Setup) -> dict[str, Any]:
    """A ``model-config.yaml`` with a setup in it; everything else is as it was."""
    section = dict(config["handler"]["gradcam"])
    section["execution"] = {
        **section.get("execution", {}),
        "precision": setup.precision,
        "threads": setup.threads,
    }
    return {
        **config,
        "minWorkers": setup.workers,
        "maxWorkers": setup.workers,
        "batchSize": setup.batch_size,
        "maxBatchDelay": setup.delay,
        "handler": {**config["handler"], "gradcam": section},
    }
