"""What the server benchmark is to show, and whether it does."""

from collections.abc import Iterator
from dataclasses import dataclass

from server_results import Found, pooled
from spread import spread

LATE_SHARE = 0.7
"""Of the capacity, at which the tail of the latencies is judged."""

SOAK_FROM, SOAK_TO = 2_000, 20_000


@dataclass(frozen=True)
class Claim:
    """A rate that is to be at least so many times another's, on one model."""

    model: str
    contender: str
    unit: str
    least: float


CLAIMS = (
    Claim("resnet18", "ours grid", "ours predictions", 0.90),
    Claim("resnet50", "ours grid", "ours predictions", 0.90),
    Claim("resnet18", "ours overlay", "ours predictions", 0.75),
    Claim("resnet50", "ours overlay", "ours predictions", 0.75),
    Claim("mobilenet_v3_large", "ours predictions", "stock predictions", 1.15),
    Claim("resnet18", "ours predictions", "stock predictions", 1.05),
    Claim("resnet50", "ours predictions", "stock predictions", 1.00),
    Claim("resnet18", "ours grid", "pytorch-grad-cam map", 2.5),
    Claim("resnet18", "ours overlay", "pytorch-grad-cam overlay", 2.5),
    Claim("resnet18", "ours grid", "stock explanations", 8.0),
    Claim("resnet50", "bf16 predictions", "ours predictions", 1.6),
    Claim("resnet50", "bf16 grid", "ours grid", 1.6),
)
"""Rates, judged at the greatest concurrency, where every batch is full. The variant ``bf16`` is
judged where it was measured. The other library's map has the size of the network's input, and ours
that of the layer; so overlays, which both draw on a picture, are compared too."""


def verdicts(found: Found) -> list[str]:
    """One line for everything that is to be shown: the number, what is wanted, met or not."""
    return [
        *(_rate(found, claim) for claim in CLAIMS),
        _size(found),
        _growth(found),
        *_tails(found),
        _errors(found),
    ]


def _rate(found: Found, claim: Claim) -> str:
    what = f"{claim.model}: {claim.contender} / {claim.unit}"
    wanted = f"at least {claim.least:.2f}"
    if not found.concurrencies:
        return _line(what, wanted)
    most = max(found.concurrencies)
    ratios = found.ratios(claim.model, claim.contender, claim.unit, most)
    if not ratios:
        return _line(what, wanted)
    ratio = spread(ratios)
    sizes = " and ".join(
        f"{pooled(found.loads(claim.model, name, most)).bytes_per_answer:,.0f}"
        for name in (claim.contender, claim.unit)
    )
    number = f"{ratio.text(2)} with {most} clients, of {sizes} bytes an answer"
    return _line(what, wanted, number, met=ratio.middle >= claim.least)


def _size(found: Found) -> str:
    what, wanted = "resnet18: bytes of ours grid / stock explanations", "at most 0.01"
    for clients in found.concurrencies:
        mine = found.loads("resnet18", "ours grid", clients)
        stock = found.loads("resnet18", "stock explanations", clients)
        if mine and stock:
            share = pooled(mine).bytes_per_answer / pooled(stock).bytes_per_answer
            return _line(what, wanted, f"{share:.6f}", met=share <= 0.01)
    return _line(what, wanted)


def _growth(found: Found) -> str:
    what = f"memory of the worker from request {SOAK_FROM:,} to {SOAK_TO:,}"
    wanted = "grows by less than 16 MiB"
    if SOAK_FROM not in found.soak or SOAK_TO not in found.soak:
        return _line(what, wanted)
    grown = found.soak[SOAK_TO] - found.soak[SOAK_FROM]
    most = max(value for key, value in found.soak.items() if key >= SOAK_FROM)
    between = f"{grown:+.1f} MiB (at most {most - found.soak[SOAK_FROM]:+.1f} in between)"
    return _line(what, wanted, between, met=grown < 16)


def _tails(found: Found) -> Iterator[str]:
    wanted = "at most 5"
    judged = [sample for sample in found.open if sample.share == LATE_SHARE]
    if not judged:
        yield _line(f"p99 / p50 at {LATE_SHARE:.0%} of the capacity", wanted)
    for sample in judged:
        what = f"{sample.model}: {sample.contender}, p99 / p50 at {LATE_SHARE:.0%} of the capacity"
        ratio = sample.load.p99 / sample.load.p50
        number = f"{ratio:.2f} of {len(sample.load.latencies)} requests"
        yield _line(what, wanted, number, met=ratio <= 5)


def _errors(found: Found) -> str:
    loads = [sample.load for turn in found.closed for sample in turn]
    loads += [sample.load for sample in found.open] + list(found.delays.values())
    if not loads:
        return _line("requests not answered with a 2xx", "none")
    count = sum(load.errors for load in loads)
    of = sum(len(load.statuses) for load in loads)
    return _line("requests not answered with a 2xx", "none", f"{count} of {of:,}", met=not count)


def _line(what: str, wanted: str, number: str | None = None, *, met: bool = False) -> str:
    if number is None:
        return f"- not measured: {what}; wanted {wanted}"
    return f"- {'met' if met else '**not met**'}: {what}: {number}; wanted {wanted}"
