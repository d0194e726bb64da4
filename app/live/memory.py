"""Memory that was freed and that the C library keeps for later: given back to the system."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["give_back"]


def give_back() -> None:
    """Give freed memory back to the system. On Linux with glibc; elsewhere nothing happens.

    Every source brings threads of its own, and glibc gives these separate heaps whose freed pages it keeps: after an
    hour of changing sources such pages were more than half of the program's memory. It takes some milliseconds in which
    other threads may wait for memory: for moments in which nothing runs.
    """
    if sys.platform != "linux":
        return
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library
        return
    trim(0)
