"""Whether all that a recorder takes in is sure to fit on the disk.

What waits is not serialised yet, so its size is not known; a bound of it is, from the sizes of its arrays. The largest
size seen so far would be none: a scene that comes to life makes a JPEG many times as large.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any

from handdgp_core.sessions.codec import RecordedHands
from handdgp_core.sessions.writer import WriterOptions
from handdgp_core.types import Frame

__all__ = ["Room", "frame_bytes", "hands_bytes", "settings_bytes"]

# JPEG, 4:2:0: bytes a pixel, a third more than random dots of pure colours take, the hardest picture there is.
_JPEG_BYTES_A_PIXEL = {90: 1.5, 100: 3.0}  # up to these qualities
_JPEG_BLOCK_PX = 16  # JPEG rounds sizes up to whole blocks
_LOSSLESS_GROWTH = 1 / 128  # zstandard: 1/256 where nothing shrinks
_POINT_BYTES = 16  # a vertex once more, for viewing

# Whatever else a message holds (cameras, names, marks, heads, indices).
_FRAME_BYTES = 16 << 10
_RESULT_BYTES = 8 << 10
_HAND_BYTES = 8 << 10
_SETTINGS_BYTES = 2 << 10

_SLACK_BYTES = 256 << 10  # what the file system itself needs to make a file longer

# Some file systems (btrfs, ZFS, shares) account for what was written half a minute later; until then a look at them
# finds room that is taken. So the worst look of this time counts; space that others free counts after it.
_LAG_S = 60.0


class Room:
    """Accounts of the room that is known to be there, and of what was promised of it. Not thread-safe.

    Args:
        finished_bytes: size that the file has if it is finished now, as `note_written`.

    Attributes:
        free_is_known: False where the last look at the disk failed; then the reserve alone counts.
    """

    def __init__(self, finished_bytes: int) -> None:
        self.free_is_known = True
        self._finished_bytes = finished_bytes
        self._limit_bytes = 0  # that the finished file may reach
        self._promised_bytes = 0
        self._looks: deque[tuple[float, int]] = deque()  # time and limit; each limit is below those after it

    @property
    def open_bytes(self) -> int:
        """Room for what waits and what is still to come; never negative."""
        return max(0, self._limit_bytes - self._finished_bytes)

    @property
    def left_bytes(self) -> int:
        """Room that is promised to nothing; negative where somebody else has filled the disk."""
        return self._limit_bytes - self._finished_bytes - self._promised_bytes

    def note_disk(self, now_s: float, written_bytes: int, free_bytes: int | None, reserve_bytes: int) -> None:
        """A look at the disk.

        Args:
            now_s: monotonic time.
            written_bytes: size of the file at that moment.
            free_bytes: free space, or None where it could not be asked.
            reserve_bytes: what giving up the reserve makes free.
        """
        limit_bytes = written_bytes + (free_bytes or 0) + reserve_bytes - _SLACK_BYTES
        self.free_is_known = free_bytes is not None
        if free_bytes is None:
            self._limit_bytes = limit_bytes
            return
        while self._looks and self._looks[-1][1] >= limit_bytes:
            self._looks.pop()
        self._looks.append((now_s, limit_bytes))
        while self._looks[0][0] < now_s - _LAG_S:
            self._looks.popleft()
        self._limit_bytes = self._looks[0][1]

    def promise(self, most_bytes: int) -> None:
        """Something that adds up to `most_bytes` to the file waits to be written."""
        self._promised_bytes += most_bytes

    def note_written(self, most_bytes: int, finished_bytes: int) -> None:
        """That was written; from now on its true size counts, which is part of `finished_bytes`."""
        self._promised_bytes -= most_bytes
        self._finished_bytes = finished_bytes


def frame_bytes(frame: Frame, options: WriterOptions) -> int:
    """The most that a picture, with its camera, adds to the file."""
    height, width = frame.image.shape[:2]
    pixels = (height + _JPEG_BLOCK_PX) * (width + _JPEG_BLOCK_PX)
    share = next(share for quality, share in _JPEG_BYTES_A_PIXEL.items() if options.jpeg_quality <= quality)
    count = _FRAME_BYTES + int(pixels * share)
    if options.lossless:
        count += int(frame.image.nbytes * (1 + _LOSSLESS_GROWTH))
    return count


def hands_bytes(recorded: RecordedHands) -> int:
    """The most that a result adds to the file."""
    count = _RESULT_BYTES
    for hand in recorded.hands:
        vertices = 8 * hand.vertices_m.size + _POINT_BYTES * len(hand.vertices_m)
        mesh = 2 * 4 * hand.faces.size  # as a message and, the first time, as an attachment
        count += _HAND_BYTES + vertices + mesh
    return count


def settings_bytes(settings: Mapping[str, Any]) -> int:
    """The most that a note of the settings adds to the file."""
    return _SETTINGS_BYTES + len(json.dumps(dict(settings), default=str))
