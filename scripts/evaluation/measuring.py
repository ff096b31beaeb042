"""The numbers of one contender, picture by picture."""

from collections.abc import Mapping

import torch
from torch import Tensor

from asking import probabilities
from evaluation import masking, pointing, road
from evaluation.contenders import CHUNK, Contender
from evaluation.pictures import Batch
from evaluation.ranking import Probability, area, ranks
from gradcam import Explainer, GradcamError
from gradcam.geometry import Box

Columns = dict[str, list[float]]
"""By measure, a number for each picture."""


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
            rows.append(probabilities(explainer, outcome.logits))
    return torch.stack(rows).to(pictures.device)


def mask(
    contender: Contender,
    batch: Batch,
    before: Tensor,
    probability: Probability,
    boxes: Mapping[str, tuple[Box, ...]],
    seed: int,
) -> tuple[Columns, dict[str, list[float]]]:
    """The measures that hide pixels, and the energy in boxes.

    Args:
        contender: Makes the maps.
        batch: N pictures.
        before: ``[N]``, the probability of each picture's class.
        probability: The network.
        boxes: Of pictures by name, those that have any.
        seed: For the lot among equal pixels and for noise.

    Returns:
        By measure, a number for each picture; and the mean curves.
    """
    measured: Columns = {}
    parts: dict[str, list[Tensor]] = {}
    generator = torch.Generator().manual_seed(seed)  # the same lot for every contender
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
            if name in boxes:
                cover = pointing.box_cover(boxes[name], view)
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
