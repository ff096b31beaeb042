"""The walk of an evaluation: pictures in, every contender measured, one comparison out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archived_model import ArchivedModel
from asking import COSTLY
from evaluation import masking, pointing, road
from evaluation.contenders import Contender, baselines, explained, why_not
from evaluation.forgetting import forget
from evaluation.measuring import Columns, mask, point, predict, probability_of
from evaluation.pictures import Batch, DataError
from evaluation.ranking import Probability
from evaluation.results import Comparison, Row
from gradcam import Explainer, GradcamError
from gradcam.geometry import Box
from layer_selection import in_order
from progress import Progress


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
    progress = Progress(len(everyone) * (2 if grid else 1) + 1)
    columns: list[Columns] = []
    curves: list[Columns] = []
    probability = probability_of(explainer)
    for one in everyone:
        measured, curve = mask(one, batch, before, probability, plan.boxes, plan.seed)
        progress.step(f"hiding pixels: {one.method} {one.layer}")
        if grid:
            measured["grid_pointing"] = point(one, grid)
            progress.step(f"mosaics: {one.method} {one.layer}")
        columns.append(measured)
        curves.append(curve)
    few = batch.take(range(len(right))[: plan.forgetting])
    at_default = [one for one in everyone if one.layer in ("", default.name)]
    stages, forgotten = forget(model, at_default, few, plan.seed)
    progress.step("forgetting")
    for one, measured, curve in zip(everyone, columns, curves, strict=True):
        for name, found in forgotten.get((one.method, one.layer), {}).items():
            measured[name] = [sum(alike) / len(alike) for alike in zip(*found, strict=True)]
            curve[name] = [sum(values) / len(values) for values in found]
    described = {
        "name": model.name,
        "architecture": model.settings.architecture,
        "layer": default.name,
        "layers": in_order(explainer.layers, {one.layer for one in contenders}),
        "grid": [default.height, default.width],
        "input": [height, width],
    }
    rows = [
        Row(one.method, one.layer, measured, curve)
        for one, measured, curve in zip(everyone, columns, curves, strict=True)
    ]
    return Comparison(
        described,
        {**data, "drawn": len(drawn.names), "right": len(right)},
        {
            "seed": plan.seed,
            **_shown(batch, before, probability),
            **_grid_settings(plan, grid, no_grid),
            "forgetting": len(few.names),
        },
        rows,
        stages,
        skipped,
    )


def _shown(batch: Batch, before: Tensor, probability: Probability) -> dict[str, object]:
    """The points of the curves, and what the network says of the pictures and the baselines."""
    blank, blurred = torch.zeros_like(batch.inputs), masking.blur(batch.inputs)
    return {
        "shares": list(masking.SHARES),
        "road_shares": list(road.SHARES),
        "probability": round(float(before.mean()), 5),
        "probability_blank": round(float(probability(blank, batch.classes).mean()), 5),
        "probability_blurred": round(float(probability(blurred, batch.classes).mean()), 5),
    }


def _grid_settings(plan: Plan, grid: pointing.Mosaics | None, no_grid: str) -> dict[str, object]:
    return {
        "mosaics": len(grid.classes) if grid else 0,
        "mosaic_side": plan.side,
        "mosaic_scaled": grid.scaled if grid else None,
        "no_mosaics": no_grid,
    }


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
