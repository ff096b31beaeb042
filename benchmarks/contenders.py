"""Who takes part in the engine benchmark, and how each is readied for a turn."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import peers
import torch
from asked import Answer, CannotTakePart, Turn
from subjects import Subject
from torch import Tensor

from gradcam import Ask, Outcome, Top

UNIT, OURS, PEER, BY_HAND, OTHER = "unit", "ours", "peer", "by hand", "another question"


@dataclass(frozen=True)
class Contender:
    """One way to ask a network about a batch.

    Attributes:
        name: On the command line and in tables.
        kind: ``UNIT`` is what all are divided by; ``OURS``; a ``PEER`` as its documentation has it;
            ``BY_HAND`` a peer with a hook that its user must write; ``OTHER`` is asked something
            else.
        what: One line that says what is called.
        open: Readies a subject, a batch ``[N, 3, H, W]`` and so many targets for a turn.
        package: The module that must be there.
        distribution: As a package index has it.
        trainable: Whether the network's parameters require gradients.
        usual: Whether it takes part unless others are named.
    """

    name: str
    kind: str
    what: str
    open: Callable[[Subject, Tensor, int], AbstractContextManager[Turn]]
    package: str = "torch"
    distribution: str = "torch"
    trainable: bool = False
    usual: bool = True

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        return importlib.util.find_spec(self.package) is not None

    @contextmanager
    def ready(self, subject: Subject, batch: Tensor, targets: int) -> Iterator[Turn]:
        """A turn, with the network as this contender wants it, and as it was afterwards.

        Raises:
            CannotTakePart: It cannot be asked this.
        """
        subject.network.requires_grad_(self.trainable)
        try:
            with self.open(subject, batch, targets) as turn:
                yield turn
        finally:
            subject.network.requires_grad_(requires_grad=False)
            for parameter in subject.network.parameters():
                parameter.grad = None


@contextmanager
def _forward(subject: Subject, batch: Tensor, _targets: int) -> Iterator[Turn]:
    def run() -> Tensor:
        with torch.inference_mode():
            logits: Tensor = subject.network(batch)
            return logits

    yield Turn(run)


@contextmanager
def _prediction(subject: Subject, batch: Tensor, _targets: int) -> Iterator[Turn]:
    yield Turn(lambda: subject.explainer.run(batch, [None] * len(batch)))


@contextmanager
def _ours(subject: Subject, batch: Tensor, targets: int) -> Iterator[Turn]:
    asks = [Ask() if targets == 1 else Ask(targets=(Top(targets),))] * len(batch)

    def read(outcomes: list[Outcome]) -> Answer:
        for outcome in outcomes:
            if not isinstance(outcome, Outcome):
                raise CannotTakePart(str(outcome))
        return Answer(
            torch.tensor([[raw.index for raw in outcome.maps] for outcome in outcomes]),
            torch.stack([torch.stack([raw.values for raw in one.maps]) for one in outcomes]),
        )

    yield Turn(lambda: subject.explainer.run(batch, asks), read)


_JACOBGIL = ("pytorch_grad_cam", "grad-cam")
_FRGFM = ("torchcam", "torchcam")
_CAPTUM = ("captum", "captum")

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("forward", UNIT, "the network under inference_mode", _forward),
        Contender("prediction", OTHER, "ours, asked for the logits only", _prediction, usual=False),
        Contender("ours", OURS, "Explainer.run, frozen parameters", _ours),
        Contender(
            "pytorch-grad-cam",
            PEER,
            "GradCAM, targets=None; further targets by further calls",
            peers.jacobgil,
            *_JACOBGIL,
            trainable=True,
        ),
        Contender(
            "torch-cam",
            PEER,
            "forward, topk, GradCAM's extractor for each target, not normalised",
            peers.frgfm,
            *_FRGFM,
            trainable=True,
        ),
        Contender(
            "captum",
            PEER,
            "forward under no_grad for topk, LayerGradCam for each target",
            peers.captum,
            *_CAPTUM,
            trainable=True,
        ),
        Contender("captum-frozen", PEER, "captum, frozen parameters", peers.captum, *_CAPTUM),
        Contender(
            "pytorch-grad-cam-leaf",
            BY_HAND,
            "pytorch-grad-cam, frozen parameters, and a hook that lets the layer's output require "
            "a gradient",
            peers.with_a_leaf(peers.jacobgil),
            *_JACOBGIL,
            usual=False,
        ),
        Contender(
            "torch-cam-leaf",
            BY_HAND,
            "torch-cam, likewise",
            peers.with_a_leaf(peers.frgfm),
            *_FRGFM,
            usual=False,
        ),
        Contender(
            "integrated-gradients",
            OTHER,
            "TorchServe's own: captum's IntegratedGradients in 15 steps for class 0, as lists",
            peers.integrated_gradients,
            *_CAPTUM,
            trainable=True,
        ),
    )
}
"""By name, in the order of the tables."""


def usual_contenders() -> list[Contender]:
    """Those that take part unless others are named."""
    return [contender for contender in CONTENDERS.values() if contender.usual]
