"""``torch.export`` archives for the tests: sound ones, and ones spoilt in a single way."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SIDE = 24
PROGRAM = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
SAMPLES = "data/sample_inputs/model.pt"


class Exportable(nn.Module):
    """A small network with what exports stumble over: in-place, reuse, a skip, a constant."""

    scale: Tensor

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.block = nn.Conv2d(8, 8, 3, padding=1)
        self.relu = nn.ReLU()
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(8, classes)
        self.register_buffer("scale", torch.tensor([1.5]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.relu(x + self.block(x))
        x = self.relu(x * self.scale - 0.1)
        logits: Tensor = self.fc(self.drop(x.mean(dim=(2, 3))))
        return logits


def exportable(seed: int = 4, classes: int = 5) -> Exportable:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Exportable(classes).train()
        with torch.no_grad():
            network(torch.randn(8, 3, SIDE, SIDE))  # running statistics that are not trivial
    return network.eval()


def export(
    network: nn.Module,
    path: Path,
    *,
    batch: int = 2,
    most: int | None = None,
    shape: tuple[int, ...] = (3, SIDE, SIDE),
    dynamic: bool = True,
) -> Path:
    """Exports a network with ``torch.export.save``, as its users do."""
    rows = torch.export.Dim("batch", max=most)
    program = torch.export.export(
        network,
        (torch.zeros(batch, *shape),),
        dynamic_shapes=({0: rows},) if dynamic else None,
    )
    torch.export.save(program, path)
    return path


def rewrite(
    source: Path,
    target: Path,
    changes: Mapping[str, Callable[[bytes], bytes]] | None = None,
    added: Mapping[str, bytes] | None = None,
) -> Path:
    """Copies an archive entry by entry, changing some and adding some."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        for entry in old.infolist():
            name = entry.filename.removeprefix(f"{root}/")
            data = old.read(entry)
            new.writestr(entry.filename, (changes or {}).get(name, bytes)(data))
        for name, data in (added or {}).items():
            new.writestr(f"{root}/{name}", data)
    return target


def in_json(change: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    """A change of a parsed entry."""

    def changed(data: bytes) -> bytes:
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    return changed


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def pickled(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()
