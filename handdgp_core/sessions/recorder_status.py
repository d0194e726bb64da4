"""When a recorder ends by itself, and what it tells about its recording."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from handdgp_core.errors import HandDGPError
from handdgp_core.files import MIB

__all__ = ["RecorderLimits", "RecorderState", "RecorderStatus"]


class RecorderState(Enum):
    """What a recorder is doing."""

    RECORDING = "recording"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True)
class RecorderLimits:
    """When to write, to warn and to stop.

    Attributes:
        queue_frames, queue_bytes, queue_s: what may wait to be written, whichever is reached first: frames, memory, and
            the time since the oldest came. More ends the recording.
        flush_s: how long what was written may stay in the chunk in progress. A process that dies loses that and what
            waits: the last `queue_s + flush_s` at most, and the time that one write takes.
        disk_every_s: how often the free space is looked at while a full queue would fit; else after every write.
        warn_free_bytes, stop_free_bytes: warn, and end, when less than this is left.
        longest_s: end after this time of recording; None for no limit.
    """

    queue_frames: int = 120
    queue_bytes: int = 512 * MIB
    queue_s: float = 3.0
    flush_s: float = 0.25
    disk_every_s: float = 1.0
    warn_free_bytes: int = 2_000 * MIB
    stop_free_bytes: int = 300 * MIB
    longest_s: float | None = None


@dataclass(frozen=True)
class RecorderStatus:
    """How a recording goes.

    Attributes:
        state: see there.
        asked_path: of the file that was asked for.
        path: of the finished file, which has another name where somebody took that one; none where no frame came.
        taken: frames that `add_frame` accepted.
        frames, results: written; of a recording that failed, the frames that are safe.
        waiting: frames in the queue.
        most_waiting: the most there ever were.
        missed: frames that the source numbered but never gave: a busy machine, a camera that skips, a jump in a video.
        bytes_written: size of the file.
        recorded_s: since the first frame.
        cpu_s: processor time of the recorder's thread.
        warning: of little space, or None.
        reason: why the recording ended by itself, or None.
        error: what went wrong, or None.
    """

    state: RecorderState
    asked_path: Path
    path: Path
    taken: int = 0
    frames: int = 0
    results: int = 0
    waiting: int = 0
    most_waiting: int = 0
    missed: int = 0
    bytes_written: int = 0
    recorded_s: float = 0.0
    cpu_s: float = 0.0
    warning: str | None = None
    reason: str | None = None
    error: HandDGPError | None = None

    @property
    def completeness(self) -> str:
        """What is in the file of what there was, e.g. "268 of 366 frames; results for 22"."""
        return held(self.frames, self.results, self.missed)


def held(frames: int, results: int, missed: int) -> str:
    """What a recording holds: frames of those that the source had, and results where a frame has none."""
    text = f"{frames} of {frames + missed} frames" if missed else f"{frames} frames"
    return text if results == frames else f"{text}; results for {results}"
