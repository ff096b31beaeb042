"""Ratios, ranks, geometric means and verdicts of the engine benchmark, from its raw samples."""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from contenders import BY_HAND, OURS, PEER, UNIT
from engine_results import Results, Row
from interleaved import quotients
from spread import FEWEST, Spread, spread

MODELS = (
    *("resnet18", "resnet50", "densenet201", "vgg19"),
    *("mobilenet_v3_large", "efficientnet_b0", "convnext_tiny", "vit_b_16"),
)
"""What the verdicts are about."""

_JUDGED_BATCH = 8
_MOST, _MOST_OF_ONE, _MOST_OF_BEST = 1.10, 1.30, 1.03
_MOST_SAVED_RESNET, _MOST_SAVED_DENSENET = 1.0, 1.1  # MiB, and target activations
_LEAST = 0.9  # forward passes that what holds one can seem to take on a quiet machine
_OURS, _UNIT = "ours", "forward"


@dataclass(frozen=True)
class Verdict:
    """One sentence with its number, and whether that is within its limit, where it has one."""

    text: str
    met: bool | None = None

    def __str__(self) -> str:
        return {True: "met: ", False: "NOT met: ", None: ""}[self.met] + self.text


def over(row: Row, name: str, other: str) -> Spread:
    """How long one contender takes over how long another takes in the same round."""
    return spread(quotients(row.seconds[name], row.seconds[other]))


def best_peer(results: Results, row: Row, kind: str = PEER) -> str | None:
    """The peer with the least median; ``None`` where there is none.

    (It is picked once for a row. The least of each round would be a peer that nobody can choose,
    and the lower the more the machine's speed wavers.)
    """
    there = [name for name in results.of_kind(kind) if name in row.seconds]
    return min(there, key=lambda name: over(row, name, _UNIT).middle, default=None)


def ranks(results: Results, row: Row) -> list[str]:
    """Ours and the peers that were asked the same, from the fastest to the slowest."""
    there = [name for name in results.of_kind(OURS, PEER, BY_HAND) if name in row.seconds]
    return sorted(there, key=lambda name: over(row, name, _UNIT).middle)


def geometric(spreads: Iterable[Spread]) -> Spread | None:
    """The geometric means of medians, and of what lies around them; ``None`` of nothing."""
    found = list(spreads)
    if not found:
        return None
    return Spread(
        statistics.geometric_mean([one.low for one in found]),
        statistics.geometric_mean([one.middle for one in found]),
        statistics.geometric_mean([one.high for one in found]),
        any(one.whole for one in found),
    )


def groups(results: Results) -> dict[tuple[int, int], list[Row]]:
    """The rows by batch and targets."""
    found: dict[tuple[int, int], list[Row]] = {}
    for row in results.rows:
        found.setdefault((row.batch, row.targets), []).append(row)
    return dict(sorted(found.items(), key=lambda item: (item[0][1], item[0][0])))


def summarise(results: Results) -> dict[str, Any]:
    """Everything that tables and plot show, for the JSON."""
    rows = [
        {
            "model": row.model,
            "batch": row.batch,
            "targets": row.targets,
            "over_forward": {name: asdict(over(row, name, _UNIT)) for name in row.seconds},
            "ours_over": {name: asdict(over(row, _OURS, name)) for name in _others(results, row)},
            "best_peer": best_peer(results, row),
            "ranks": ranks(results, row),
        }
        for row in results.rows
    ]
    return {"rows": rows, "verdicts": [asdict(verdict) for verdict in verdicts(results)]}


def _others(results: Results, row: Row) -> list[str]:
    """Whom ours is compared with in a row."""
    if _OURS not in row.seconds:
        return []
    return [name for name in row.seconds if results.kind(name) not in (UNIT, OURS)]


def verdicts(results: Results) -> list[Verdict]:
    """What the run says about the limits that the engine has set itself."""
    rows = [row for row in results.rows if _OURS in row.seconds]
    if not rows:
        return [Verdict("ours was not measured")]
    there = {(row.model, row.batch, row.targets) for row in rows}
    whole = {(model, batch, count) for model in MODELS for batch in (1, 8) for count in (1, 5)}
    timed = [*_against_forward(rows), *_against_peers(results, rows, whole=whole <= there)]
    if results.rounds < FEWEST:
        timed = [_not_judged(verdict) for verdict in timed]
    return [
        *timed,
        *_disturbed(results),
        *_saved(rows, whole=whole <= there),
        *_exactness(results),
    ]


def _not_judged(verdict: Verdict) -> Verdict:
    if verdict.met is None:
        return verdict
    return replace(verdict, text=f"{verdict.text}; not judged: under {FEWEST} rounds", met=None)


def _disturbed(results: Results) -> Iterator[Verdict]:
    """Which rows say that something takes less than the forward pass that is a part of it."""
    found = [
        f"{row.model}, batch {row.batch}, {_targets(row.targets)}, {name}"
        for row in results.rows
        for name in row.seconds
        if results.kind(name) != UNIT and over(row, name, _UNIT).middle < _LEAST
    ]
    if found:
        yield Verdict(
            f"below {_LEAST:.2f} forward passes, though each holds one, so that the machine was "
            f"busy with something else, and this run is worth little: {'; '.join(found)}"
        )


