"""What the server benchmark found, as Markdown."""

from collections.abc import Iterator

from server_results import Found, pooled
from server_verdicts import verdicts
from spread import LEGEND, spread

from load import Load

UNITS = ("ours predictions", "stock predictions")
"""Whose rates the others' are given as multiples of."""

_LATENCIES = ("p50 ms", "p95 ms", "p99 ms", "errors")


def report(found: Found) -> str:
    """All tables, and what they show."""
    return "\n".join(
        [
            *_about(found),
            *(line for model in found.models for line in _closed(found, model)),
            *_open(found),
            *_delays(found),
            *_memory(found),
            "",
            "### What was to be shown",
            "",
            *verdicts(found),
        ]
    )


def _about(found: Found) -> Iterator[str]:
    machine = ", ".join(f"{name} {value}" for name, value in found.about["machine"].items())
    yield f"{found.about['date']}; {machine}"
    yield f"`{found.about['command']}`"
    yield f"Photographs: {found.about['photographs']}. Batches of up to {found.about['batch_size']}"
    yield f"requests that wait {found.about['delay']} ms; one worker for each archive."
    yield f"Rates and ratios: {LEGEND}."
    for sentence in found.about.get("answers", ["Answers were not compared."]):
        yield f"- {sentence}"


def _closed(found: Found, model: str) -> Iterator[str]:
    yield from ("", f"### {model}, closed loop", "")
    yield from _head(
        *("clients", "contender", "requests/s", *(f"× {unit}" for unit in UNITS)),
        *(*_LATENCIES, "bytes/answer"),
    )
    for clients in found.concurrencies:
        for contender in found.contenders(model):
            loads = found.loads(model, contender, clients)
            ratios = [found.ratios(model, contender, unit, clients) for unit in UNITS]
            yield _row(
                *(str(clients), contender, spread([load.rate for load in loads]).text(1)),
                *(spread(one).text(2) if one else "" for one in ratios),
                *_latencies(pooled(loads)),
                f"{pooled(loads).bytes_per_answer:,.0f}",
            )


def _open(found: Found) -> Iterator[str]:
    if not found.open:
        return
    yield from ("", "### Poisson arrivals", "")
    yield from _head("model", "contender", "of capacity", "requests", *_LATENCIES, "p99 / p50")
    for sample in found.open:
        load = sample.load
        yield _row(
            *(sample.model, sample.contender, f"{sample.share:.0%}", str(len(load.latencies))),
            *_latencies(load),
            f"{load.p99 / load.p50:.2f}",
        )


def _delays(found: Found) -> Iterator[str]:
    if not found.delays:
        return
    yield from ("", "### What `max_batch_delay` costs a lone client (ours predictions)", "")
    yield from _head("delay ms", *_LATENCIES)
    for delay, load in found.delays.items():
        yield _row(str(delay), *_latencies(load))


def _memory(found: Found) -> Iterator[str]:
    if found.residents:
        yield from ("", "### Resident memory of the workers, MiB", "")
        yield from _head("worker", "before", "after")
        for one in found.residents:
            yield _row(one.archive, f"{one.before:.0f}", f"{one.after:.0f}")
    if found.soak:
        yield from ("", "### Resident memory of a worker that explains on and on, MiB", "")
        yield from _head("requests", "MiB")
        for requests, mebibytes in found.soak.items():
            yield _row(f"{requests:,}", f"{mebibytes:.1f}")


def _latencies(load: Load) -> list[str]:
    milliseconds = [f"{1000 * seconds:.0f}" for seconds in (load.p50, load.p95, load.p99)]
    return [*milliseconds, str(load.errors)]


def _head(*names: str) -> list[str]:
    return [_row(*names), _row(*("---" for _ in names))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
