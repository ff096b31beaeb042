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

    The process stays as large as its largest batch has made it, and larger where small blocks that
    live on come to lie between large ones, until :func:`give_back`.

    Returns:
        Whether the C library can be told so; others than glibc cannot.
    """
    try:
        tell = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    own = tell(_MMAP_THRESHOLD, _MOST) or tell(_MMAP_THRESHOLD, _LEAST)
    return bool(tell(_TRIM_THRESHOLD, _MOST) and own)


def give_back() -> None:
    """Gives back what is free now, wherever it lies; the next batch gets its own anew.

    Called now and then, it bounds the process by what batches of late have needed.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return
    trim(0)
