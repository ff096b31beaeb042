"""What is compared: every method at a layer, and maps that know nothing of the network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from asking import ask_for
from gradcam import Explainer, GradcamError

CHUNK = 64
"""Pictures in one forward pass."""


@dataclass(frozen=True)
class Maps:
    """Maps of N pictures for T classes each, at the input's resolution.

    Attributes:
        signed: ``[N, T, H, W]``, before the ReLU.
        shown: ``[N, T, H, W]``, 0…1: after the ReLU and over the maximum, as in an answer.
    """

    signed: Tensor
    shown: Tensor


@dataclass(frozen=True)
class Contender:
    """A way to make maps.

    Attributes:
        method: Its name.
        layer: Where; empty for a map that does not look at the network.
        make: ``(pictures [N, 3, H, W], T classes for each) -> N·T grids [h, w]``, signed.
    """

    method: str
    layer: str
    make: Callable[[Tensor, Sequence[Sequence[int]]], list[Tensor]]

    @property
    def is_baseline(self) -> bool:
        """Whether it knows nothing of the network."""
        return not self.layer

    def maps(self, pictures: Tensor, classes: Sequence[Sequence[int]]) -> Maps:
        """Explains pictures, each for as many classes.

        Args:
            pictures: ``[N, 3, H, W]``.
            classes: T class indices for each.

        Raises:
            GradcamError: The method or the layer does not allow it.
            ValueError: Likewise.
        """
        size = (pictures.shape[2], pictures.shape[3])
        signed, shown = [], []
        for start in range(0, len(pictures), CHUNK):
            part = slice(start, start + CHUNK)
            grids = torch.stack(self.make(pictures[part], classes[part]))
            positive = grids.clamp(min=0)
            greatest = positive.amax(dim=(1, 2), keepdim=True)
            grey = torch.where(greatest > 0, positive / greatest, 0.0)
            signed.append(_enlarge(grids, size))
            shown.append(_enlarge(grey, size))
        shape = (len(pictures), -1, *size)
        return Maps(torch.cat(signed).view(shape), torch.cat(shown).view(shape))


def explained(explainer: Explainer, method: str, layer: str) -> Contender:
    """A method at a layer."""

    def make(pictures: Tensor, classes: Sequence[Sequence[int]]) -> list[Tensor]:
        asks = [ask_for(indices, method, layer) for indices in classes]
        grids = []
        for outcome in explainer.run(pictures, asks):
            if isinstance(outcome, GradcamError):
                raise outcome
            grids += [raw.values.float() for raw in outcome.maps]
        return grids

    return Contender(method, layer, make)


def baselines(cell: tuple[float, float], seed: int) -> tuple[Contender, ...]:
    """Maps that know nothing of the network: what a method must beat.

    ``random`` draws every cell of the default layer's grid from 0…1; ``gaussian`` is a bell in the
    middle, whose standard deviation is a quarter of each side; ``uniform`` is 1 everywhere.

    Args:
        cell: How many input pixels high and wide a cell of the default layer's map is.
        seed: For the random map, which is another one in every call.
    """
    generator = torch.Generator().manual_seed(seed)

    def repeat(
        draw: Callable[[tuple[int, int]], Tensor],
    ) -> Callable[[Tensor, Sequence[Sequence[int]]], list[Tensor]]:
        def make(pictures: Tensor, classes: Sequence[Sequence[int]]) -> list[Tensor]:
            height, width = pictures.shape[2:]
            shape = (max(1, round(height / cell[0])), max(1, round(width / cell[1])))
            return [draw(shape) for indices in classes for _ in indices]

        return make

    def random(shape: tuple[int, int]) -> Tensor:
        return torch.rand(shape, generator=generator)

    def gaussian(shape: tuple[int, int]) -> Tensor:
        rows, columns = (_bell(length) for length in shape)
        return rows[:, None] * columns[None, :]

    return (
        Contender("random", "", repeat(random)),
        Contender("gaussian", "", repeat(gaussian)),
        Contender("uniform", "", repeat(torch.ones)),
    )


def why_not(contender: Contender, picture: Tensor, index: int) -> str:
    """Why a contender cannot make maps; empty if it can.

    Args:
        contender: Is asked for one map.
        picture: ``[1, 3, H, W]``.
        index: A class.
    """
    try:
        contender.maps(picture, [[index]])
    except (GradcamError, ValueError) as error:
        return str(error)
    return ""


def _bell(length: int) -> Tensor:
    places = (torch.arange(length) + 0.5) / length - 0.5
    return torch.exp(-0.5 * (places / 0.25) ** 2)


def _enlarge(grids: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(grids[:, None], size, mode="bilinear", align_corners=False)[:, 0]
