"""Further passes for one picture: through the whole network, or through what follows a layer."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradcam.errors import out_of_time
from gradcam.survey.layers import Layer
from gradcam.survey.tap import transform

_MOST_COPIES, _MOST_NUMBERS = 64, 32_000_000
"""How many copies of a layer's activations run at once at most, and how many numbers they have."""


@dataclass(frozen=True)
class Runner:
    """A network, and how much of it may be run.

    Attributes:
        network: In evaluation mode.
        readout: From its output to logits.
        rows: Pictures in one pass at most.
        deadline: On :func:`time.monotonic`'s clock.
    """

    network: nn.Module
    readout: Callable[[object], Tensor]
    rows: int
    deadline: float

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits of pictures, ``[P, 3, H, W]`` to ``[P, classes]``, in passes of ``rows``.

        Raises:
            TooLarge: Time was up before the last pass.
        """
        answers = []
        for chunk in torch.split(pictures, self.rows):
            self.check_time()
            with torch.inference_mode():
                answers.append(self.readout(self.network(chunk)))
        return torch.cat(answers)

    def check_time(self) -> None:
        """Refuses to go on when time is up.

        Raises:
            TooLarge: It is.
        """
        if time.monotonic() > self.deadline:
            raise out_of_time()


@dataclass(frozen=True)
class Head:
    """What follows one call of a layer.

    The part before the layer runs once a call, over whatever pictures it is given; behind the
    layer there are as many rows as are put there. A residual that leads around the layer brings
    what it had: with the one picture that the activations are of it is right for every row.

    Attributes:
        network: In evaluation mode.
        readout: From its output to logits.
        layer: The layer.
        call: Which of its calls, from 0.
        output: The layer's output for the picture, ``[1, …]``, in the layer's own shape.
    """

    network: nn.Module
    readout: Callable[[object], Tensor]
    layer: Layer
    call: int
    output: Tensor

    @property
    def room(self) -> int:
        """How many copies of the activations may run at once.

        Each pass runs the part before the layer too, so the fewer the better.
        """
        return max(1, min(_MOST_COPIES, _MOST_NUMBERS // self.output.numel()))

    def maps(self) -> Tensor:
        """The picture's own activations: ``[1, C, h, w]``."""
        return self.layer.layout.to_maps(self.output)

    def instead(self, picture: Tensor, maps: Tensor) -> Tensor:
        """The logits for the activations ``maps``.

        Args:
            picture: ``[1, 3, H, W]``, that the part before the layer runs over.
            maps: ``[R, C, h, w]``.

        Returns:
            ``[R, classes]``.
        """
        return self._run(picture, lambda _: self._shaped(maps))

    def beside(self, pictures: Tensor, maps: Tensor) -> Tensor:
        """The logits of pictures, and in the same pass those for the activations ``maps``.

        Args:
            pictures: ``[P, 3, H, W]``.
            maps: ``[R, C, h, w]``.

        Returns:
            ``[P + R, classes]``.
        """
        return self._run(pictures, lambda own: torch.cat([own, self._shaped(maps)]))

    def _shaped(self, maps: Tensor) -> Tensor:
        like = self.output.expand(len(maps), *self.output.shape[1:])
        return self.layer.layout.from_maps(maps.to(self.output), like)

    def _run(self, pictures: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        with (
            torch.inference_mode(),
            transform(self.network, self.layer.name, self.call, change),
        ):
            return self.readout(self.network(pictures))


def agree(again: Tensor, logits: Tensor, dtype: torch.dtype) -> bool:
    """Whether logits are the picture's own, but for rounding.

    Args:
        again: ``[R, classes]``.
        logits: ``[classes]``.
        dtype: What the network computes in; the logits may be given more precisely.
    """
    # other sizes of a batch round otherwise, half precision more coarsely
    share = max(1e-3, 8 * torch.finfo(dtype).eps)
    return bool((again - logits).abs().max() <= share * logits.abs().max())
