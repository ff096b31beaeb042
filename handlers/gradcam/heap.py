"""Keeps what large tensors were freed of, for the next ones.

glibc gives large blocks back to the system when they are freed, and gets new ones page by page,
each cleared and mapped at its first touch. A batch frees and takes the same hundreds of megabytes
every time; what that costs, ``benchmarks/choices.py`` measures.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_MOST = 1 << 30
_LEAST = 1 << 25  # for a C library that refuses so much for blocks of their own


def keep_freed_memory() -> bool:
    """Lets this process keep freed memory, instead of giving it back to the system.

    The process stays as large as its largest batch has made it; nothing but that bounds it, for
    what the C library trims lies at the end of its heap.

    Returns:
        Whether the C library can be told so; others than glibc cannot.
    """
    try:
        tell = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    own = tell(_MMAP_THRESHOLD, _MOST) or tell(_MMAP_THRESHOLD, _LEAST)
    return bool(tell(_TRIM_THRESHOLD, _MOST) and own)
