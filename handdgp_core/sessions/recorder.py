"""Records in a thread of its own, so that nobody who hands over a frame ever waits for the disk.

The queue keeps everything: where the disk cannot follow and the queue is full, the recording ends with an error, and
what was taken in until then is in the file. The thread also watches the free space and ends the recording in time;
what waits counts as if it were written already, so that nothing is taken in that might not fit (`room`).
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from handdgp_core.errors import HandDGPError, OutputError
from handdgp_core.files import MIB
from handdgp_core.geometry.camera import Camera
from handdgp_core.sessions import endings
from handdgp_core.sessions.codec import RecordedHands
from handdgp_core.sessions.recorder_status import RecorderLimits, RecorderState, RecorderStatus
from handdgp_core.sessions.room import Room, frame_bytes, hands_bytes, settings_bytes
from handdgp_core.sessions.writer import SessionInfo, SessionWriter, WriterOptions
from handdgp_core.types import Frame

__all__ = ["RecorderLimits", "RecorderState", "RecorderStatus", "SessionRecorder"]

log = logging.getLogger(__name__)


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
        self._queue: deque[_Job] = deque()
        self._frames_waiting = self._memory_bytes = 0
        self._writing_since_s: float | None = None  # when the job came in that is being written
        self._frame_bytes = self._hands_bytes = 0  # the most that any one took, or may take
        self._room = Room(self._writer.finished_bytes)
        self._measure_room()
        self._accepting = True
        self._last_index: int | None = None
        self._began_s: float | None = None
        self._status = RecorderStatus(RecorderState.RECORDING, path, path)
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def status(self) -> RecorderStatus:
        """The state at this moment."""
        with self._changed:
            return self._status

    @property
    def path(self) -> Path:
        """Of the file that was asked for."""
        return self.status.asked_path

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
            if self._is_queue_full(now_s):
                return self._stop_by_itself("the disk is too slow", endings.too_slow(self._frames_waiting))
            most_bytes = frame_bytes(frame, self._writer.options)
            self._frame_bytes = max(self._frame_bytes, most_bytes)
            job = _Job(lambda: self._write_frame(frame, camera), most_bytes, frame.image.nbytes)
            if not self._put(job, self._hands_bytes):  # a picture comes in together with room for its result
                return False
            self._count_missed(frame)
            self._frames_waiting += 1
            waiting = self._frames_waiting
            most = max(waiting, self._status.most_waiting)
            self._update(taken=self._status.taken + 1, waiting=waiting, most_waiting=most)
        return True

    def add_hands(self, frame: Frame, recorded: RecordedHands) -> None:
        """Take in a result; one of a frame that is not recorded is dropped."""
        with self._changed:
            if self._accepting:
                most_bytes = hands_bytes(recorded)
                self._hands_bytes = max(self._hands_bytes, most_bytes)
                self._put(_Job(lambda: self._writer.add_hands(frame, recorded), most_bytes, most_bytes))

    def add_settings(self, settings: Mapping[str, Any]) -> None:
        """Note that the settings are these from now on."""
        kept = dict(settings)
        with self._changed:
            if self._accepting:
                self._put(_Job(lambda: self._writer.add_settings(kept), settings_bytes(kept), 0))

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

    def _put(self, job: _Job, spare_bytes: int = 0) -> bool:
        """Only what is sure to fit is taken in: false ends the recording."""
        if self._room.left_bytes < job.most_bytes + spare_bytes:
            return self._stop_for_room()
        self._room.promise(job.most_bytes)
        self._queue.append(job._replace(since_s=time.monotonic()))
        self._memory_bytes += job.memory_bytes
        self._changed.notify_all()
        return True

    def _is_queue_full(self, now_s: float) -> bool:
        oldest_s = self._writing_since_s or (self._queue[0].since_s if self._queue else now_s)
        return (
            self._frames_waiting >= self._limits.queue_frames
            or self._memory_bytes >= self._limits.queue_bytes
            or now_s - oldest_s > self._limits.queue_s
        )

    def _stop_for_room(self) -> bool:
        if self._room.free_is_known:
            reason, found = "the disk is full", "a full disk"
        else:
            reason, found = "the free space is unknown", "a disk that does not tell how much of it is free"
        return self._stop_by_itself(reason, endings.no_room(found, self._room.open_bytes, self._frames_waiting))

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
                job.write()
                with self._changed:
                    self._writing_since_s = None
                    self._memory_bytes -= job.memory_bytes
                    self._room.note_written(job.most_bytes, self._writer.finished_bytes)
            now_s = time.monotonic()
            if now_s >= flush_due_s:
                self._writer.flush()
                self._writer.check_place()
                flush_due_s = now_s + self._limits.flush_s
                self._note_progress()
            if now_s >= disk_due_s or self._is_room_short():
                disk_due_s = now_s + self._limits.disk_every_s
                self._look_at_disk()
            if self._writer.full is not None and self._accepting:
                self._stop_at_reserve()

    def _stop_at_reserve(self) -> None:
        """The reserve is in use: what waits fits into it, more may not."""
        self._measure_room()
        with self._changed:
            error = endings.no_room("a full disk", self._room.open_bytes, self._frames_waiting)
            self._stop_by_itself("the disk is full", error)

    def _is_room_short(self) -> bool:
        """Then others that write to the disk may take away what waits, so the free space must be fresh."""
        with self._changed:
            full_queue_bytes = self._limits.queue_frames * (self._frame_bytes + self._hands_bytes)
            return self._accepting and self._room.left_bytes < full_queue_bytes

    def _next(self, due_s: float) -> _Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or not self._accepting, max(0.0, due_s - time.monotonic()))
            if self._queue:
                job = self._queue.popleft()
                self._writing_since_s = job.since_s
                return job
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

    def _measure_room(self) -> int | None:
        """Free bytes, or None where they cannot be asked."""
        free: int | None = None
        with suppress(OSError):
            free = self._free_bytes(self._writer.path.parent)
        written, reserve = self._writer.bytes_written, self._writer.reserve_bytes
        with self._changed:
            self._room.note_disk(time.monotonic(), written, free, reserve)
        return free

    def _look_at_disk(self) -> None:
        free = self._measure_room()
        if free is None:
            return
        left = f"{free / MIB:.0f} MiB left on the disk of {self._writer.path.parent}"
        with self._changed:
            if free < self._limits.stop_free_bytes and self._accepting:
                self._stop_by_itself("the disk is nearly full", endings.nearly_full(left))
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
                "reason": status.reason or "stopped by the user",
            }
        )
        with self._changed:
            size = self._writer.bytes_written
            self._update(state=RecorderState.FINISHED, path=self._writer.path, waiting=0, bytes_written=size)

    def _fail(self, error: Exception) -> None:
        log.error("recording %s failed", self._writer.path, exc_info=error)
        if not isinstance(error, OutputError):  # a fault of ours: the disk can still take what was added before it
            with suppress(Exception):
                self._writer.flush()
        self._writer.abandon()
        known = (
            error
            if isinstance(error, HandDGPError)
            else OutputError(f"The recording failed because of an internal error: {error!r}.")
        )
        with self._changed:
            self._accepting = False
            self._queue.clear()
            lost, taken = self._status.taken - self._writer.frames_safe, self._status.taken
            told = endings.with_loss(known, lost, taken) if lost else known
            self._update(
                state=RecorderState.FAILED, error=told, reason="an error", frames=self._writer.frames_safe, waiting=0
            )


class _Job(NamedTuple):
    """Something to write, the most that it adds to the file, the memory that it holds, and when it came."""

    write: Callable[[], Any]
    most_bytes: int
    memory_bytes: int
    since_s: float = 0.0


_END = _Job(lambda: None, 0, 0)  # stands in the place of a job where none will come any more
