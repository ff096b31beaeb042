"""What a benchmark ran on."""

import importlib.metadata
import os
import platform
from pathlib import Path


def describe_machine() -> dict[str, str]:
    """The processor, its cores and memory, and the versions of what was measured."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in cpu.splitlines() if ":" in line)
    known = {key.strip(): value.strip() for key, value in fields.items()}
    flags = {"avx512_bf16", "amx_bf16"} & set(known.get("flags", "").split())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": known.get("model name", platform.processor()),
        "cores": str(len(os.sched_getaffinity(0))),
        "flags": " ".join(sorted(flags)) or "neither avx512_bf16 nor amx_bf16",
        "memory": f"{memory:.0f} GiB",
        "python": platform.python_version(),
        **{
            name: importlib.metadata.version(name)
            for name in ("torch", "torchvision", "torchserve")
        },
    }
