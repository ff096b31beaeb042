"""A model's folder as TorchServe unpacks it, and the handler loaded from it with its Context."""

import functools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from ts.context import Context

from gradcam.engine.explainer import Explainer
from gradcam.labels import parse_class_names
from gradcam.networks import build_network, freeze
from gradcam.request.options import Vocabulary
from gradcam.settings import Limits
from gradcam_handler import GradCAMHandler
from sending import Answer, Request, exchange

ARCHITECTURE = "demo_net"
NAMES: Mapping[str, object] = {
    "0": ["n01", "tabby"],
    "1": ["n02", "Crane"],
    "2": ["n03", "Crane"],
    "3": "maillot",
    "4": "maillot",
    "5": "Schäferhund, deutscher",
    "6": ["7", "seven"],
    "8": "3",
    "9": "top3",
    "10": "n01",
}
"""Twelve classes: labels that repeat or look like an index, an id or ``topN``, and two unnamed."""
NUM_CLASSES = 12
PREPROCESSING = {"resize": 56, "crop_size": [48, 48], "mean": [0.5, 0.4, 0.3], "std": [0.3] * 3}
MODEL: Mapping[str, str] = {"serializedFile": "weights.safetensors", "modelVersion": "1.3"}


def settings(**changes: object) -> dict[str, Any]:
    """What ``model-config.yaml`` holds, with some of ``handler: gradcam:`` changed."""
    section: dict[str, object] = {
        "architecture": ARCHITECTURE,
        "num_classes": NUM_CLASSES,
        "preprocessing": PREPROCESSING,
    }
    return {"handler": {"gradcam": section | changes}}


def write_archive(folder: Path, num_classes: int = NUM_CLASSES, names: object = NAMES) -> Path:
    """Writes seeded random weights and class names."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build_network(ARCHITECTURE, num_classes)
    for name, parameter in network.named_parameters():
        if name.startswith("fc."):  # logits far enough apart to be told from each other
            parameter.data.mul_(20)
    safetensors.torch.save_file(network.state_dict(), folder / "weights.safetensors")
    if names is not None:
        (folder / "index_to_name.json").write_text(json.dumps(names), encoding="utf-8")
    return folder


@functools.cache
def vocabulary() -> Vocabulary:
    """What the options of a model with these classes can name; its own layer is ``layer2``."""
    network = freeze(build_network(ARCHITECTURE, NUM_CLASSES).eval())
    layers = Explainer(network, (48, 48)).layers
    classes = parse_class_names(NAMES, NUM_CLASSES)
    return Vocabulary(classes, layers, ("layer2",), "gradcam", max_targets=16)


def make_context(
    folder: Path, config: Mapping[str, Any], model: Mapping[str, str] = MODEL
) -> Context:
    """TorchServe's own Context, as its model loader makes it."""
    return Context(
        "zoo", str(folder), {"model": dict(model)}, 8, None, "0.12.0", True, None, dict(config)
    )


@dataclass(frozen=True)
class Served:
    """A handler that has loaded an archive."""

    handler: GradCAMHandler
    context: Any
    folder: Path

    def batch(self, *requests: Request) -> list[Answer]:
        """Answers requests that TorchServe put into one batch."""
        with one_thread():
            return exchange(self.handler.handle, self.context, requests)

    def ask(self, request: Request) -> Answer:
        """Answers one request."""
        return self.batch(request)[0]

    def limited(self, **limits: int) -> "Served":
        """The same archive with some limits changed.

        It answers in one thread, so that time is up at the same place in every run.
        """
        assert set(limits) <= set(Limits.__dataclass_fields__)
        return serve(self.folder, settings(limits=limits, execution={"threads": 1}))


@contextmanager
def one_thread() -> Iterator[None]:
    """So small a network is fastest on one thread, and many times so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def serve(folder: Path, config: Mapping[str, Any] | None = None) -> Served:
    """Loads the handler as a TorchServe worker does."""
    context = make_context(folder, settings() if config is None else config)
    handler = GradCAMHandler()
    with one_thread():
        handler.initialize(context)
    return Served(handler, context, folder)
