"""The rows of a batch through the engine, in chunks, so that no row fails for another's sake."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from gradcam.engine.explainer import Explainer
from gradcam.engine.explanation import Outcome
from gradcam.errors import EngineFault, GradcamError, out_of_time
from gradcam.pictures.preprocess import normalise
from gradcam.request.intake import Row
from gradcam.settings import Preprocessing

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chunks:
    """How rows are computed.

    Attributes:
        explainer: The network's.
        preprocessing: Of the pictures.
        most: Rows in one chunk.
    """

    explainer: Explainer
    preprocessing: Preprocessing
    most: int

    def run(self, rows: Sequence[Row], deadline: float) -> list[Outcome | GradcamError]:
        """Computes all rows, every request's first picture before any second.

        When time is up only first pictures are computed still, so that a request of many pictures
        costs itself its answer and not its batch-mates.

        Args:
            rows: Of all requests of a batch.
            deadline: On :func:`time.monotonic`'s clock.

        Returns:
            One for each row, in order.
        """
        outcomes: dict[int, Outcome | GradcamError] = {}
        # and those that take further passes last, so that they wait for others and not the others
        order = sorted(range(len(rows)), key=lambda n: (rows[n].turn, rows[n].passes))
        size = self.most
        for chunk in (order[start : start + size] for start in range(0, len(order), size)):
            late = time.monotonic() > deadline
            dropped = [number for number in chunk if late and rows[number].turn]
            outcomes |= dict.fromkeys(dropped, out_of_time())
            kept = [number for number in chunk if number not in dropped]
            computed = self._run_chunk([rows[number] for number in kept], deadline)
            outcomes |= dict(zip(kept, computed, strict=True))
        return [outcomes[number] for number in range(len(rows))]

    def _run_chunk(self, rows: Sequence[Row], deadline: float) -> list[Outcome | GradcamError]:
        """Halves a chunk that fails until the rows that make it fail stand alone."""
        if not rows:
            return []
        try:
            batch = normalise(
                [row.pixels for row in rows],
                self.preprocessing,
                self.explainer.device,
                self.explainer.dtype,
            )
            return self.explainer.run(batch, [row.ask for row in rows], deadline)
        except Exception as error:
            if len(rows) == 1:
                return [_as_fault(error)]
            logger.warning("a chunk of %d pictures failed (%s); halving it", len(rows), error)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        middle = len(rows) // 2
        halves = (rows[:middle], rows[middle:])
        return [outcome for half in halves for outcome in self._run_chunk(half, deadline)]


def _as_fault(error: Exception) -> GradcamError:
    if isinstance(error, GradcamError):
        return error
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        logger.error("out of memory for a single picture: %s", error)
        return EngineFault("the serving device ran out of memory; try again later")
    logger.error("a picture could not be computed", exc_info=error)
    return EngineFault("the picture could not be computed; the server's log says why")
