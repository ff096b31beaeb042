"""Modules that are imported only after the command line is read, for torch takes seconds."""

import importlib
import sys
from types import ModuleType

from packaging_options import PackagingError


def import_all(*names: str) -> list[ModuleType]:
    """Imports modules by name.

    Raises:
        PackagingError: A package that they need is missing here.
    """
    try:
        return [importlib.import_module(name) for name in names]
    except ModuleNotFoundError as missing:
        raise PackagingError(
            f"the module {missing.name!r} is missing for {sys.executable}; use .venv/bin/python, "
            "which ./scripts/serve.sh sets up, or install requirements/serve.txt"
        ) from missing
