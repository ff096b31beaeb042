"""Measures how far a picture's logits follow its maps, in one more pass for all of its maps.

The pictures times their maps run through the whole network (average drop and increase); at the
target layer, copies of the picture's activations with cells masked join them and run through the
rest of it (deletion and insertion). Where a path leads around the layer that would measure the
path too, so there the cells are masked in the picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradcam.engine.explanation import Faithfulness, RawMap
from gradcam.engine.faithfulness import STEPS, cell_masks, shown_through, spread_out, summary
from gradcam.engine.probability import ACTIVATIONS
from gradcam.engine.runner import Head, Runner, agree


@dataclass(frozen=True)
class Scorer:
    """Scores the maps of one picture.

    Attributes:
        runner: Of the network.
        activation: From logits to probabilities: one of
            :data:`gradcam.engine.probability.ACTIVATIONS`.
    """

    runner: Runner
    activation: str

    def score(
        self, picture: Tensor, logits: Tensor, maps: Sequence[RawMap], head: Head | None
    ) -> list[Faithfulness]:
        """Scores maps.

        Args:
            picture: ``[3, H, W]``.
            logits: ``[C]``, its own.
            maps: Of the picture.
            head: What follows the layer that they are at; ``None`` masks the picture.

        Raises:
            TooLarge: Time was up.
        """
        together = max(1, head.room // (2 * STEPS)) if head else 1
        chunks = (maps[start : start + together] for start in range(0, len(maps), together))
        return [score for chunk in chunks for score in self._together(picture, logits, chunk, head)]

    def _together(
        self, picture: Tensor, logits: Tensor, maps: Sequence[RawMap], head: Head | None
    ) -> list[Faithfulness]:
        """Scores as many maps as fit into memory at once."""
        self.runner.check_time()
        through = torch.stack([shown_through(picture, raw.values.to(picture)) for raw in maps])
        masks = [cell_masks(raw.values.to(logits)) for raw in maps]
        behind = self._behind(through, logits, masks, head) if head is not None else None
        if behind is None:
            covered = [
                picture * mask
                for values in masks
                for mask in spread_out(values, picture.shape[1:]).to(picture)
            ]
            answers = self.runner.forward(torch.stack([*through, *covered]))
        else:
            answers = behind
        probabilities = ACTIVATIONS[self.activation]
        shown = probabilities(answers[: len(maps)]).cpu()
        masked = probabilities(answers[len(maps) :]).view(len(maps), 2 * STEPS, -1).cpu()
        space = "input" if behind is None else "layer"
        of = "score" if self.activation == "none" else "probability"
        return [
            summary(masked[number, :, raw.index], float(shown[number, raw.index]), space, of)
            for number, raw in enumerate(maps)
        ]

    def _behind(
        self, through: Tensor, logits: Tensor, masks: Sequence[Tensor], head: Head
    ) -> Tensor | None:
        """The logits with cells masked at the layer; ``None`` where that is not what it seems."""
        if head.layer.bypassed:
            return None
        own = head.maps()
        masked = torch.cat([own * mask[:, None].to(own) for mask in masks])
        try:
            answers = head.beside(through, masked)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # the network holds on to the number of rows that it began with
            return None
        whole = answers[len(through) :: 2 * STEPS]  # every map's masks begin with the whole
        return answers if agree(whole, logits, head.output.dtype) else None
