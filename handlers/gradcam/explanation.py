"""What the engine is asked about a picture, and what it answers."""

from dataclasses import dataclass

from torch import Tensor

from gradcam.methods import DEFAULT_METHOD
from gradcam.targets import Target, Top


@dataclass(frozen=True)
class Ask:
    """What to explain of one picture.

    Attributes:
        targets: Class indices, or the picture's own best few.
        method: A registered method.
        layer: A dotted module name; ``None`` for the default layer.
    """

    targets: tuple[Target, ...] = (Top(1),)
    method: str = DEFAULT_METHOD
    layer: str | None = None


@dataclass(frozen=True)
class RawMap:
    """One explanation of one picture.

    Attributes:
        index: The class that is explained.
        layer: The target layer.
        method: The method.
        values: ``[h, w]`` on the CPU, at the layer's own resolution; signed, before the method's
            final ReLU; float32, or float64 where the network is.
    """

    index: int
    layer: str
    method: str
    values: Tensor

    @property
    def maximum(self) -> float:
        """The map's greatest value after the ReLU."""
        return max(0.0, float(self.values.max()))

    def heatmap(self) -> Tensor:
        """The map after the ReLU over its maximum: ``[h, w]``, 0…1 (all zeros if nothing is)."""
        positive = self.values.clamp(min=0)
        greatest = positive.max()
        return positive / greatest if greatest > 0 else positive


@dataclass(frozen=True)
class Outcome:
    """The answer for one picture.

    Attributes:
        logits: ``[C]`` on the CPU, float32 (float64 where the network is).
        maps: One for each class that the targets mean, in order.
    """

    logits: Tensor
    maps: tuple[RawMap, ...] = ()
