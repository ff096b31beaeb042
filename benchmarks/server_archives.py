"""The archives that compete: the same weights, class names and batch settings under each handler.

Ours is packaged by ``scripts/package_model.py``'s own code. The others' weights and class names are
then taken out of that archive, and torch-model-archiver packages them as TorchServe's documents do,
with a model file and a state dict.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
import yaml

import model_packaging
from gradcam import Explainer, freeze
from gradcam.networks import build_network
from packaging_arguments import add_packaging_options, read_packaging_options
from packaging_options import PackagingOptions

_PEERS = Path(__file__).resolve().parent / "peers"

PEERS = {
    "stock": "image_classifier",
    "pytorch-grad-cam": str(_PEERS / "pytorch_grad_cam_handler.py"),
    "torch-cam": str(_PEERS / "torch_cam_handler.py"),
}
"""By name, what torch-model-archiver is given as the handler."""

# what image_classifier does to pictures; torchvision's newest weights ask for something else
_STOCK_VIEW = (
    "--resize=256",
    "--crop-size=224",
    "--interpolation=bilinear",
    "--mean=0.485,0.456,0.406",
    "--std=0.229,0.224,0.225",
)

_MODEL_FILE = '''"""The network, as TorchServe loads it: one class, built without arguments."""

from torch import nn
from torchvision.models import get_model


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = get_model("{architecture}", weights=None)

    def forward(self, pictures):
        return self.network(pictures)
'''


@dataclass(frozen=True)
class Batching:
    """How TorchServe makes batches.

    Attributes:
        size: Requests that a batch holds at most.
        delay: Milliseconds that it waits for more.
    """

    size: int
    delay: int


def package_ours(
    store: Path, name: str, architecture: str, batching: Batching, arguments: Sequence[str] = ()
) -> Path:
    """Packages a seeded random network of torchvision's with our handler.

    Args:
        store: The folder for the archive.
        name: The name to serve it under.
        architecture: One of torchvision's.
        batching: Batch settings.
        arguments: Further ones of ``package_model.py``, which go first.

    Raises:
        SystemExit: Arguments that ``package_model.py`` does not take.
        PackagingError: Arguments that do not fit.
    """
    options = options_of(store, name, architecture, batching, arguments)
    model_packaging.package(options)
    return options.archive


def options_of(
    store: Path, name: str, architecture: str, batching: Batching, arguments: Sequence[str] = ()
) -> PackagingOptions:
    """What ``package_ours`` packages; it takes and raises the same, and writes nothing."""
    parser = argparse.ArgumentParser(prog=f"variant {name}")
    parser.add_argument("--arch")
    add_packaging_options(parser)
    told = [f"--arch={architecture}", "--weights=none", "--seed=0", *_STOCK_VIEW]
    told += [f"--batch-size={batching.size}", f"--max-batch-delay={batching.delay}"]
    told += [*arguments, f"--model-name={name}", f"--export-path={store}"]
    return read_packaging_options(parser.parse_args(told))


def precision_of(arguments: Sequence[str]) -> str:
    """What a variant computes in, by its arguments of ``package_model.py``."""
    options = options_of(Path(), "variant", "resnet18", Batching(1, 1), arguments)
    told = dict(setting.partition("=")[::2] for setting in options.execution)
    return told.get("precision", "fp32")


def package_peer(
    store: Path, name: str, architecture: str, handler: str, ours: Path, batching: Batching
) -> Path:
    """Packages the network of an archive of ours with another handler.

    Args:
        store: The folder for the archive.
        name: The name to serve it under.
        architecture: One of torchvision's.
        handler: One of ``PEERS``.
        ours: Our archive.
        batching: Batch settings.

    Raises:
        RuntimeError: torch-model-archiver refused.
    """
    config = {
        "minWorkers": 1,
        "maxWorkers": 1,
        "batchSize": batching.size,
        "maxBatchDelay": batching.delay,
        "responseTimeout": 600,
        "startupTimeout": 600,
        "handler": {"target_layer": f"network.{default_layer(architecture)}"},
    }
    with (
        tempfile.TemporaryDirectory(prefix=".peer-", dir=store) as scratch,
        zipfile.ZipFile(ours) as archive,
    ):
        folder = Path(scratch)
        state = safetensors.torch.load(archive.read("weights.safetensors"))
        torch.save({f"network.{key}": value for key, value in state.items()}, folder / "state.pth")
        (folder / "index_to_name.json").write_bytes(archive.read("index_to_name.json"))
        (folder / "network.py").write_text(_MODEL_FILE.format(architecture=architecture))
        (folder / "model-config.yaml").write_text(yaml.safe_dump(config))
        command = {
            "--model-name": name,
            "--version": "1.0",
            "--model-file": folder / "network.py",
            "--serialized-file": folder / "state.pth",
            "--handler": PEERS[handler],
            "--extra-files": folder / "index_to_name.json",
            "--config-file": folder / "model-config.yaml",
            "--export-path": store,
        }
        done = subprocess.run(
            [
                *(sys.executable, "-m", "model_archiver.model_packaging", "--force"),
                *(str(part) for pair in command.items() for part in pair),
            ],
            env={**os.environ, "TMPDIR": scratch},  # it clears TMPDIR/<model name>
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"torch-model-archiver failed: {done.stderr}")
    return store / f"{name}.mar"


def default_layer(architecture: str) -> str:
    """The layer that our handler explains, so that all explain the same one."""
    layer = Explainer(freeze(build_network(architecture, 1000).eval())).layers.default
    if layer is None:
        raise ValueError(f"{architecture} has no layer to explain")
    return layer
