"""Finds the engine and the tests' oracle, also where nothing but torch and torchvision is there.

Import this module before ``gradcam``.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent

for _folder in ("handlers", "tests"):
    sys.path.insert(0, str(ROOT / _folder))


def _stand_in_for_safetensors() -> None:
    """The engine's package imports safetensors to read archives, and no benchmark reads one."""
    package, reader = ModuleType("safetensors"), ModuleType("safetensors.torch")
    package.torch = reader  # type: ignore[attr-defined]
    package.SafetensorError = RuntimeError  # type: ignore[attr-defined]
    sys.modules |= {"safetensors": package, "safetensors.torch": reader}


if importlib.util.find_spec("safetensors") is None:
    _stand_in_for_safetensors()
