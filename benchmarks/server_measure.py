"""The measurements: rounds of closed loops, open loops, a lone client, and a long soak."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import psutil
from server_contenders import Contender, ours
from server_results import Found, Sample

from load import Load, Shot, closed_loop, open_loop
from local_ports import get_json
from torchserve_process import TorchServe

DEAR_ROUNDS = 3
"""How many rounds measure those contenders that take long."""

_TIMEOUT = 900.0
"""Seconds; two batches of TorchServe's own explanations take minutes on a busy machine."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """Where to send what, and whom to tell about it.

    Attributes:
        server: A server that is ready.
        photographs: JPEGs.
        batch_size: Of every archive.
        tell: Takes a line of progress.
    """

    server: TorchServe
    photographs: Sequence[bytes]
    batch_size: int
    tell: Tell

    def shots(self, contender: Contender, model: str) -> list[Shot]:
        """What to send to a contender."""
        return contender.shots(self.server.inference_url, model, self.photographs)

    def closed(self, shots: Sequence[Shot], clients: int, seconds: float) -> Load:
        """A closed loop that waits long enough for anyone."""
        return closed_loop(shots, clients, seconds=seconds, timeout=_TIMEOUT)

    def warm_up(self, contender: Contender, model: str) -> None:
        """Two batches of each of the sizes that are sure to come."""
        for clients in (1, self.batch_size):
            shots = self.shots(contender, model)
            closed_loop(shots, clients, requests=2 * clients, timeout=_TIMEOUT)

    def resident(self, archive: str) -> float:
        """MiB that an archive's only worker keeps in memory."""
        (served,) = get_json(f"{self.server.management_url}/models/{archive}")
        (worker,) = served["workers"]
        return float(psutil.Process(int(worker["pid"])).memory_info().rss) / 2**20


def closed_rounds(
    bench: Bench,
    contenders: Mapping[str, Sequence[Contender]],
    concurrencies: Sequence[int],
    rounds: int,
    seconds: float,
) -> Iterator[list[Sample]]:
    """Gives the samples of one round after the other, all contenders in turn.

    Args:
        bench: Where to send.
        contenders: By model.
        concurrencies: Of the clients.
        rounds: How many; the contender that begins moves on by one with each.
        seconds: Of one contender's turn; requests that are under way then are awaited.
    """
    for number in range(rounds):
        turn = []
        for model, all_of_it in contenders.items():
            present = [one for one in all_of_it if number < DEAR_ROUNDS or not one.dear]
            first = number % len(present)
            for clients in concurrencies:
                for contender in [*present[first:], *present[:first]]:
                    load = bench.closed(bench.shots(contender, model), clients, seconds)
                    turn.append(Sample(model, contender.name, clients, 0, load))
                    bench.tell(
                        f"round {number + 1}/{rounds}, {model}, {clients:2} clients, "
                        f"{contender.name:24} {load.rate:7.2f}/s"
                    )
        yield turn


def open_loops(
    bench: Bench,
    contenders: Mapping[str, Sequence[Contender]],
    shares: Sequence[float],
    seconds: float,
    found: Found,
) -> Iterator[Sample]:
    """Poisson arrivals at shares of what each contender did at the greatest concurrency.

    Args:
        bench: Where to send.
        contenders: By model.
        shares: Each above 0.
        seconds: Of one run.
        found: The closed loops.
    """
    most = max(found.concurrencies)
    for share in shares:
        for model, all_of_it in contenders.items():
            for contender in all_of_it:
                rates = [load.rate for load in found.loads(model, contender.name, most)]
                rate = share * median(rates)
                shots = bench.shots(contender, model)
                load = open_loop(shots, rate, seconds, seed=0, timeout=_TIMEOUT)
                bench.tell(
                    f"arrivals at {share:.0%} = {rate:.2f}/s, {model}, {contender.name:20} "
                    f"p50 {load.p50 * 1000:.0f} ms, p99 {load.p99 * 1000:.0f} ms"
                )
                yield Sample(model, contender.name, 0, share, load)


def lone_client(
    bench: Bench, archives: Mapping[int, Sequence[Shot]], rounds: int, seconds: float
) -> dict[int, list[Load]]:
    """A lone client's turns with archives that differ in ``maxBatchDelay`` only.

    Args:
        bench: Where to send.
        archives: What to send, by the delay in milliseconds.
        rounds: How many turns each has.
        seconds: Of a turn.
    """
    for shots in archives.values():
        closed_loop(shots, 1, requests=3)
    loads: dict[int, list[Load]] = {delay: [] for delay in archives}
    for _ in range(rounds):
        for delay, shots in archives.items():
            loads[delay].append(bench.closed(shots, 1, seconds))
    for delay, turns in loads.items():
        bench.tell(f"a lone client, delay {delay} ms: p50 {turns[-1].p50 * 1000:.0f} ms")
    return loads


def soak(
    bench: Bench, model: str, handler: str, requests: int, clients: int
) -> Iterator[tuple[int, float]]:
    """Explains again and again, grid and overlay in turn, and watches the worker's memory.

    Args:
        bench: Where to send.
        model: The architecture.
        handler: Of the archive, which nobody else uses.
        requests: How many to send in all.
        clients: Of the closed loop.

    Yields:
        Requests so far, and MiB of the worker; of none first, then twenty times.

    Raises:
        RuntimeError: A request was refused, so that less was done than is said.
    """
    _, grid, overlay = ours(handler)
    pairs = zip(bench.shots(grid, model), bench.shots(overlay, model), strict=True)
    shots = [shot for pair in pairs for shot in pair]
    archive = grid.archive(model)
    done = 0
    yield done, bench.resident(archive)
    for goal in (requests * step // 20 for step in range(1, 21)):
        load = closed_loop(shots, clients, requests=goal - done, timeout=_TIMEOUT)
        if load.errors:
            raise RuntimeError(f"{load.errors} of the soak's requests were not answered")
        done = goal
        mebibytes = bench.resident(archive)
        bench.tell(f"soak: {done}/{requests} requests, {mebibytes:.1f} MiB, {load.rate:.1f}/s")
        yield done, mebibytes
