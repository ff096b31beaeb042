"""Runs the sanity check of :mod:`evaluation.randomisation` for several contenders at once."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from archived_model import ArchivedModel
from evaluation.contenders import Contender, Maps, explained
from evaluation.pictures import Batch
from evaluation.randomisation import Map, cascade, rank_correlation, structural_similarity
from gradcam.service import make_explainer

Found = dict[tuple[str, str], dict[str, list[list[float]]]]


def forget(
    model: ArchivedModel, contenders: Sequence[Contender], batch: Batch, seed: int
) -> tuple[list[str], Found]:
    """Compares maps before and after each stage of the network is drawn anew.

    Args:
        model: The trained network's.
        contenders: Methods at a layer; maps that know nothing are simply made again.
        batch: The pictures.
        seed: For the parameters.

    Returns:
        The stages' names, from the logits down; and by method and layer, for
        ``rank_correlation`` (of signed maps) and ``similarity`` (of shown maps), after each stage
        the numbers of all pictures.
    """
    classes = [[index] for index in batch.classes.tolist()]
    originals = [one.maps(batch.inputs, classes) for one in contenders]
    found: Found = {
        (one.method, one.layer): {"rank_correlation": [], "similarity": []} for one in contenders
    }
    names = []
    for name, network in cascade(model.explainer.network, batch.inputs[:1], seed):
        names.append(name)
        forgetful = make_explainer(network, model.settings)
        for one, original in zip(contenders, originals, strict=True):
            now = one if one.is_baseline else explained(forgetful, one.method, one.layer)
            later = now.maps(batch.inputs, classes)
            entry = found[one.method, one.layer]
            for measure, values in _compare(original, later).items():
                entry[measure].append(values)
    return names, found


def _compare(one: Maps, other: Maps) -> dict[str, list[float]]:
    return {
        "rank_correlation": [
            rank_correlation(before, after)
            for before, after in zip(_arrays(one.signed), _arrays(other.signed), strict=True)
        ],
        "similarity": [
            structural_similarity(before, after)
            for before, after in zip(_arrays(one.shown), _arrays(other.shown), strict=True)
        ],
    }


def _arrays(maps: Tensor) -> list[Map]:
    return [np.asarray(one[0], np.float64) for one in maps]
