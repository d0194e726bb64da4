"""Who writes a file or folder. The lock lies on the thing itself and ends with whoever holds it."""

from __future__ import annotations

import errno
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["hold", "is_being_written"]

_FRESH_S = 10.0  # without locks: a file that was written to so lately
_HELD = (errno.EAGAIN, errno.EACCES)


def hold(descriptor: int) -> bool:
    """Lock an open file or folder until it is closed.

    False where somebody else holds it; true where locks do not exist.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # some file systems have no locks
        return error.errno not in _HELD
    return True


def is_being_written(path: Path) -> bool:
    """Whether a recorder writes this file, or `repair` is at work on it. False where there is none."""
    try:
        if fcntl is None:
            return time.time() - path.stat().st_mtime < _FRESH_S
        with open(path, "rb") as file:
            return not hold(file.fileno())
    except OSError:
        return False
