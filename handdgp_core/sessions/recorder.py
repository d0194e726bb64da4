"""Records in a thread of its own, so that nobody who hands over a frame ever waits for the disk.

The queue keeps everything: where the disk cannot follow and the queue is full, the recording ends with an error, and
what was taken in until then is in the file. The thread also watches the free space and ends the recording in time.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from handdgp_core.errors import HandDGPError, OutputError
from handdgp_core.export.folder import MIB
from handdgp_core.sessions.codec import RecordedHands
from handdgp_core.sessions.writer import SessionInfo, SessionWriter, WriterOptions
from handdgp_core.types import Camera, Frame

__all__ = ["RecorderLimits", "RecorderState", "RecorderStatus", "SessionRecorder"]

log = logging.getLogger(__name__)


class RecorderState(Enum):
    """What a recorder is doing."""

    RECORDING = "recording"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True)
class RecorderLimits:
    """When to write, to warn and to stop.

    Attributes:
        queue_frames: frames that may wait for the disk.
        flush_s: what a process that dies may lose, frames that wait aside.
        disk_every_s: how often the free space is looked at.
        warn_free_bytes, stop_free_bytes: warn, and end, when less than this is left.
        longest_s: end after this time of recording; None for no limit.
    """

    queue_frames: int = 120
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
        path: of the finished file; there is none where no frame came.
        taken: frames that `add_frame` accepted.
        frames, results: written.
        waiting: frames in the queue.
        most_waiting: the most there ever were.
        missed: frames that the live source numbered but never gave.
        bytes_written: size of the file.
        recorded_s: since the first frame.
        cpu_s: processor time of the recorder's thread.
        warning: of little space, or None.
        reason: why the recording ended by itself, or None.
        error: what went wrong, or None.
    """

    state: RecorderState
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


