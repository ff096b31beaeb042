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

from gradcam.explanation import Faithfulness
from gradcam.faithfulness import STEPS, cell_masks, shown_through, spread_out, summary
from gradcam.passes import Head, Runner
from gradcam.probability import ACTIVATIONS

_SAME = 1e-3
"""How far the logits behind unmasked activations may be from the picture's, over the greatest."""


@dataclass(frozen=True)
class Scorer:
    """Scores the maps of one picture.

    Attributes:
        runner: Of the network.
        activation: From logits to probabilities: one of :data:`gradcam.probability.ACTIVATIONS`.
    """

    runner: Runner
    activation: str

    def score(
        self,
        picture: Tensor,
        logits: Tensor,
        maps: Sequence[Tensor],
        indices: Sequence[int],
        head: Head | None,
    ) -> list[Faithfulness]:
        """Scores maps.

        Args:
            picture: ``[3, H, W]``.
            logits: ``[C]``, its own.
            maps: ``[h, w]`` each, signed.
            indices: The classes that they are of.
            head: What follows the layer that they are at; ``None`` masks the picture.

        Raises:
            TooLarge: Time was up.
        """
        together = max(1, head.room // (2 * STEPS)) if head else 1
        return [
            score
            for start in range(0, len(maps), together)
            for score in self._score_together(
                picture,
                logits,
                maps[start : start + together],
                indices[start : start + together],
                head,
            )
        ]

    def _score_together(
        self,
        picture: Tensor,
        logits: Tensor,
        maps: Sequence[Tensor],
        indices: Sequence[int],
        head: Head | None,
    ) -> list[Faithfulness]:
        """Scores as many maps as fit into memory at once."""
        self.runner.check_time()
        through = torch.stack([shown_through(picture, values.to(picture)) for values in maps])
        masks = [cell_masks(values.to(logits)) for values in maps]
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
            summary(masked[number, :, index], float(shown[number, index]), space, of)
            for number, index in enumerate(indices)
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
        near = (whole - logits).abs().max() <= _SAME * logits.abs().max()
        return answers if bool(near) else None
