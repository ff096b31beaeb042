"""Work on batches that a CUDA device has recorded once and then replays.

A small batch spends more time on launching kernels one by one than on running them. A recorded
graph is launched as one. (torch.cuda.graph; https://pytorch.org/blog/accelerating-pytorch-with-
cuda-graphs/)
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

Work = Callable[..., tuple[Tensor, ...]]
_WARM_UPS = 3  # as many as torch's own examples: libraries set themselves up in the first ones


@dataclass(frozen=True)
class _Recording:
    """A graph, and the memory that it reads and writes at every replay."""

    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class Replays:
    """A function of batches, as graphs of several batch sizes.

    A batch in between is padded: what rows lie beside a row makes no difference to it. A batch
    larger than the largest runs as it is. Outputs are overwritten by the next call.
    """

    def __init__(self, work: Work) -> None:
        """Records nothing yet.

        Args:
            work: Takes tensors on the device whose first dimension is the batch, and gives such.
                It must not wait for the device, nor depend on values on the way.
        """
        self._work = work
        self._recordings: dict[int, _Recording] = {}
        self._pool: Any = None  # of memory, which the recordings share

    def record(self, *inputs: Tensor) -> None:
        """Records the work for batches of these inputs' size.

        Raises:
            RuntimeError: It cannot be recorded.
        """
        kept = tuple(each.clone() for each in inputs)
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                self._work(*kept)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            outputs = self._work(*kept)
        self._pool = graph.pool()
        self._recordings[len(kept[0])] = _Recording(graph, kept, outputs)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Does the work on a batch."""
        rows = len(inputs[0])
        size = min((size for size in self._recordings if size >= rows), default=None)
        if size is None:
            return self._work(*inputs)
        recording = self._recordings[size]
        for kept, given in zip(recording.inputs, inputs, strict=True):
            kept[:rows].copy_(given, non_blocking=True)
        recording.graph.replay()
        return tuple(output[:rows] for output in recording.outputs)


def record(work: Work, examples: Sequence[tuple[Tensor, ...]]) -> Work:
    """The work recorded for batches like the examples, or itself where it cannot be."""
    replays = Replays(work)
    try:
        for example in examples:
            replays.record(*example)
    except RuntimeError as error:
        logger.warning("gradcam: no CUDA graph is used, for recording failed: %s", error)
        return work
    return replays


def to_host(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Brings tensors from one device to the CPU, waiting for the device once."""
    if not tensors[0].is_cuda:
        return list(tensors)
    copies = [
        torch.empty_like(each, device="cpu", pin_memory=True).copy_(each, non_blocking=True)
        for each in tensors
    ]
    torch.cuda.current_stream(tensors[0].device).synchronize()
    return copies
