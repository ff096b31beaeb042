"""What an archive is to hold, as ``package_model.py`` and ``serve.py`` take it on their lines.

Standard library only, so that ``--help`` and an archive that is up to date cost no start-up time.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from repository import ROOT

DEMO_ARCHITECTURE = "demo_net"
DEMO_FOLDER = ROOT / "models" / "demo"


class PackagingError(Exception):
    """The archive cannot be made; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class PackagingOptions:
    """One archive to make; ``None`` leaves the choice to the model.

    Attributes:
        arch: The architecture's name.
        weights: A torchvision weights name, a local file, or ``none``.
        seed: For random weights.
        num_classes: How many logits.
        class_names: A JSON or text file.
        layer: The default target layer.
        method: The default method.
        resize: The shorter side after resizing, in pixels.
        crop_size: ``N`` or ``HxW``, in pixels.
        squash: Resize both sides to the crop size.
        limits: ``KEY=VALUE`` each.
        arch_options: ``KEY=VALUE`` each, for the architecture's constructor.
        model_name: The name that the model is served under.
        version: The version that it is served under.
        batch_size: Requests that one batch holds at most.
        max_batch_delay: Milliseconds that a batch waits for more requests.
        workers: Processes that serve the model.
        export_path: The folder for the archive.
    """

    arch: str
    weights: str | None = None
    seed: int | None = None
    num_classes: int | None = None
    class_names: str | None = None
    layer: str | None = None
    method: str | None = None
    resize: int | None = None
    crop_size: str | None = None
    squash: bool = False
    limits: tuple[str, ...] = ()
    arch_options: tuple[str, ...] = ()
    model_name: str | None = None
    version: str = "1.0"
    batch_size: int = 8
    max_batch_delay: int = 5
    workers: int = 1
    export_path: Path = ROOT / "model_store"

    @property
    def name(self) -> str:
        """The name that the model is served under."""
        return self.model_name or ("demo" if self.arch == DEMO_ARCHITECTURE else self.arch)

    @property
    def archive(self) -> Path:
        """Where the archive goes."""
        return self.export_path / f"{self.name}.mar"

    def as_arguments(self) -> list[str]:
        """The command line that gives these options."""
        arguments = []
        for field in fields(self):
            value = getattr(self, field.name)
            flag = _FLAGS.get(field.name, f"--{field.name.replace('_', '-')}")
            if value is True:
                arguments.append(flag)
            elif isinstance(value, tuple):
                arguments += [f"{flag}={item}" for item in value]
            elif value not in (None, False):
                arguments.append(f"{flag}={value}")
        return arguments


_DEFAULT = PackagingOptions(arch="")
_FLAGS = {"limits": "--limit", "arch_options": "--arch-option"}


def add_packaging_options(parser: argparse.ArgumentParser) -> None:
    """Adds every option but ``--arch``, which each script describes in its own words."""
    model = parser.add_argument_group("the model")
    model.add_argument(
        "--weights",
        metavar="NAME|FILE|none",
        help="torchvision weights such as DEFAULT (downloaded), a .pth, .pt or .safetensors file "
        "with a state dict, or none for random ones (default: DEFAULT; for demo_net its own)",
    )
    model.add_argument("--seed", type=int, metavar="N", help="for --weights none (default: 0)")
    model.add_argument(
        "--num-classes", type=_positive, metavar="N", help="default: what the weights have"
    )
    model.add_argument(
        "--class-names",
        metavar="FILE",
        help="index_to_name.json in any form that TorchServe takes, or a text file with one label "
        "per line (default: ImageNet's, where the model has 1000 classes)",
    )
    model.add_argument(
        "--arch-option",
        dest="arch_options",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a further argument of the architecture's constructor, such as transform_input=true",
    )
    explaining = parser.add_argument_group("explaining")
    explaining.add_argument("--layer", metavar="NAME", help="target layer (default: found)")
    explaining.add_argument("--method", metavar="NAME", help="default: gradcam")
    view = parser.add_argument_group("preprocessing (default: what the weights' metadata says)")
    view.add_argument(
        "--resize", type=_positive, metavar="N", help="the shorter side after resizing"
    )
    view.add_argument(
        "--crop-size",
        metavar="N|HxW",
        help="the centre crop; without --resize, that changes in proportion",
    )
    view.add_argument(
        "--squash", action="store_true", help="resize both sides to the crop size, crop nothing"
    )
    serving = parser.add_argument_group("serving")
    serving.add_argument("--model-name", metavar="NAME", help="default: the architecture's")
    serving.add_argument(
        "--version", default=_DEFAULT.version, metavar="V", help="default: %(default)s"
    )
    for option, unit, default in (
        ("--batch-size", "N", _DEFAULT.batch_size),
        ("--max-batch-delay", "MS", _DEFAULT.max_batch_delay),
        ("--workers", "N", _DEFAULT.workers),
    ):
        serving.add_argument(
            option, type=_positive, default=default, metavar=unit, help="default: %(default)s"
        )
    serving.add_argument(
        "--limit",
        dest="limits",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a limit on requests, such as max_pixels=10000000; may be repeated",
    )
    serving.add_argument(
        "--export-path",
        type=Path,
        default=_DEFAULT.export_path,
        metavar="FOLDER",
        help="default: model_store",
    )


def read_packaging_options(arguments: argparse.Namespace) -> PackagingOptions:
    """Checks what can be checked without loading anything.

    Raises:
        PackagingError: TorchServe would not take the name or the version, or options clash.
    """
    values = {field.name: getattr(arguments, field.name) for field in fields(PackagingOptions)}
    lists: dict[str, Sequence[str]] = {key: values[key] for key in _FLAGS}
    options = PackagingOptions(**{**values, **{key: tuple(lists[key]) for key in lists}})
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", options.name):
        raise PackagingError(
            f"--model-name {options.name!r} is not a name that TorchServe takes; use letters, "
            "digits, '_', '-' and '.', beginning with a letter or digit"
        )
    if not re.fullmatch(r"\d+(\.\d+)*", options.version):
        raise PackagingError(f"--version {options.version!r} is not of the form 1.0")
    if options.seed is not None and options.weights != "none":
        raise PackagingError("--seed goes with --weights none; leave it out or add that")
    return options


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
