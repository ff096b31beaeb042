"""From a batch's forward pass to one picture's answer: further passes, averages, fusion, scores."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gradcam.engine.explanation import Ask, RawMap
from gradcam.engine.forward import Passed, run_forward
from gradcam.engine.further import answer_open, head_of
from gradcam.engine.fusion import fuse
from gradcam.engine.questions import LayerMap, layers_of
from gradcam.engine.runner import Runner
from gradcam.engine.scoring import Scorer
from gradcam.engine.targets import Difference, Goal, Target
from gradcam.engine.variants import mirrored, noisy
from gradcam.errors import EngineFault, out_of_time
from gradcam.survey.layers import LayerTable

_Found = Mapping[tuple[int, str], LayerMap]
"""A picture's maps by number and layer."""


@dataclass(frozen=True)
class Finisher:
    """Finishes the answers of one batch.

    Attributes:
        runner: Of the network.
        table: Its layers.
        activation: From logits to probabilities: one of
            :data:`gradcam.engine.probability.ACTIVATIONS`.
    """

    runner: Runner
    table: LayerTable
    activation: str

    def maps(self, picture: Tensor, ask: Ask, passed: Passed, row: int) -> tuple[RawMap, ...]:
        """The maps of one picture, one for each of its goals.

        Args:
            picture: ``[3, H, W]``.
            ask: What is asked of it.
            passed: The batch's forward pass.
            row: The picture's place in that.

        Raises:
            TooLarge: Time was up.
            EngineFault: A map is not finite.
            UnusableLayer: The method does not go with the layer.
        """
        if row in passed.late:
            raise out_of_time()
        # of noisy copies the mean is the map, and the picture's own is none of them
        found = {} if ask.smooth else self._found(picture, passed, row)
        if ask.smooth or ask.flip:
            found = self._averaged(picture, ask, passed, row, found)
        maps = self._fused(ask, passed, row, found)
        return self._scored(picture, ask, passed, row, maps) if ask.score else maps

    def _found(self, picture: Tensor, passed: Passed, row: int) -> _Found:
        """One row's maps, those that take further passes included."""
        known = {q: found for q, found in passed.maps.items() if q.row == row}
        pending = [q for q in passed.open if q.row == row]
        known |= answer_open(self.runner, picture, passed, pending)
        for q, found in known.items():
            if not bool(found.values.isfinite().all()):
                raise EngineFault(
                    f"the gradient of class {q.goal.index} at layer {q.layer.name!r} is not "
                    "finite, so there is no map; ask for another layer, and check the model's "
                    "weights"
                )
        return {(q.number, q.layer.name): found for q, found in known.items()}

    def _averaged(self, picture: Tensor, ask: Ask, passed: Passed, row: int, own: _Found) -> _Found:
        """The maps' means over noisy copies, mirrored ones, or both."""
        targets = tuple(map(_target, passed.goals[row]))  # the picture's own, not the copy's
        plain = replace(ask, targets=targets, smooth=0, flip=False, score=False)
        rows = self.runner.rows
        uprights = (
            noisy(picture, ask.smooth, ask.noise, ask.seed, rows) if ask.smooth else [picture[None]]
        )
        sums = _Sums()
        sums.add(own)
        for upright in uprights:
            if ask.smooth:
                for found in self._found_in(upright, plain):
                    sums.add(found)
            if ask.flip:
                for found in self._found_in(mirrored(upright), plain):
                    sums.add(found, turned=True)
        return sums.means()

    def _found_in(self, copies: Tensor, ask: Ask) -> Iterator[_Found]:
        """The maps of every copy of a chunk."""
        self.runner.check_time()
        network, readout, deadline = self.runner.network, self.runner.readout, self.runner.deadline
        asks = [ask] * len(copies)
        again = run_forward(network, self.table, readout, copies, asks, deadline)
        if again.late:
            raise out_of_time()
        for number, copy in enumerate(copies):
            yield self._found(copy, again, number)

    def _fused(self, ask: Ask, passed: Passed, row: int, found: _Found) -> tuple[RawMap, ...]:
        """One map per goal, of one layer or of several as one."""
        layers = layers_of(self.table, ask)
        maps = []
        for number, goal in enumerate(passed.goals[row]):
            parts = [found[number, layer.name] for layer in layers]
            values = [part.values for part in parts]
            maps.append(
                RawMap(
                    index=goal.index,
                    layers=tuple(layer.name for layer in layers),
                    method=ask.method,
                    values=values[0] if len(values) == 1 else fuse(values, ask.fuse),
                    versus=goal.versus,
                    silent=all(part.silent for part in parts),
                    bypassed=any(layer.bypassed for layer in layers),
                    parts=tuple(values) if len(values) > 1 else (),
                )
            )
        return tuple(maps)

    def _scored(
        self, picture: Tensor, ask: Ask, passed: Passed, row: int, maps: tuple[RawMap, ...]
    ) -> tuple[RawMap, ...]:
        layers = layers_of(self.table, ask)
        # the map of several layers is at none of them
        head = head_of(self.runner, passed, row, layers[0], ask.call) if len(layers) == 1 else None
        scores = Scorer(self.runner, self.activation).score(
            picture,
            passed.logits[row],
            maps,
            head,
        )
        return tuple(
            replace(raw, faithfulness=score) for raw, score in zip(maps, scores, strict=True)
        )


def _target(goal: Goal) -> Target:
    return goal.index if goal.versus is None else Difference(goal.index, goal.versus)


class _Sums:
    """Sums of the maps of several copies: so many copies take no more memory than one."""

    def __init__(self) -> None:
        self._copies: dict[tuple[int, str], int] = {}
        self._sums: dict[tuple[int, str], LayerMap] = {}
        self._dtype = torch.float32

    def add(self, found: _Found, *, turned: bool = False) -> None:
        """Adds a copy's maps, turned back where its picture was mirrored."""
        for key, one in found.items():
            self._dtype = one.values.dtype
            values = one.values.double()
            values = mirrored(values) if turned else values
            before = self._sums.get(key)
            if before is not None:
                values = before.values + values
            silent = one.silent and (before is None or before.silent)
            self._sums[key] = LayerMap(values, silent)
            self._copies[key] = self._copies.get(key, 0) + 1

    def means(self) -> _Found:
        """The maps' means, in the precision of the maps."""
        return {
            key: LayerMap((total.values / self._copies[key]).to(self._dtype), total.silent)
            for key, total in self._sums.items()
        }
