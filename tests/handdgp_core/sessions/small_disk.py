"""A disk of a few MiB that fails as a real one does: whole writes, then part of one, then none."""

from __future__ import annotations

from pathlib import Path

import pytest

from handdgp_core.sessions import part_path, stream
from handdgp_core.sessions.parts import reserve_path


class SmallDisk:
    """The disk of one session. What it gives as free is exact, until others write to it.

    Attributes:
        path: of the session.
        capacity_bytes: room for the session's file and its reserve.
        others_bytes: what others have written; the reserve stays ours.
        looks: how often it was asked.
        silent: True: it fails when asked.
    """

    def __init__(self, path: Path, capacity_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.capacity_bytes = path, capacity_bytes
        self.others_bytes = self.looks = 0
        self.silent = False
        real_open = open

        def opened(path, mode, **how):
            file = real_open(path, mode, **how)
            return _SmallFile(file, self) if mode == "xb" else file

        monkeypatch.setattr(stream, "open", opened, raising=False)

    @property
    def left_bytes(self) -> int:
        """Free at this moment."""
        files = (part_path(self.path), reserve_path(self.path))
        taken = sum(file.stat().st_size for file in files if file.exists())
        return max(0, self.capacity_bytes - self.others_bytes - taken)

    def let_others_fill(self) -> None:
        """Others take all that is free."""
        self.others_bytes += self.left_bytes

    def free_bytes(self, folder: Path) -> int:
        """For the recorder."""
        self.looks += 1
        if self.silent:
            raise OSError(5, "Input/output error")
        return self.left_bytes


class _SmallFile:
    def __init__(self, file, disk: SmallDisk) -> None:
        self._file, self._disk = file, disk

    def write(self, data) -> int:
        left = self._disk.left_bytes
        if not left:
            raise OSError(28, "No space left on device")
        return self._file.write(data[:left])

    def __getattr__(self, name: str):
        return getattr(self._file, name)
