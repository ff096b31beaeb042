"""Archives for the live tests, each made by the packaging script's own code."""

import json
from pathlib import Path

import safetensors.torch
import torch
from torch import nn
from torchvision import models, transforms

import model_packaging
from packaging_options import DEMO_FOLDER, PackagingOptions
from pictures import cat

ZOO_ARCHITECTURE = "shufflenet_v2_x0_5"
ZOO_NAMES = {
    "0": ["n02012849", "crane"],
    "1": ["n03126707", "crane"],
    "2": "Schäferhund",
    "3": "drake, male",
}
"""Fewer classes than a default answer lists: a label twice, a letter beyond ASCII, a comma."""
ZOO_BATCH, ZOO_DELAY = 8, 100


def zoo_network() -> nn.Module:
    """A small random network that tells pictures apart: normalised on a few, with strong logits."""
    crop = transforms.RandomResizedCrop(224, (0.1, 1.0))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        network: nn.Module = models.get_model(
            ZOO_ARCHITECTURE, weights=None, num_classes=len(ZOO_NAMES)
        )
        seen = torch.stack([transforms.functional.to_tensor(crop(cat())) for _ in range(24)])
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        network.train()(seen * 4 - 2)
        network.get_parameter("fc.weight").mul_(12)
    return network.eval()


def package_zoo(store: Path, scratch: Path) -> str:
    """That network, whose requests wait for each other, so that batches mix."""
    network = zoo_network()
    weights, names = scratch / "zoo.safetensors", scratch / "zoo.json"
    safetensors.torch.save_file(network.state_dict(), weights)
    names.write_text(json.dumps(ZOO_NAMES), encoding="utf-8")
    return _package(
        PackagingOptions(
            ZOO_ARCHITECTURE,
            weights=str(weights),
            class_names=str(names),
            model_name="zoo",
            version="2.1",
            batch_size=ZOO_BATCH,
            max_batch_delay=ZOO_DELAY,
            export_path=store,
        )
    )


def package_random(store: Path, architecture: str) -> str:
    """A torchvision model with seeded random weights, and ImageNet's classes."""
    return _package(PackagingOptions(architecture, weights="none", seed=0, export_path=store))


def package_demo(store: Path) -> str | None:
    """The demo model, or nothing where it has not been trained."""
    if not (DEMO_FOLDER / "weights.safetensors").is_file():
        return None
    return _package(PackagingOptions("demo_net", export_path=store))


def _package(options: PackagingOptions) -> str:
    model_packaging.package(options)
    return options.archive.name
