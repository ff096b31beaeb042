"""The options of an archive as ``package_model.py`` and ``serve.py`` take them on their lines.

Standard library only, as ``packaging_options`` and for the same reason.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from packaging_options import FLAGS, SOURCE_OPTIONS, PackagingError, PackagingOptions

_DEFAULT = PackagingOptions()


def add_packaging_options(parser: argparse.ArgumentParser) -> None:
    """Adds every option but ``--arch``, which each script describes in its own words."""
    model = parser.add_argument_group("the model")
    model.add_argument("--timm", metavar="NAME", help="any classification model of timm")
    model.add_argument(
        "--model-file",
        metavar="FILE.py",
        help="a file that defines one nn.Module class; its weights come from --weights",
    )
    model.add_argument(
        "--exported",
        metavar="FILE.pt2",
        help="what torch.export.save wrote: the network with its weights",
    )
    model.add_argument(
        "--weights",
        metavar="NAME|FILE|none",
        help="torchvision weights such as DEFAULT, or a pretrained tag of timm (downloaded), a "
        ".pth, .pt or .safetensors file with a state dict, or none for random ones (default: what "
        "the library has; for demo_net its own)",
    )
    model.add_argument("--seed", type=int, metavar="N", help="for --weights none (default: 0)")
    model.add_argument(
        "--num-classes", type=_positive, metavar="N", help="default: what the weights have"
    )
    model.add_argument(
        "--activation",
        choices=("softmax", "sigmoid", "none"),
        help="how logits become probabilities (default: softmax; for one logit sigmoid)",
    )
    model.add_argument(
        "--output",
        metavar="NAME|N",
        help="which of the network's outputs the logits are, where it has several (default: found)",
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
        help="a further argument of the network's constructor, such as transform_input=true",
    )
    explaining = parser.add_argument_group("explaining")
    explaining.add_argument(
        "--layer",
        metavar="NAME[,NAME…]",
        help="target layer, or several whose maps are fused (default: found)",
    )
    explaining.add_argument("--method", metavar="NAME", help="default: gradcam")
    view = parser.add_argument_group(
        "preprocessing (default: what torchvision or timm says; for files as for ImageNet)"
    )
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
    view.add_argument(
        "--interpolation",
        choices=("nearest", "bilinear", "bicubic", "lanczos"),
        help="for resizing",
    )
    view.add_argument(
        "--reduced-decoding",
        action="store_true",
        help="decode large JPEGs at a fraction of their size: faster, and a little different",
    )
    view.add_argument("--mean", metavar="R,G,B", help="of values in 0…1, such as 0.5,0.5,0.5")
    view.add_argument("--std", metavar="R,G,B", help="likewise")
    serving = parser.add_argument_group("serving")
    serving.add_argument(
        "--model-name", metavar="NAME", help="default: the architecture's or the file's"
    )
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
        "--queue-size",
        type=_positive,
        metavar="N",
        help="requests that may wait: as many as are answered while a client would wait, and a "
        "batch at least (default: job_queue_size of config.properties)",
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
        "--execution",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="how the device computes, such as precision=bf16 or threads=2; may be repeated",
    )
    serving.add_argument(
        "--export-path",
        type=Path,
        default=_DEFAULT.export_path,
        metavar="FOLDER",
        help="default: model_store",
    )


def names_a_source(arguments: argparse.Namespace) -> bool:
    """Whether a command line says which model to package."""
    return any(getattr(arguments, name) for name in SOURCE_OPTIONS)


def read_packaging_options(arguments: argparse.Namespace) -> PackagingOptions:
    """Checks what can be checked without loading anything.

    Raises:
        PackagingError: TorchServe would not take the name or the version, or options clash.
    """
    values = {field.name: getattr(arguments, field.name) for field in fields(PackagingOptions)}
    lists: dict[str, Sequence[str]] = {key: values[key] for key in FLAGS}
    options = PackagingOptions(**{**values, **{key: tuple(lists[key]) for key in lists}})
    given = [SOURCE_OPTIONS[name][0] for name in SOURCE_OPTIONS if getattr(options, name)]
    if len(given) != 1:
        flags = [flag for flag, _ in SOURCE_OPTIONS.values()]
        raise PackagingError(
            f"give exactly one of {', '.join(flags[:-1])} and {flags[-1]}"
            f"{', not ' + ' and '.join(given) if given else ''}"
        )
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
