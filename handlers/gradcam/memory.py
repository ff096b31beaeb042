"""How much memory a worker holds."""

import os
from pathlib import Path

import torch

_STATM = Path("/proc/self/statm")  # Linux: sizes in pages, the second is what is resident
_PAGE = os.sysconf("SC_PAGE_SIZE")


def used_bytes(device: torch.device) -> int | None:
    """What torch has allocated on a CUDA device; elsewhere this process's resident memory.

    Of a CUDA device it is what tensors take, not what torch's allocator keeps for the next ones,
    nor the CUDA context. ``None`` for resident memory on another system than Linux.
    """
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE
    except OSError:
        return None
