"""The walk of an evaluation: pictures in, every contender measured, one comparison out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archived_model import ArchivedModel
from asking import COSTLY
from evaluation import masking, pointing, road
from evaluation.contenders import CHUNK, Contender, baselines, explained, why_not
from evaluation.forgetting import forget
from evaluation.pictures import Batch, DataError
from evaluation.ranking import Probability, area, ranks
from evaluation.results import Comparison, Row
from gradcam import Explainer, GradcamError
from gradcam.geometry import Box
from layer_selection import in_order
from progress import Progress

Columns = dict[str, list[float]]


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes:
        methods: Which methods.
        layers: Where; the default layer is always among them.
        mosaics: How many mosaics.
        side: n of the n×n mosaics.
        forgetting: Of how many pictures the maps are compared while the network forgets.
        boxes: Of pictures by ``<class>/<file>``.
        seed: For all that is drawn.
    """

    methods: Sequence[str]
    layers: Sequence[str]
    mosaics: int
    side: int
    forgetting: int
    boxes: Mapping[str, tuple[Box, ...]]
    seed: int


def probability_of(explainer: Explainer) -> Probability:
    """The softmax probability of each picture's class, by forward passes in chunks."""

    def probability(pictures: Tensor, classes: Tensor) -> Tensor:
        return predict(explainer, pictures).gather(1, classes[:, None])[:, 0]

    return probability


def predict(explainer: Explainer, pictures: Tensor) -> Tensor:
    """Probabilities ``[N, C]`` on the pictures' device."""
    rows = []
    for start in range(0, len(pictures), CHUNK):
        part = pictures[start : start + CHUNK]
        for outcome in explainer.run(part, [None] * len(part)):
            if isinstance(outcome, GradcamError):
                raise outcome
            rows.append(outcome.logits.softmax(dim=0))
    return torch.stack(rows).to(pictures.device)


def compare(
    model: ArchivedModel, drawn: Batch, data: Mapping[str, object], plan: Plan
) -> Comparison:
    """Measures every method at every layer, and the maps that know nothing of the network.

    Only pictures that the network gets right are used: the class that is explained is then both
    what the picture shows and what the network says.

    Raises:
        DataError: The network gets none of the pictures right.
        UnusableLayer: The network has no default layer.
    """
    explainer = model.explainer
    default = explainer.layers.choose(model.named_layer)
    probabilities = predict(explainer, drawn.inputs)
    right = (probabilities.argmax(dim=1) == drawn.classes).nonzero().flatten().tolist()
    if not right:
        raise DataError("the network gets none of these pictures right, so nothing can be compared")
    batch = drawn.take(right)
    before = probabilities[right].gather(1, batch.classes[:, None])[:, 0]
    height, width = batch.inputs.shape[2:]
    contenders, skipped = _contenders(explainer, plan, default.name, batch)
    unknowing = baselines((height / default.height, width / default.width), plan.seed)
    grid, no_grid = _mosaics(explainer, batch, before, plan, default.name)
    everyone = [*contenders, *unknowing]
    at_default = [one for one in everyone if one.layer in ("", default.name)]
    progress = Progress(len(everyone) * (2 if grid else 1) + 1)
    columns: list[Columns] = []
    curves: list[dict[str, list[float]]] = []
    for one in everyone:
        measured, curve = mask(one, batch, before, probability_of(explainer), plan)
        progress.step(f"hiding pixels: {one.method} {one.layer}")
        if grid:
            measured["grid_pointing"] = point(one, grid)
            progress.step(f"mosaics: {one.method} {one.layer}")
        columns.append(measured)
        curves.append(curve)
    stages, forgotten = forget(
        explainer, at_default, batch.take(range(len(right))[: plan.forgetting]), plan.seed
    )
    progress.step("forgetting")
    for one, measured, curve in zip(everyone, columns, curves, strict=True):
        for name, found in forgotten.get((one.method, one.layer), {}).items():
            measured[name] = found[-1]
            curve[name] = [sum(values) / len(values) for values in found]
    blank, blurred = torch.zeros_like(batch.inputs), masking.blur(batch.inputs)
    probability = probability_of(explainer)
    return Comparison(
        model={
            "name": model.name,
            "architecture": model.settings.architecture,
            "layer": default.name,
            "layers": in_order(explainer.layers, {one.layer for one in contenders}),
            "grid": [default.height, default.width],
            "input": [height, width],
        },
        data={**data, "drawn": len(drawn.names), "right": len(right)},
        settings={
            "seed": plan.seed,
            "shares": list(masking.SHARES),
            "road_shares": list(road.SHARES),
            "probability": round(float(before.mean()), 5),
            "probability_blank": round(float(probability(blank, batch.classes).mean()), 5),
            "probability_blurred": round(float(probability(blurred, batch.classes).mean()), 5),
            "mosaics": 0 if grid is None else len(grid.classes),
            "mosaic_side": plan.side,
            "mosaic_scaled": None if grid is None else grid.scaled,
            "no_mosaics": no_grid,
            "forgetting": min(plan.forgetting, len(right)),
        },
        rows=[
            Row(one.method, one.layer, measured, curve)
            for one, measured, curve in zip(everyone, columns, curves, strict=True)
        ],
        stages=stages,
        skipped=skipped,
    )


