"""The file that a session is written to: unbuffered, whole writes only, and room in reserve for the end."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from handdgp_core.files import private_opener
from handdgp_core.locks import hold

__all__ = ["ReserveStream"]

_BLOCK = bytes(1 << 20)


class ReserveStream:
    """What `mcap.writer.Writer` writes to.

    A disk that is full shows only when a chunk is written, too late to end a file without losing that chunk. So a
    second file keeps some room. When a write fails, that file is removed and the write is tried again; `full` then
    tells the caller to come to an end.

    Args:
        path: created, for the user alone, and locked; must not exist.
        reserve: the second file; must not exist.
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
        self._path = path
        self._holds_reserve = False
        self._file = open(path, "xb", buffering=0, opener=private_opener)  # noqa: SIM115 - closed by close()
        hold(self._file.fileno())
        try:
            self._fill(reserve_bytes)
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

    @property
    def gone(self) -> str:
        """What happened to the file behind our back: "deleted" or "moved"; empty where it still has its name."""
        if os.fstat(self._file.fileno()).st_nlink == 0:
            return "deleted"
        return "" if self._path.exists() else "moved"

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
        if self._holds_reserve:
            with suppress(OSError):
                self._reserve.unlink(missing_ok=True)

    def _fill(self, size: int) -> None:
        """Make the reserve really take up `size` bytes."""
        if size <= 0:
            return
        place = private_opener(str(self._reserve), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        self._holds_reserve = True
        with open(place, "wb", buffering=0) as file:
            allocate = getattr(os, "posix_fallocate", None)
            if allocate is not None:
                with suppress(OSError):  # not on every file system
                    allocate(file.fileno(), 0, size)
                    return
            for start in range(0, size, len(_BLOCK)):
                part = _BLOCK[: size - start]
                if file.write(part) != len(part):
                    raise OSError(28, "No space left on device")
