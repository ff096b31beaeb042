"""Models of every other source, with the networks that their users have, and their archives."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from torch import nn
from torchvision import transforms

import model_packaging
from exports import SIDE, Exportable, export
from gradcam.networks import read_class
from live.exact import Exact
from oracles import Arrange, as_it_is, token_grid
from packaging_options import PackagingOptions
from pictures import cat
from presets import preset

OWN = '''"""A network of the user's own."""

import torch
from torch import nn


class Crossing(nn.Module):
    """A residual block with in-place activations, and a head that looks at places."""

    def __init__(self, classes: int, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 5, stride=4, padding=2), nn.BatchNorm2d(width), nn.ELU(inplace=True)
        )
        self.block = nn.Conv2d(width, width, 3, padding=1)
        self.mix = nn.Conv2d(width, width, 1)
        self.pool = nn.AdaptiveMaxPool2d(2)
        self.fc = nn.Linear(width * 4, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.mix((x + self.block(x)).relu_())
        return self.fc(self.pool(x.relu_()).flatten(1))
'''


BINARY = '''"""One logit, in a dictionary, beside what it comes from."""

import torch
from torch import nn


class Screening(nn.Module):
    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 5, stride=4), nn.BatchNorm2d(width), nn.ELU())
        self.fc = nn.Linear(width, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        maps = self.stem(x)
        return {"pooled": maps.mean((2, 3)), "score": self.fc(maps.mean((2, 3)))}
'''


class OneSide(nn.Module):
    """That network as one that gives the logit of one side only."""

    def __init__(self, network: nn.Module, sign: int) -> None:
        super().__init__()
        self.network = network
        self.sign = sign

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score: torch.Tensor = self.network(x)["score"]
        return self.sign * score


@dataclass(frozen=True)
class Source:
    """A network as its user has it, and what serving it must use."""

    network: nn.Module
    layer: str
    grid: tuple[int, int]
    labels: tuple[str, ...]
    prepare: Callable[[Any], Any]
    arrange: Arrange = as_it_is
    bypassed: bool = False

    @property
    def exact(self) -> Exact:
        return Exact(self.network, {}, transforms.Compose([self.prepare]))


def seeded(network: nn.Module, side: int) -> nn.Module:
    """Random weights, normalised on a few pictures, and logits that tell pictures apart."""
    crop = transforms.RandomResizedCrop(side, (0.2, 1.0))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(6)
        for parameter in network.parameters():
            if parameter.dim() > 1:
                nn.init.kaiming_normal_(parameter)
        seen = torch.stack([transforms.functional.to_tensor(crop(cat())) for _ in range(12)])
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
                nn.init.ones_(module.weight)  # timm starts the last of each block at zero
        network.train()(seen * 4 - 2)
    return network.eval()


def package_timm(store: Path, scratch: Path) -> Source:
    network = seeded(timm.create_model("resnet10t", num_classes=4), 176)
    weights = scratch / "resnet10t.safetensors"
    safetensors.torch.save_file(network.state_dict(), weights)
    model_packaging.package(
        PackagingOptions(
            timm="resnet10t", weights=str(weights), model_name="from-timm", export_path=store
        )
    )
    told = timm.data.resolve_model_data_config(network)
    side = told["input_size"][-1]
    grid = (-(-side // 32), -(-side // 32))
    prepare = timm.data.create_transform(**told)
    return Source(network, "layer4", grid, ("0", "1", "2", "3"), prepare)


def package_own(store: Path, scratch: Path) -> Source:
    file, weights, names = (scratch / name for name in ("own.py", "own.pth", "names.json"))
    file.write_text(OWN)
    network = seeded(read_class(file)(classes=3, width=12), 96)
    torch.save(network.state_dict(), weights)
    names.write_text(json.dumps({"0": "ant", "1": "bee", "2": "cat"}))
    model_packaging.package(
        PackagingOptions(
            model_file=str(file),
            weights=str(weights),
            arch_options=("classes=3", "width=12"),
            class_names=str(names),
            crop_size="96",
            resize=110,
            interpolation="bicubic",
            mean="0.5,0.5,0.5",
            std="0.25,0.25,0.25",
            model_name="from-file",
            export_path=store,
        )
    )
    prepare = preset(110, 96, "bicubic", [0.5] * 3, [0.25] * 3)
    return Source(network, "mix", (24, 24), ("ant", "bee", "cat"), prepare)


def package_exported(store: Path, scratch: Path) -> Source:
    network = seeded(Exportable(5), SIDE)
    exported = export(network, scratch / "net.pt2")
    model_packaging.package(
        PackagingOptions(
            exported=str(exported),
            resize=30,
            mean="0.5,0.5,0.5",
            std="0.5,0.5,0.5",
            model_name="from-export",
            export_path=store,
        )
    )
    labels = tuple(str(index) for index in range(5))
    return Source(
        network,
        "relu",
        (SIDE // 2,) * 2,
        labels,
        preset(30, SIDE, "bilinear", [0.5] * 3, [0.5] * 3),
    )


def package_transformer(store: Path, scratch: Path) -> Source:
    name = "vit_tiny_patch16_224"
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network = timm.create_model(name, num_classes=4).eval()
        nn.init.normal_(network.get_parameter("head.weight"))
    weights = scratch / "vit.pth"
    torch.save(network.state_dict(), weights)
    model_packaging.package(
        PackagingOptions(timm=name, weights=str(weights), model_name="vit", export_path=store)
    )
    prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    return Source(
        network,
        "blocks.11.norm1",  # what the last attention reads: after it only the class token counts
        (14, 14),
        ("0", "1", "2", "3"),
        prepare,
        token_grid(1, 14, 14),
        bypassed=True,
    )


def package_binary(store: Path, scratch: Path) -> Source:
    file, weights, names = (scratch / name for name in ("own.py", "own.pth", "names.json"))
    file.write_text(BINARY)
    network = seeded(read_class(file)(), 64)
    torch.save(network.state_dict(), weights)
    names.write_text(json.dumps({"0": "benign", "1": "malignant"}))
    model_packaging.package(
        PackagingOptions(
            model_file=str(file),
            weights=str(weights),
            output="score",
            class_names=str(names),
            crop_size="64",
            resize=64,
            mean="0.5,0.5,0.5",
            std="0.5,0.5,0.5",
            model_name="binary",
            export_path=store,
        )
    )
    prepare = preset(64, 64, "bilinear", [0.5] * 3, [0.5] * 3)
    return Source(network, "stem", (15, 15), ("benign", "malignant"), prepare)


PACKAGED = {
    "from-timm": package_timm,
    "from-file": package_own,
    "from-export": package_exported,
    "vit": package_transformer,
}
SERVED = {**PACKAGED, "binary": package_binary}
