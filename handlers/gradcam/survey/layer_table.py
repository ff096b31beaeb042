"""What a survey of a network's layers is kept in, and how a layer is chosen from it."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from gradcam.errors import UnusableLayer
from gradcam.survey.layout import CHANNELS_FIRST, Layout


@dataclass(frozen=True)
class Layer:
    """A layer that a map can be made at.

    Attributes:
        name: The module's dotted name.
        channels: Of its activation.
        height: Of its activation, and so of the map.
        width: Likewise.
        layout: How its activation holds the map.
        bypassed: Whether the logits know about the picture on other ways too, such as a residual
            connection around the layer. A map shows only what went through the layer.
        linear_head: Whether only an average over all cells and one linear map lie between the
            layer and the logits.
        differentiable: Whether the logits have a gradient here. Where they do not, as behind a
            quantised head, methods without gradients remain.
        calls: How many times the network called it.
    """

    name: str
    channels: int
    height: int
    width: int
    layout: Layout = CHANNELS_FIRST
    bypassed: bool = False
    linear_head: bool = False
    differentiable: bool = True
    calls: int = 1


@dataclass(frozen=True)
class LayerTable:
    """What a survey of a network found.

    Attributes:
        modules: For every module, in the network's order, either the layer that a map can be made
            at or the reason why it is none.
        candidates: From input to logits, the layers through which every path from the picture to
            the logits passes and that are not stacks of class maps; one name per tensor.
        default: The last of them, before the pooling that ends or follows it. Where only class
            tokens go on from there it is what the last attention reads its tokens from, which is
            bypassed and so no candidate. ``None`` where the network has neither.
        why_no_default: The reason for that, else empty.
        classes: How many logits were read off the network's output; of one there are two.
    """

    modules: Mapping[str, Layer | str]
    candidates: tuple[str, ...]
    default: str | None
    why_no_default: str
    classes: int = 0

    @property
    def usable(self) -> tuple[str, ...]:
        """The names of all layers that a map can be made at."""
        return tuple(name for name, found in self.modules.items() if isinstance(found, Layer))

    def choose(self, name: str | None) -> Layer:
        """The layer of that name, or the default.

        Raises:
            UnusableLayer: With the reason, and the nearest layer that can be used.
        """
        if name is None:
            if self.default is None:
                raise UnusableLayer(self.why_no_default)
            name = self.default
        found = self.modules.get(name)
        if found is None:
            close = difflib.get_close_matches(name[:200], self.usable, n=3, cutoff=0.4)
            hint = f"the closest are {', '.join(close)}" if close else self._default_hint()
            raise UnusableLayer(f"layer {name[:200]!r} does not exist; {hint}")
        if isinstance(found, str):
            raise UnusableLayer(f"layer {name!r} {found}; {self.nearest_hint(name)}")
        return found

    def nearest_hint(self, name: str) -> str:
        """Names the usable layer nearest to a module in the network's order."""
        usable = [other for other in self.usable if other != name]
        # one that a residual leads around tells only a part of what the logits see
        others = [other for other in usable if self._is_whole(other)] or usable
        if not others:
            return "this network has no layer that can be used"
        order = {module: number for number, module in enumerate(self.modules)}
        # a module has its output when the last module inside of it has
        ends = {outer: end for inner, end in order.items() for outer in _around(inner)}

        def distance(other: str) -> tuple[int, int]:
            return abs(ends[other] - ends[name]), abs(order[other] - order[name])

        return f"the nearest usable layer is {min(others, key=distance)}"

    def _is_whole(self, name: str) -> bool:
        found = self.modules[name]
        return name == self.default or (isinstance(found, Layer) and not found.bypassed)

    def _default_hint(self) -> str:
        return f"the default is {self.default}" if self.default else self.why_no_default


def _around(name: str) -> list[str]:
    """The module itself, and those that contain it."""
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]
