"""The file that a session is written to: unbuffered, whole writes only, and room in reserve for the end."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["ReserveStream"]

_BLOCK = bytes(1 << 20)


class ReserveStream:
    """What `mcap.writer.Writer` writes to.

    A disk that is full shows only when a chunk is written, too late to end a file without losing that chunk. So a
    second file keeps some room. When a write fails, that file is removed and the write is tried again; `full` then
    tells the caller to come to an end.

    Args:
        path: created; must not exist.
        reserve: the second file.
        reserve_bytes: its size; 0 for none.

    Attributes:
        full: the error that made the reserve necessary, or None.

    Raises:
        OSError: the file or its reserve cannot be made, or a write failed although the reserve was given up.
    """

    def __init__(self, path: Path, reserve: Path, reserve_bytes: int) -> None:
        self.full: OSError | None = None
        self._position = 0
        self._reserve = reserve
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115 - closed by close()
        try:
            _fill(reserve, reserve_bytes)
        except OSError:
            self.close()
            with suppress(OSError):
                path.unlink()
            raise

    def write(self, data: bytes | memoryview) -> int:
        """Write all of it."""
        left = memoryview(data).cast("B")
        count = len(left)
        while left:
            try:
                written = self._file.write(left)
            except OSError as error:
                if self.full is not None:
                    raise
                self.full = error
                self._drop_reserve()
                continue
            left = left[written:]
            self._position += written
        return count

    @property
    def reserve_bytes(self) -> int:
        """What giving up the reserve makes free: where a file system compresses zeros, less than its size."""
        try:
            found = os.stat(self._reserve)
        except OSError:
            return 0
        blocks = getattr(found, "st_blocks", None)  # not on Windows
        return found.st_size if blocks is None else min(found.st_size, 512 * blocks)

    def tell(self) -> int:
        """Bytes written."""
        return self._position

    def flush(self) -> None:
        """Nothing is held back: every write has reached the operating system."""

    def sync(self) -> None:
        """Wait until the disk has it, which only a loss of power makes necessary."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file and give the reserve back. Safe to repeat."""
        self._file.close()
        self._drop_reserve()

    def _drop_reserve(self) -> None:
        with suppress(OSError):
            self._reserve.unlink(missing_ok=True)


def _fill(path: Path, size: int) -> None:
    """A file that really takes up `size` bytes."""
    if size <= 0:
        return
    with open(path, "wb", buffering=0) as file:
        allocate = getattr(os, "posix_fallocate", None)
        if allocate is not None:
            with suppress(OSError):  # not on every file system
                allocate(file.fileno(), 0, size)
                return
        for start in range(0, size, len(_BLOCK)):
            part = _BLOCK[: size - start]
            if file.write(part) != len(part):
                raise OSError(28, "No space left on device")
