"""pytorch-grad-cam, torch-cam and captum, each asked for the maps of the best classes.

Each function readies one of them for a turn, as fast as its documentation lets a careful user be:
what can be done beforehand is, nothing is copied, and where a library scales its maps only for
show and can be told not to, it is told. The packages are imported when they are asked.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from asked import Answer, CannotTakePart, Turn
from subjects import Subject
from torch import Tensor, nn

_Open = Callable[[Subject, Tensor, int], AbstractContextManager[Turn]]
_STEPS = 15  # what TorchServe's handler has


def _reshape(subject: Subject) -> Callable[[Tensor], Tensor] | None:
    """What makes maps of the layer's output; ``None`` where it is ``[N, C, H, W]`` already."""
    layout = subject.layer.layout
    if layout.kind == "channels_first":
        return None
    if layout.kind == "channels_last":
        return lambda tensor: tensor.permute(0, 3, 1, 2)

    def grid(tokens: Tensor) -> Tensor:
        cells = tokens[:, layout.skipped :].transpose(1, 2)
        return cells.reshape(len(cells), -1, layout.height, layout.width)

    return grid


@contextmanager
def jacobgil(subject: Subject, batch: Tensor, targets: int) -> Iterator[Turn]:
    """pytorch-grad-cam; its maps come out at the picture's size and scaled, which is no option."""
    from pytorch_grad_cam import GradCAM  # noqa: PLC0415 - it may be missing
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # noqa: PLC0415

    raw: list[Any] = []

    class Recorded(GradCAM):  # type: ignore[misc]
        def get_cam_image(self, *arguments: Any, **options: Any) -> Any:
            raw.append(super().get_cam_image(*arguments, **options))  # before it is scaled
            return raw[-1]

    extractor = Recorded(subject.network, [subject.module], _reshape(subject))

    def run() -> tuple[Tensor, list[Any]]:
        raw.clear()
        shown = [extractor(batch, None)]
        best = extractor.outputs.detach().topk(targets).indices
        if targets > 1:
            rows = best.tolist()
            for rank in range(1, targets):
                shown.append(extractor(batch, [ClassifierOutputTarget(row[rank]) for row in rows]))
        return best, shown

    def read(found: tuple[Tensor, list[Any]]) -> Answer:
        return Answer(found[0].cpu(), torch.from_numpy(np.stack(raw, axis=1)))

    try:
        yield Turn(run, read)
    finally:
        extractor.activations_and_grads.release()


@contextmanager
def frgfm(subject: Subject, batch: Tensor, targets: int) -> Iterator[Turn]:
    """torch-cam; one forward pass for all targets, whose graph is kept until the last."""
    from torchcam.methods import GradCAM  # noqa: PLC0415 - it may be missing

    logging.getLogger("torchcam").setLevel(logging.ERROR)
    reshape = _reshape(subject)
    with GradCAM(subject.network, subject.layer.name, reshape_transform=reshape) as extractor:

        def run() -> tuple[list[list[int]], list[Tensor]]:
            scores = subject.network(batch)
            best = scores.detach().topk(targets).indices.T.tolist()
            maps = []
            for rank, indices in enumerate(best, start=1):
                (found,) = extractor(
                    indices, scores, normalized=False, retain_graph=rank < len(best)
                )
                maps.append(found.cpu())
            return best, maps

        def read(found: tuple[list[list[int]], list[Tensor]]) -> Answer:
            return Answer(torch.tensor(found[0]).T, torch.stack(found[1], dim=1))

        yield Turn(run, read)


@contextmanager
def captum(subject: Subject, batch: Tensor, targets: int) -> Iterator[Turn]:
    """captum, which must be told the class, so that it takes a forward pass to find it.

    Raises:
        CannotTakePart: The layer's output is not ``[N, C, H, W]``.
    """
    from captum.attr import LayerGradCam  # noqa: PLC0415 - it may be missing

    if subject.layer.layout.kind != "channels_first":
        raise CannotTakePart(
            f"takes the second axis for channels, which in {subject.layer.name} has "
            f"{'tokens' if subject.layer.layout.kind == 'tokens' else 'rows'}"
        )
    extractor = LayerGradCam(subject.network, subject.module)

    def run() -> tuple[Tensor, list[Tensor]]:
        with torch.no_grad():
            best = subject.network(batch).topk(targets).indices
        maps = [
            extractor.attribute(batch, target=best[:, rank]).detach().cpu()
            for rank in range(targets)
        ]
        return best, maps

    def read(found: tuple[Tensor, list[Tensor]]) -> Answer:
        return Answer(found[0].cpu(), torch.cat(found[1], dim=1))

    yield Turn(run, read)


@contextmanager
def integrated_gradients(subject: Subject, batch: Tensor, targets: int) -> Iterator[Turn]:
    """What TorchServe's stock vision handler answers explanations with.

    Raises:
        CannotTakePart: More targets than one, which that handler does not take.
    """
    from captum.attr import IntegratedGradients  # noqa: PLC0415 - it may be missing

    if targets > 1:
        raise CannotTakePart("takes one target")
    attribution = IntegratedGradients(subject.network)
    yield Turn(lambda: attribution.attribute(batch, target=0, n_steps=_STEPS).tolist())


def with_a_leaf(open_peer: _Open) -> _Open:
    """A peer on frozen parameters, behind a hook that lets autograd begin at the target layer."""

    @contextmanager
    def opened(subject: Subject, batch: Tensor, targets: int) -> Iterator[Turn]:
        def begin(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            # the copy is what an operation in place may follow
            return output.requires_grad_().clone()

        handle = subject.module.register_forward_hook(begin)
        try:
            with open_peer(subject, batch, targets) as turn:
                yield turn
        finally:
            handle.remove()

    return opened
