"""Runs of ``scripts/package_model.py`` within this process, and looks into what they made."""

import signal
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml
from torch import Tensor
from torchvision import models

import package_model

ARCHITECTURE = "shufflenet_v2_x0_5"
MANY = ("--arch", ARCHITECTURE, "--weights", "none", "--seed", "3", "--num-classes", "4")
"""A small archive of random weights."""

FILE = '''"""A small network of the user's own."""

from torch import nn


class Small(nn.Module):
    def __init__(self, classes=4, width=6):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, width, 3, stride=2), nn.ReLU(inplace=True))
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))
'''
"""A model file."""


@dataclass(frozen=True)
class Packaged:
    """How a run went."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Packager:
    """Runs the script's ``main``, which saves the seconds that importing torch takes."""

    monkeypatch: pytest.MonkeyPatch
    capfd: pytest.CaptureFixture[str]

    def run(self, *arguments: str, to: Path) -> Packaged:
        line = ["package_model.py", *arguments, "--export-path", str(to)]
        self.monkeypatch.setattr(sys, "argv", line)
        before = signal.getsignal(signal.SIGTERM)
        try:
            code: Any = package_model.main()
        except SystemExit as ended:
            code = ended.code
        finally:
            signal.signal(signal.SIGTERM, before)
        told = self.capfd.readouterr()
        return Packaged(code, told.out, told.err)

    def make(self, *arguments: str, to: Path) -> Path:
        """Where the archive is, after a run that must succeed."""
        packaged = self.run(*arguments, to=to)
        assert packaged.code == 0, packaged.err
        (archive,) = to.glob("*.mar")
        return archive


def read(archive: Path, name: str) -> bytes:
    with zipfile.ZipFile(archive) as file:
        return file.read(name)


def weights_in(archive: Path) -> dict[str, Tensor]:
    return dict(safetensors.torch.load(read(archive, "weights.safetensors")))


def config_in(archive: Path) -> Any:
    return yaml.safe_load(read(archive, "model-config.yaml"))


def state_dict(num_classes: int = 4) -> dict[str, Tensor]:
    """Random weights that fit :data:`ARCHITECTURE`."""
    with torch.random.fork_rng():
        torch.manual_seed(11)
        network = models.get_model(ARCHITECTURE, weights=None, num_classes=num_classes)
    return dict(network.state_dict())


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)