class SessionRecorder:
    """One recording. `add_frame`, `add_hands` and `add_settings` may be called from any thread and never block.

    Args:
        path: of the session; its folder is made.
        info, options: as for `SessionWriter`.
        limits: see there.
        on_end: called in the recorder's thread when the recording has ended, for whatever reason.
        free_bytes: free space of a folder, for tests.

    Raises:
        OutputError: the file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        info: SessionInfo,
        options: WriterOptions | None = None,
        limits: RecorderLimits | None = None,
        on_end: Callable[[RecorderStatus], None] | None = None,
        free_bytes: Callable[[Path], int] | None = None,
    ) -> None:
        self._limits = limits or RecorderLimits()
        self._writer = SessionWriter(path, info, options)
        self._on_end = on_end
        self._free_bytes = free_bytes or (lambda folder: shutil.disk_usage(folder).free)
        self._live = info.is_live
        self._changed = threading.Condition()
        self._queue: deque[Callable[[], Any]] = deque()
        self._frames_waiting = 0
        self._accepting = True
        self._last_index: int | None = None
        self._began_s: float | None = None
        self._status = RecorderStatus(RecorderState.RECORDING, path)
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def status(self) -> RecorderStatus:
        """The state at this moment."""
        with self._changed:
            return self._status

    @property
    def path(self) -> Path:
        """Of the finished file."""
        return self._writer.path

    def add_frame(self, frame: Frame, camera: Camera | None) -> bool:
        """Take in a picture. False once the recording has ended or come to its end: then the frame is not recorded."""
        with self._changed:
            if not self._accepting:
                return False
            now_s = time.monotonic()
            self._began_s = self._began_s if self._began_s is not None else now_s
            longest_s = self._limits.longest_s
            if longest_s is not None and now_s - self._began_s >= longest_s:
                return self._stop_by_itself(f"the take of {longest_s:g} s is complete")
            if self._frames_waiting >= self._limits.queue_frames:
                return self._stop_by_itself("the disk is too slow", _too_slow(self._frames_waiting))
            self._count_missed(frame)
            self._frames_waiting += 1
            waiting = self._frames_waiting
            most = max(waiting, self._status.most_waiting)
            self._update(taken=self._status.taken + 1, waiting=waiting, most_waiting=most)
            self._put(lambda: self._write_frame(frame, camera))
        return True

    def add_hands(self, frame: Frame, recorded: RecordedHands) -> None:
        """Take in a result; one of a frame that is not recorded is left out."""
        with self._changed:
            if self._accepting:
                self._put(lambda: self._writer.add_hands(frame, recorded))

    def add_settings(self, settings: Mapping[str, Any]) -> None:
        """Note that the settings are these from now on."""
        kept = dict(settings)
        with self._changed:
            if self._accepting:
                self._put(lambda: self._writer.add_settings(kept))

    def stop(self) -> None:
        """Take in nothing more, write what waits, finish the file. Returns at once; `join` waits."""
        with self._changed:
            self._accepting = False
            self._changed.notify_all()

    def join(self, limit_s: float) -> bool:
        """Wait for the end; False if the recorder still writes after `limit_s`."""
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    # Under the lock

    def _put(self, job: Callable[[], Any]) -> None:
        self._queue.append(job)
        self._changed.notify_all()

    def _update(self, **changes: Any) -> None:
        self._status = replace(self._status, **changes)

    def _stop_by_itself(self, reason: str, error: HandDGPError | None = None) -> bool:
        self._accepting = False
        self._update(reason=reason, error=error)
        self._changed.notify_all()
        return False

    def _count_missed(self, frame: Frame) -> None:
        if self._live and self._last_index is not None and frame.index > self._last_index + 1:
            self._update(missed=self._status.missed + frame.index - self._last_index - 1)
        self._last_index = frame.index

    # The thread

    def _run(self) -> None:
        try:
            self._record()
            self._finish()
        except Exception as error:
            self._fail(error)
        if self._on_end is not None:
            try:
                self._on_end(self.status)
            except Exception:
                log.exception("telling the end of a recording failed")

    def _record(self) -> None:
        """Until told to stop and nothing waits any more."""
        flush_due_s = time.monotonic() + self._limits.flush_s
        disk_due_s = 0.0
        while (job := self._next(flush_due_s)) is not _END:
            if job is not None:
                job()
            now_s = time.monotonic()
            if now_s >= flush_due_s:
                self._writer.flush()
                flush_due_s = now_s + self._limits.flush_s
                self._note_progress()
            if now_s >= disk_due_s:
                disk_due_s = now_s + self._limits.disk_every_s
                self._look_at_disk()
            if self._writer.full is not None and self._accepting:
                with self._changed:
                    self._stop_by_itself("the disk is full", self._writer.full)

    def _next(self, due_s: float) -> Callable[[], Any] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or not self._accepting, max(0.0, due_s - time.monotonic()))
            if self._queue:
                return self._queue.popleft()
            return None if self._accepting else _END

    def _write_frame(self, frame: Frame, camera: Camera | None) -> None:
        self._writer.add_frame(frame, camera)
        with self._changed:
            self._frames_waiting -= 1
            self._update(waiting=self._frames_waiting)

    def _note_progress(self) -> None:
        with self._changed:
            began_s = self._began_s
            self._update(
                frames=self._writer.frames,
                results=self._writer.hands,
                bytes_written=self._writer.bytes_written,
                recorded_s=0.0 if began_s is None else time.monotonic() - began_s,
                cpu_s=time.thread_time(),
            )

    def _look_at_disk(self) -> None:
        try:
            free = self._free_bytes(self._writer.path.parent)
        except OSError:
            return
        left = f"{free / MIB:.0f} MiB left on the disk of {self._writer.path.parent}"
        with self._changed:
            if free < self._limits.stop_free_bytes and self._accepting:
                self._stop_by_itself("the disk is nearly full", _too_little(left))
            self._update(warning=left if free < self._limits.warn_free_bytes else None)

    def _finish(self) -> None:
        self._note_progress()
        status = self.status
        if self._writer.frames == 0:
            self._writer.discard()
            with self._changed:
                self._update(state=RecorderState.FINISHED, waiting=0)
            return
        self._writer.finish(
            {
                "missed_by_source": str(status.missed),
                "recorded_s": f"{status.recorded_s:.3f}",
                "reason": status.reason or "stopped by the person",
            }
        )
        with self._changed:
            self._update(state=RecorderState.FINISHED, waiting=0, bytes_written=self._writer.bytes_written)

    def _fail(self, error: Exception) -> None:
        log.error("recording %s failed", self._writer.path, exc_info=error)
        self._writer.abandon()
        known = error if isinstance(error, HandDGPError) else OutputError("to record", f"an internal error: {error!r}")
        with self._changed:
            self._accepting = False
            self._queue.clear()
            self._update(state=RecorderState.FAILED, error=known, reason="an error", frames=self._writer.frames)


def _END() -> None:
    """Stands in the place of a job where none will come any more."""


def _too_slow(waiting: int) -> OutputError:
    return OutputError(
        "a disk as fast as the camera",
        f"{waiting} frames waiting for it, so the recording was ended; every frame until then is in the file",
        "record to another disk, or with a lower JPEG quality or picture size",
    )


def _too_little(left: str) -> OutputError:
    cure = "free some space, or choose another recordings folder"
    return OutputError("room to go on recording", f"{left}, so the recording was ended and finished", cure)