def _against_forward(rows: Sequence[Row]) -> list[Verdict]:
    judged = [row for row in rows if (row.batch, row.targets) == (_JUDGED_BATCH, 1)]
    if not judged:
        return [Verdict(f"batch {_JUDGED_BATCH} with one target was not measured")]
    by_model = {row.model: over(row, _OURS, _UNIT) for row in judged}
    mean = geometric(by_model.values())
    assert mean is not None
    worst = max(by_model, key=lambda model: by_model[model].middle)
    missing = [model for model in MODELS if model not in by_model]
    whole = not missing
    without = f" (without {', '.join(missing)})" if missing else ""
    return [
        Verdict(
            f"explanation over forward, batch {_JUDGED_BATCH}, geometric mean over models{without}"
            f": {mean} (limit {_MOST:.2f})",
            mean.middle <= _MOST if whole else None,
        ),
        Verdict(
            f"the dearest of them, {worst}: {by_model[worst]} (limit {_MOST_OF_ONE:.2f})",
            by_model[worst].middle <= _MOST_OF_ONE if whole else None,
        ),
    ]


def _against_peers(results: Results, rows: Sequence[Row], *, whole: bool) -> list[Verdict]:
    """Whether ours is ahead; whole: all that the limits are about was measured."""
    found = [_mean_over(name, rows, judged=whole) for name in results.of_kind(PEER)]
    found += [_mean_over(name, rows, judged=False) for name in results.of_kind(BY_HAND)]
    pairs = {
        (row.model, row.batch, row.targets, best): over(row, _OURS, best)
        for row in rows
        if (best := best_peer(results, row))
    }
    if pairs:
        worst = max(pairs, key=lambda key: pairs[key].middle)
        model, batch, targets, best = worst
        beyond = sum(pair.middle > _MOST_OF_BEST for pair in pairs.values())
        found.append(
            Verdict(
                f"ours over the best peer, worst of {len(pairs)} rows: {pairs[worst]} ({model}, "
                f"batch {batch}, {_targets(targets)}, {best}; limit {_MOST_OF_BEST:.2f}, beyond "
                f"it: {beyond})",
                False if beyond else (whole or None),  # a part cannot keep it for the whole
            )
        )
    return found


def _mean_over(name: str, rows: Sequence[Row], *, judged: bool) -> Verdict:
    there = [row for row in rows if name in row.seconds]
    mean = geometric(over(row, _OURS, name) for row in there)
    if mean is None:
        return Verdict(f"{name} was not measured")
    parts = []
    for key in dict.fromkeys((row.batch, row.targets) for row in there):
        part = geometric(over(row, _OURS, name) for row in there if (row.batch, row.targets) == key)
        assert part is not None
        parts.append(f"{part.middle:.2f} batch {key[0]} {_targets(key[1])}")
    text = f"ours over {name}, geometric mean of {len(there)} rows: {mean}; {', '.join(parts)}"
    return Verdict(text, mean.middle < 1 if judged else None)


def _saved(rows: Sequence[Row], *, whole: bool) -> list[Verdict]:
    found = []
    for family, limit, unit in (
        ("resnet", _MOST_SAVED_RESNET, "MiB"),
        ("densenet", _MOST_SAVED_DENSENET, "target activations"),
    ):
        there = [row for row in rows if row.model.startswith(family) and row.batch <= _JUDGED_BATCH]
        sizes = {
            (row.model, row.batch, row.targets): row.saved[_OURS]
            / (1 if unit == "MiB" else row.activation)
            for row in there
        }
        if sizes:
            worst = max(sizes, key=lambda key: sizes[key])
            found.append(
                Verdict(
                    f"saved for backward beyond parameters and target activation, {family}s up to "
                    f"batch {_JUDGED_BATCH}, most: {sizes[worst]:.3f} {unit} ({worst[0]}, batch "
                    f"{worst[1]}, {_targets(worst[2])}; limit {limit:g})",
                    False if sizes[worst] > limit else (whole or None),
                )
            )
    return found


def _exactness(results: Results) -> list[Verdict]:
    found = []
    for name in results.of_kind(OURS, PEER, BY_HAND):
        there = [one for one in results.agreements if one.contender == name]
        known = [(one.worst, one.model) for one in there if one.worst is not None]
        if known:
            worst, model = max(known)
            maps = sum(one.compared for one in there)
            found.append(
                Verdict(
                    f"{name} differs from full float64 autograd by at most {worst:.1e} in any cell "
                    f"of {maps} maps ({model})"
                )
            )
    return found


def _targets(count: int) -> str:
    return "one target" if count == 1 else f"{count} targets"


def share(mebibytes: float, activation: float) -> float:
    """As a multiple of the target activation."""
    return mebibytes / activation if activation else math.nan
