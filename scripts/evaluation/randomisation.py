"""The parameter-randomisation sanity check: a map must change when the network forgets.

Adebayo, Gilmer, Muelly, Goodfellow, Hardt & Kim, "Sanity Checks for Saliency Maps", NeurIPS 2018,
section 3: parameters are drawn anew stage by stage from the logits down, each stage on top of
those before (cascading), and the map is compared with that of the trained network. A method whose
maps stay alike does not look at what the network has learnt.
"""

import copy
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats
from skimage.metrics import structural_similarity as windowed_similarity
from torch import Tensor, nn

Map = npt.NDArray[np.float64]


def stages(network: nn.Module, example: Tensor) -> list[tuple[str, tuple[str, ...]]]:
    """The modules that own parameters, in stages from the logits down.

    A stage is a child of the network; a child that holds more than half of these modules is taken
    apart into its own children. Stages are ordered by when they were last called.

    Args:
        network: In evaluation mode.
        example: ``[1, 3, H, W]``.

    Returns:
        Of each stage the name, and the names of its modules that own parameters.
    """
    owners = [
        name
        for name, module in network.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    ]
    last = _last_calls(network, owners, example)
    grouped = _group(owners, "", len(owners) / 2)
    # what is never called itself (some modules' parameters are used by their parents) stands with
    # its neighbours
    order = {
        name: max((last.get(owner, -1) for owner in members), default=-1)
        for name, members in grouped.items()
    }
    return [
        (name, tuple(grouped[name]))
        for name in sorted(grouped, key=order.__getitem__, reverse=True)
    ]


def cascade(network: nn.Module, example: Tensor, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """Copies of a network with ever more of its parameters drawn anew, from the logits down.

    Modules draw their parameters as they do when they are made (``reset_parameters``); where one
    has no such method, from the normal distribution with each parameter's own mean and standard
    deviation.

    Args:
        network: In evaluation mode; it stays as it is.
        example: ``[1, 3, H, W]``.
        seed: For what is drawn.

    Yields:
        The name of the stage that was drawn last, and the network: the same object each time.
    """
    forgetful = copy.deepcopy(network)
    modules = dict(forgetful.named_modules())
    for number, (name, members) in enumerate(stages(network, example)):
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed + number)
            for member in members:
                _draw(modules[member])
        yield name, forgetful


def rank_correlation(one: Map, other: Map) -> float:
    """Spearman's rank correlation of two maps' values, −1…1; 0 where one of them is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        found = float(stats.spearmanr(one.ravel(), other.ravel()).statistic)
    return found if np.isfinite(found) else 0.0


def structural_similarity(one: Map, other: Map) -> float:
    """The mean structural similarity (SSIM) of two maps, −1…1.

    Wang, Bovik, Sheikh & Simoncelli, "Image Quality Assessment: From Error Visibility to
    Structural Similarity", IEEE Transactions on Image Processing, 2004, with windows of 7×7
    pixels (smaller for smaller maps).

    Args:
        one: ``[H, W]``, 0…1.
        other: ``[H, W]``, 0…1.
    """
    side = min(7, *one.shape)
    window = side if side % 2 else side - 1
    return float(windowed_similarity(one, other, win_size=window, data_range=1.0))


def _last_calls(network: nn.Module, names: Sequence[str], example: Tensor) -> dict[str, int]:
    calls: dict[str, int] = {}
    handles = []
    for name in names:

        def note(*_: object, name: str = name) -> None:
            calls[name] = calls.pop(name, 0) + 1  # moves to the end

        handles.append(network.get_submodule(name).register_forward_hook(note))
    try:
        with torch.no_grad():
            network(example)
    finally:
        for handle in handles:
            handle.remove()
    return {name: position for position, name in enumerate(calls)}


def _group(owners: Sequence[str], prefix: str, most: float) -> dict[str, list[str]]:
    """Names by the child of ``prefix`` that they belong to, large children taken apart."""
    groups: dict[str, list[str]] = {}
    for owner in owners:
        rest = owner.removeprefix(prefix)
        groups.setdefault(prefix + rest.split(".")[0], []).append(owner)
    taken_apart: dict[str, list[str]] = {}
    for name, members in groups.items():
        if len(members) > most and members != [name]:
            within = [member for member in members if member != name]
            taken_apart |= _group(within, f"{name}.", most)
            if name in members:
                taken_apart[name] = [name]
        else:
            taken_apart[name] = members
    return taken_apart


def _draw(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
        return
    for parameter in module.parameters(recurse=False):
        if parameter.is_floating_point():
            deviation = float(parameter.std(correction=0)) if parameter.numel() > 1 else 1.0
            parameter.normal_(float(parameter.mean()), deviation)
