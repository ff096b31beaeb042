"""The engine benchmark's tables in Markdown."""

import statistics
from collections.abc import Iterator, Sequence

from contenders import BY_HAND, OTHER, OURS, PEER
from engine_results import Results, Row
from engine_summary import best_peer, geometric, groups, over, ranks, share, verdicts
from machine import sentence
from spread import LEGEND

_ASKED = (OURS, PEER, BY_HAND, OTHER)


def tables(results: Results) -> str:
    """Everything, from the machine to the verdicts."""
    parts = [
        f"{results.date}, `{results.command}`\n{sentence(dict(results.machine))}",
        *(
            "\n".join(_times(results, batch, targets, rows))
            for (batch, targets), rows in groups(results).items()
        ),
        "\n".join(_memory(results)),
        "\n".join(_agreement(results)),
        "\n".join(_absent(results)),
        "\n".join(f"- {verdict}" for verdict in verdicts(results)),
    ]
    return "\n\n".join(part for part in parts if part)


def _times(results: Results, batch: int, targets: int, rows: Sequence[Row]) -> Iterator[str]:
    names = [name for name in results.of_kind(*_ASKED) if any(name in row.seconds for row in rows)]
    yield f"**Batch {batch}, targets: {targets}.** × the forward pass of the same round, of"
    yield f"{results.rounds} rounds: {LEGEND}.\n"
    yield from _head("model", "forward ms", *names, "ours over the best peer", "rank of ours")
    for row in rows:
        best = best_peer(results, row)
        order = ranks(results, row)
        compared = there = "–"
        if "ours" in order:
            there = f"{order.index('ours') + 1} of {len(order)}"
            compared = f"{over(row, 'ours', best)} {best}" if best else "–"
        milliseconds = statistics.median(row.seconds["forward"]) * 1000
        cells = [_time(row, name) for name in names]
        yield _line(row.model, f"{milliseconds:.1f}", *cells, compared, there)
    if len(rows) > 1:
        means = [_mean(rows, name, "forward") for name in names]
        yield _line("geometric mean", "", *means, "", "")
        if "ours" in names:
            others = [_mean(rows, "ours", name) if name != "ours" else "" for name in names]
            yield _line("ours over it", "", *others, "", "")


def _time(row: Row, name: str) -> str:
    return str(over(row, name, "forward")) if name in row.seconds else "–"


def _mean(rows: Sequence[Row], name: str, other: str) -> str:
    there = [row for row in rows if name in row.seconds and other in row.seconds]
    mean = geometric(over(row, name, other) for row in there)
    few = "" if len(there) == len(rows) else f", {len(there)} models"
    return f"{mean}{few}" if mean else "–"


def _memory(results: Results) -> Iterator[str]:
    names = [name for name in results.contenders if any(name in row.saved for row in results.rows)]
    yield "**Memory.** Saved for backward beyond parameters, buffers and one target activation, in"
    yield "MiB (in target activations); then the peak beyond what was held before, in MiB.\n"
    yield from _head("model", "batch", "targets", "activation MiB", *names)
    for row in results.rows:
        cells = [
            f"{row.saved[name]:.2f} ({share(row.saved[name], row.activation):.1f}); "
            f"{row.peak[name]:.1f}"
            if name in row.saved
            else "–"
            for name in names
        ]
        size = f"{row.activation:.2f}"
        yield _line(row.model, str(row.batch), str(row.targets), size, *cells)


def _agreement(results: Results) -> Iterator[str]:
    names = list(dict.fromkeys(one.contender for one in results.agreements))
    found = {(one.model, one.targets, one.contender): one for one in results.agreements}
    yield "**Agreement.** The greatest difference of any cell from full autograd in float64, each"
    yield f"map after the ReLU and over its maximum, 0…1; on {results.pictures}.\n"
    yield from _head("model", "targets", "maps compared", *names)
    for model, targets in dict.fromkeys((one.model, one.targets) for one in results.agreements):
        row = {name: found.get((model, targets, name)) for name in names}
        some = next(one for one in row.values() if one)
        cells = []
        for one in row.values():
            if one is None or one.worst is None:
                cells.append("–")
                continue
            other = f", {one.other_classes} of other classes" if one.other_classes else ""
            cells.append(f"{one.worst:.1e}{other}")
        yield _line(model, str(targets), f"{some.compared} of {some.maps}", *cells)


def _absent(results: Results) -> Iterator[str]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in results.rows:
        for name, reason in row.absent.items():
            where = reasons.setdefault((name, reason), [])
            where.append(f"{row.model} {row.batch}/{row.targets}")
    if reasons:
        yield "**Not measured** (model batch/targets).\n"
    for (name, reason), where in reasons.items():
        everywhere = len(where) == len(results.rows)
        yield f"- {name}: {reason} ({'everywhere' if everywhere else ', '.join(where)})"


def _head(*cells: str) -> Iterator[str]:
    yield _line(*cells)
    yield "|" + "---|" * len(cells)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
