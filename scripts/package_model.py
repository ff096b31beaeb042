"""Packages an image classifier with the Grad-CAM handler into a TorchServe archive."""

import argparse
import importlib
import signal
import sys

from archive_stamp import is_current, remember
from packaging_arguments import add_packaging_options, read_packaging_options
from packaging_options import PackagingError, PackagingOptions
from repository import ROOT

_EXAMPLES = """
examples:
  python scripts/package_model.py --arch vgg19 --squash
  python scripts/package_model.py --arch resnet18 --weights my.pth --class-names labels.txt
  python scripts/package_model.py --arch densenet201 --weights none --seed 0
  python scripts/package_model.py --arch demo_net        the demo model, from models/demo
  python scripts/package_model.py --timm resnet50d --weights my.safetensors
  python scripts/package_model.py --model-file net.py --weights my.pth --arch-option width=32
  python scripts/package_model.py --exported net.pt2 --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5
"""


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--arch", metavar="NAME", help="any torchvision classification model, or demo_net"
    )
    add_packaging_options(parser)
    parser.add_argument(
        "--if-changed",
        action="store_true",
        help="do nothing if the archive was made here from the same inputs",
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that scratch files are removed
    try:
        options = read_packaging_options(arguments)
        if not arguments.if_changed:
            _package(options)
        elif not is_current(options):
            if options.archive.exists():
                print(
                    f"{options.archive} was made from other options or files, and is made anew "
                    f"(./scripts/serve.sh {options.name} would serve it as it is)",
                    flush=True,
                )
            _package(options)
    except PackagingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _package(options: PackagingOptions) -> None:
    sys.path.insert(0, str(ROOT / "handlers"))
    try:
        packaging = importlib.import_module("model_packaging")  # only now: torch takes seconds
    except ModuleNotFoundError as missing:
        raise PackagingError(
            f"the module {missing.name!r} is missing for {sys.executable}; use .venv/bin/python, "
            "which ./scripts/serve.sh sets up, or install requirements/serve.txt"
        ) from missing
    digest = packaging.package(options)
    remember(options)
    path = options.archive
    print(f"{path}  {path.stat().st_size} bytes  sha256 {digest}")


if __name__ == "__main__":
    sys.exit(main())
