"""The C library's allocator, told to keep what is freed."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_NEVER = 2**31 - 1
_LARGEST = 2**30


def keep_freed_memory() -> None:
    """Large tensors come out of memory that this process has used before, not fresh from the system.

    glibc gives every freed tensor of more than 32 MB back, and each new one then costs a page fault for every 4 kB: on
    a CPU two thirds of the time of a training step of the spiral decoder. Elsewhere than on Linux nothing happens.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _NEVER)
