"""How far a contender's maps are from full autograd in float64."""

from dataclasses import dataclass

import finding  # noqa: F401 - it finds the tests' oracle
import numpy as np
import numpy.typing as npt
import torch
from asked import Answer
from subjects import Subject
from torch import Tensor

from oracles import Arrange, as_it_is, channels_last, full_autograd_map, token_grid

_LEAST = 1e-3


@dataclass(frozen=True)
class Agreement:
    """One contender's maps against the exact ones.

    Attributes:
        model: Torchvision's name.
        targets: How many classes of each picture.
        contender: Its name.
        worst: The greatest difference in any cell of any map, each after the ReLU and over its
            maximum: 0…1. ``None`` where there was nothing to compare.
        compared: How many maps were. Those are left out that in truth have next to nothing above
            zero, less than a thousandth of their greatest magnitude.
        maps: How many there are.
        other_classes: How many maps are of another class than the plain forward pass has there.
    """

    model: str
    targets: int
    contender: str
    worst: float | None
    compared: int
    maps: int
    other_classes: int


class Oracle:
    """The exact maps of a subject's classes on some pictures, each worked out once."""

    def __init__(self, subject: Subject, pictures: Tensor) -> None:
        self.pictures = pictures
        self._subject = subject
        self._known: dict[tuple[int, int], Tensor] = {}
        layout = subject.layer.layout
        self._arrange: Arrange = as_it_is
        if layout.kind == "channels_last":
            self._arrange = channels_last
        elif layout.kind == "tokens":
            self._arrange = token_grid(layout.skipped, layout.height, layout.width)

    def map(self, picture: int, index: int) -> Tensor:
        """The map of one class before the ReLU: ``[h, w]`` in float64 on the CPU."""
        if (picture, index) not in self._known:
            network, layer = self._subject.network, self._subject.layer.name
            exact = full_autograd_map(network, layer, self.pictures[picture], index, self._arrange)
            self._known[picture, index] = exact.cpu()
        return self._known[picture, index]

    def judge(self, contender: str, answer: Answer) -> Agreement:
        """Holds an answer about the pictures against the exact maps."""
        with torch.inference_mode():
            logits = self._subject.network(self.pictures)
        expected = logits.topk(answer.indices.shape[1]).indices.cpu()
        distances = []
        for picture, row in enumerate(answer.indices.tolist()):
            for rank, index in enumerate(row):
                exact = self.map(picture, index)
                if exact.max() > _LEAST * exact.abs().max():
                    distances.append(distance(answer.maps[picture, rank], exact))
        return Agreement(
            self._subject.name,
            answer.indices.shape[1],
            contender,
            max(distances, default=None),
            len(distances),
            answer.indices.numel(),
            int((answer.indices != expected).sum()),
        )


def distance(found: Tensor, exact: Tensor) -> float:
    """The greatest difference of two maps in any cell, each after the ReLU and over its maximum."""
    return float(np.abs(_scaled(found) - _scaled(exact)).max())


def _scaled(values: Tensor) -> npt.NDArray[np.float64]:
    positive: npt.NDArray[np.float64] = np.maximum(values.double().numpy(), 0)
    return positive / positive.max() if positive.max() > 0 else positive