def mask(
    contender: Contender, batch: Batch, before: Tensor, probability: Probability, plan: Plan
) -> tuple[Columns, dict[str, list[float]]]:
    """The measures that hide pixels, and the energy in boxes.

    Args:
        contender: Makes the maps.
        batch: N pictures.
        before: ``[N]``, the probability of each picture's class.
        probability: The network.
        plan: Its boxes and seed.

    Returns:
        By measure, a number for each picture; and the mean curves.
    """
    measured: Columns = {}
    parts: dict[str, list[Tensor]] = {}
    generator = torch.Generator().manual_seed(plan.seed)  # the same lot for every contender
    for start in range(0, len(batch.names), CHUNK):
        some = batch.take(range(len(batch.names))[start : start + CHUNK])
        maps = contender.maps(some.inputs, [[index] for index in some.classes.tolist()])
        shown = maps.shown[:, 0].to(some.inputs.device)
        places = ranks(maps.signed[:, 0], generator).to(some.inputs.device)
        arguments = (some.inputs, places, probability, some.classes)
        deletion, insertion = (
            masking.deletion_curve(*arguments),
            masking.insertion_curve(*arguments),
        )
        most, least = road.road_curves(*arguments, generator)
        old = before[start : start + CHUNK]
        new = probability(masking.highlight(some.inputs, shown), some.classes)
        for name, curve in (
            ("deletion", deletion),
            ("insertion", insertion),
            ("road_most", most),
            ("road_least", least),
        ):
            parts.setdefault(name, []).append(curve)
        for name, values in (
            ("deletion", area(deletion, masking.SHARES)),
            ("insertion", area(insertion, masking.SHARES)),
            ("road", road.combined(most, least)),
            ("average_drop", masking.average_drop(old, new)),
            ("increase", masking.increase(old, new)),
        ):
            measured.setdefault(name, []).extend(values.tolist())
        for name, view, values in zip(some.names, some.views, shown.cpu(), strict=True):
            if name in plan.boxes:
                cover = pointing.box_cover(plan.boxes[name], view)
                share = float(pointing.mass_share(values[None], cover))
                measured.setdefault("box_energy", []).append(share)
    return measured, {name: torch.cat(some).mean(dim=0).tolist() for name, some in parts.items()}


def point(contender: Contender, grid: pointing.Mosaics) -> list[float]:
    """Of each mosaic, the mean share of mass in the right cell."""
    found = []
    for picture, classes in zip(grid.pictures, grid.classes, strict=True):
        shown = contender.maps(picture[None], [classes]).shown[0]
        cells = torch.stack([grid.cell(number) for number in range(len(classes))])
        found.append(float(pointing.mass_share(shown, cells).mean()))
    return found


def _contenders(
    explainer: Explainer, plan: Plan, default: str, batch: Batch
) -> tuple[list[Contender], list[tuple[str, str, str]]]:
    layers = list(dict.fromkeys([*plan.layers, default]))
    able, skipped = [], []
    for layer in reversed(layers):
        for method in plan.methods:
            if method in COSTLY and layer != default:
                continue  # a pass for every channel, at every layer, would take hours
            one = explained(explainer, method, layer)
            reason = why_not(one, batch.inputs[:1], int(batch.classes[0]))
            if reason:
                skipped.append((method, layer, reason))
            else:
                able.append(one)
    return sorted(able, key=lambda one: one.layer != default), skipped


def _mosaics(
    explainer: Explainer, batch: Batch, before: Tensor, plan: Plan, layer: str
) -> tuple[pointing.Mosaics | None, str]:
    """Mosaics as large as the network takes them, or why there are none."""
    if not plan.mosaics:
        return None, "not asked for"

    def make(count: int, *, scaled: bool) -> pointing.Mosaics:
        generator = torch.Generator().manual_seed(plan.seed)
        return pointing.mosaics(
            batch.inputs,
            batch.classes.tolist(),
            before,
            plan.side,
            count,
            generator,
            scaled=scaled,
        )

    try:
        large = make(1, scaled=False)
    except ValueError as error:
        return None, str(error)
    scaled = not _takes(
        lambda: explained(explainer, "gradcam", layer).maps(large.pictures, [large.classes[0]])
    )
    return make(plan.mosaics, scaled=scaled), ""


def _takes(work: Callable[[], object]) -> bool:
    """Whether a network takes a picture of another size; each says no in its own way."""
    try:
        work()
    except (GradcamError, RuntimeError, AssertionError, ValueError):
        return False
    return True
