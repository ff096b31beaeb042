"""The machine and the software that a measurement was made with, in words and numbers.

Example:
    python benchmarks/machine.py
"""

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8")
"""Of the processor: those that decide which kernels run."""

PACKAGES = (
    "torch",
    "torchvision",
    "torchserve",
    "numpy",
    "pillow",
    "grad-cam",
    "torchcam",
    "captum",
)


def describe(device: torch.device) -> dict[str, Any]:
    """What a reader must know to compare a number with one of their own.

    Args:
        device: Where the networks ran.

    Returns:
        For JSON. What this machine does not tell is ``None`` or missing.
    """
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cores_allowed": _allowed(),
        "threads": torch.get_num_threads(),
        "flags": _flags(),
        "memory_gib": _memory(),
        "load_before": _load(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions(PACKAGES),
        "device": str(device),
        "accelerator": _accelerator(device),
    }


def versions(packages: Sequence[str]) -> dict[str, str | None]:
    """The installed versions of distributions; ``None`` for what is not installed."""
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def sentence(machine: dict[str, Any]) -> str:
    """A description as one line."""
    software = machine["versions"]
    flags = ", ".join(machine["flags"]) or "none of the flags that matter"
    accelerator = machine["accelerator"]
    where = f"{accelerator['name']}, CUDA {accelerator['cuda']}; " if accelerator else ""
    return (
        f"{where}{machine['processor']}, {machine['cores_allowed']} cores, {machine['threads']} "
        f"threads ({flags}); Python {machine['python']}, torch {software['torch']}, torchvision "
        f"{software['torchvision']}"
    )


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _flags() -> list[str]:
    found = re.search(r"^flags\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    have = set(found[1].split()) if found else set()
    return [flag for flag in FLAGS if flag in have]


def _allowed() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _memory() -> float | None:
    found = re.search(r"^MemTotal:\s*(\d+) kB$", _read("/proc/meminfo"), re.MULTILINE)
    return round(int(found[1]) / 2**20, 1) if found else None


def _load() -> list[float] | None:
    return [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None


def _accelerator(device: torch.device) -> dict[str, Any] | None:
    if device.type != "cuda":
        return None
    properties = torch.cuda.get_device_properties(device)
    return {
        "name": properties.name,
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "processors": properties.multi_processor_count,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "tf32_convolutions": torch.backends.cudnn.allow_tf32,
        "tf32_products": torch.backends.cuda.matmul.allow_tf32,
    }


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    return parser


def main() -> int:
    """Prints the description as JSON."""
    device = torch.device(build_parser().parse_args().device)
    print(json.dumps(describe(device), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
