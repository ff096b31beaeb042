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
class Recording:
    """A graph, and the memory that it reads and writes at every replay.

    Attributes:
        replay: Does the work once more.
        inputs: What it reads.
        outputs: What it writes.
    """

    replay: Callable[[], None]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


Capture = Callable[..., Recording]
"""Makes a recording of a work and its inputs."""


class Replays:
    """A function of batches, as graphs of several batch sizes.

    A batch in between is padded: what rows lie beside a row makes no difference to it. A batch
    larger than the largest runs as it is. Outputs are overwritten by the next call; inputs stay
    where they are until then, and no answer is made of them but their own.
    """

    def __init__(self, work: Work, capture: Capture | None = None) -> None:
        """Records nothing yet.

        Args:
            work: Takes tensors on the device whose first dimension is the batch, and gives such.
                It must not wait for the device, nor depend on values on the way.
            capture: Makes a recording of a work and its inputs; by default as a CUDA graph.
        """
        self._work = work
        self._capture = capture or _Graphs().capture
        self._recordings: dict[int, Recording] = {}

    def record(self, *inputs: Tensor) -> None:
        """Records the work for batches of these inputs' size.

        Raises:
            RuntimeError: It cannot be recorded, or a replay gives something else than the work.
        """
        recording = self._capture(self._work, *inputs)
        other = (torch.randn_like(inputs[0]), *inputs[1:])  # what was recorded must not come back
        expected = [each.clone() for each in self._work(*other)]
        for found, wanted in zip(_replayed(recording, other), expected, strict=True):
            if not torch.allclose(found.float(), wanted.float(), 1e-2, 1e-2, equal_nan=True):
                raise RuntimeError("a replay differs from what it was recorded of")
        self._recordings[len(inputs[0])] = recording

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Does the work on a batch."""
        rows = len(inputs[0])
        size = min((size for size in self._recordings if size >= rows), default=None)
        if size is None:
            return self._work(*inputs)
        return _replayed(self._recordings[size], inputs)


def _replayed(recording: Recording, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """What a recording gives for at most as many rows as it has."""
    rows = len(inputs[0])
    for kept, given in zip(recording.inputs, inputs, strict=True):
        kept[:rows].copy_(given, non_blocking=True)
    # a graph is launched on the current device; on the CPU there is none to be chosen
    with torch.cuda.device_of(recording.inputs[0]):  # type: ignore[no-untyped-call]
        recording.replay()
    return tuple(output[:rows] for output in recording.outputs)


class _Graphs:
    """CUDA graphs that share a pool of memory."""

    def __init__(self) -> None:
        self._pool: Any = None

    def capture(self, work: Work, *inputs: Tensor) -> Recording:
        kept = tuple(each.clone() for each in inputs)
        if not kept[0].is_cuda:
            raise RuntimeError(f"{kept[0].device} has no CUDA graphs")
        with torch.cuda.device(kept[0].device):  # whose streams are meant below
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UPS):
                    work(*kept)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool):
                outputs = work(*kept)
        self._pool = graph.pool()
        return Recording(graph.replay, kept, outputs)


def record(
    work: Work, examples: Sequence[tuple[Tensor, ...]], capture: Capture | None = None
) -> Work:
    """The work recorded for batches like the examples, or itself where it cannot be."""
    replays = Replays(work, capture)
    try:
        for example in examples:
            replays.record(*example)
    except RuntimeError as error:
        logger.warning("gradcam: no CUDA graph is used, for recording failed: %s", error)
        return work
    return replays


def to_device(numbers: Sequence[int], device: torch.device) -> Tensor:
    """Brings whole numbers to a device, which the CPU does not wait for."""
    told = torch.tensor(numbers)
    return told.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else told


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
