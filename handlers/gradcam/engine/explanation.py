"""What the engine is asked about a picture, and what it answers."""

from dataclasses import dataclass

from torch import Tensor

from gradcam.engine.targets import Target, Top
from gradcam.methods import DEFAULT_METHOD

FUSIONS = ("mean", "max")
"""How the maps of several layers become one."""


@dataclass(frozen=True)
class Ask:
    """What to explain of one picture.

    Attributes:
        targets: Class indices, the picture's own best few, and differences of two classes.
        method: A registered method.
        layers: Dotted module names; none for the default layer. Several are fused into one map.
        fuse: How they are: one of :data:`FUSIONS`.
        smooth: Noisy copies of the picture whose maps are averaged; 0 for none.
        noise: The copies' standard deviation, as a share of the range of the network's input.
        seed: Of the noise.
        flip: Average with the map of the mirrored picture, mirrored back.
        score: Measure how far the logits follow the map (:class:`Faithfulness`).
        call: Which call of a module that is called several times, as Python counts: 0 is the
            first, -1 the last.

    Raises:
        ValueError: A number or a name is none of these.
    """

    targets: tuple[Target, ...] = (Top(1),)
    method: str = DEFAULT_METHOD
    layers: tuple[str, ...] = ()
    fuse: str = FUSIONS[0]
    smooth: int = 0
    noise: float = 0.15
    seed: int = 0
    flip: bool = False
    score: bool = False
    call: int = -1

    def __post_init__(self) -> None:
        if self.fuse not in FUSIONS:
            raise ValueError(f"fuse {self.fuse!r} is not one of {', '.join(FUSIONS)}")
        if self.smooth < 0 or self.seed < 0:
            raise ValueError("smooth and seed are whole numbers from 0 up")
        if not 0 <= self.noise <= 1:
            raise ValueError(f"noise {self.noise!r} is not a number from 0 to 1")
        if isinstance(self.layers, str):  # its letters would pass as names
            raise ValueError("layers are a tuple of names")  # noqa: TRY004


@dataclass(frozen=True)
class Faithfulness:
    """How far the class's probability follows one map, measured (``docs/evidence.md``).

    Where a model has no probabilities (``activation: none``) its scores stand in their place, so
    that areas have no bounds, and there is no average drop.

    Attributes:
        deletion: The area under the probability while the map's best cells are masked first, 0…1;
            low if the map names what the class rests on.
        insertion: The same while the best cells are shown first; high if it does.
        average_drop: The share of the probability that is lost when the picture is shown through
            the map, 0…1; low if the map leaves in what counts. ``None`` for scores.
        increase: Whether the probability grew instead.
        of: What was measured: ``"probability"`` or ``"score"``.
        space: Where deletion and insertion took place: ``"layer"`` or ``"input"``.
        steps: How many steps lead from all to nothing.
    """

    deletion: float
    insertion: float
    average_drop: float | None
    increase: bool
    of: str
    space: str
    steps: int


@dataclass(frozen=True)
class RawMap:
    """One explanation of one picture.

    Attributes:
        index: The class that is explained.
        layers: The target layers; one map comes of them all.
        method: The method.
        values: ``[h, w]`` on the CPU, at the layer's own resolution; signed, before the method's
            final ReLU; float32, or float64 where the network is.
        versus: The class that it is explained against, for the difference of two.
        silent: The gradient at the layer is zero everywhere: the logit does not respond to it.
        bypassed: A path leads around the layer, so the map tells a part of what the logit saw.
        faithfulness: Where it was measured.
        parts: Of several layers, each one's own map, ``[h, w]``, signed; ``values`` is what they
            were fused into, 0…1. Empty for a single layer.
    """

    index: int
    layers: tuple[str, ...]
    method: str
    values: Tensor
    versus: int | None = None
    silent: bool = False
    bypassed: bool = False
    faithfulness: Faithfulness | None = None
    parts: tuple[Tensor, ...] = ()

    @property
    def maximum(self) -> float:
        """The map's greatest value after the ReLU."""
        return max(0.0, float(self.values.max()))

    def heatmap(self, maximum: float | None = None) -> Tensor:
        """The map after the ReLU over a maximum: ``[h, w]``, 0…1 (all zeros if nothing is).

        Args:
            maximum: What becomes 1, at least the map's own; ``None`` for the map's own.
        """
        positive = self.values.clamp(min=0)
        greatest = self.maximum if maximum is None else maximum
        return positive / greatest if greatest > 0 else positive


@dataclass(frozen=True)
class Outcome:
    """The answer for one picture.

    Attributes:
        logits: ``[C]`` on the CPU, float32 (float64 where the network is).
        maps: One for each class or difference that the targets mean, in order.
    """

    logits: Tensor
    maps: tuple[RawMap, ...] = ()
