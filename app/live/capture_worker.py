"""The thread that reads the source."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from app.live import memory
from app.live.mailbox import Mailbox
from app.live.state import RateMeter
from app.live.workers import WAIT_S, Event, Report, Worker
from handdgp_core.sources.cameras import CameraChooser, CameraFrame
from handdgp_core.sources.pacing import PacedSource
from handdgp_core.sources.protocol import NoFrameYet, Source
from handdgp_core.types import Frame


@dataclass(frozen=True)
class SourceOpened(Event):
    """The capture worker has its source."""

    worker: CaptureWorker


@dataclass(frozen=True)
class SourceEnded(Event):
    """The source gave its last frame."""

    worker: CaptureWorker


class CaptureWorker(Worker):
    """Opens a source, reports it, and after `begin` leaves its newest frame, with its camera, in a box of its own.

    Args:
        opener: makes the source; runs in the worker's thread, for opening a camera may take seconds.
        report: called in the worker's thread.
        previous: a worker that must let go of its source first (one camera cannot be opened twice).

    Attributes:
        cameras: chooses the camera of the frames to come; may be replaced at any time.
        frames: the box; it counts the frames that were replaced by a newer one.
        source: the opened source, or None.
        captured: frames read so far.
        waiting: why no frame comes at the moment, in words, or an empty text.
    """

    def __init__(self, opener: Callable[[], Source], report: Report, previous: Worker | None = None) -> None:
        super().__init__("capture", report)
        self._opener = opener
        self._previous = previous
        self.cameras = CameraChooser()
        self.frames: Mailbox[CameraFrame] = Mailbox()
        self._last: CameraFrame | None = None
        self.source: Source | None = None
        self.rate = RateMeter()
        self.captured = 0
        self.on_frame: tuple[Callable[[CameraFrame], None], ...] = ()  # never block
        self.waiting = ""
        self._begun = threading.Event()
        # Live sources cannot wait: while this is set their frames are read and dropped, but for one a step.
        self._dropping = threading.Event()
        self._single = threading.Event()

    def begin(self) -> None:
        """Read frames from now on: everything that its first frame needs is set."""
        self._begun.set()

    def pause(self) -> None:
        """Let no frame through until `resume` or `step`."""
        if isinstance(self.source, PacedSource):
            self.source.pause()
        else:
            self._dropping.set()

    def resume(self) -> None:
        """Resume after `pause`."""
        if isinstance(self.source, PacedSource):
            self.source.play()
        else:
            self._dropping.clear()

    def step(self) -> None:
        """Let one frame through while paused."""
        if isinstance(self.source, PacedSource):
            self.source.step()
        else:
            self._single.set()

    def refresh(self) -> None:
        """Give the last frame once more, with the camera that is chosen now, unless a newer one waits."""
        if self._last is not None:
            self.frames.offer(self.cameras.choose_or_assume(self._last))

    @property
    def skipped(self) -> int:
        """Frames that never reached the model: replaced in the box, or skipped by a player that was late."""
        return self.frames.replaced + (self.source.dropped if isinstance(self.source, PacedSource) else 0)

    def _run(self) -> None:
        self._wait_for(self._previous)
        self._previous = None
        if self.stopping:
            return
        self.source = self._opener()
        self._report(SourceOpened(self))
        while not self.stopping and not self._begun.wait(WAIT_S):
            pass
        while not self.stopping:
            try:
                frame = self.source.read(WAIT_S)
            except NoFrameYet as reason:
                self.waiting = reason.status
                continue
            if frame is None:
                if not self.stopping:
                    self._report(SourceEnded(self))
                return
            self.waiting = ""
            self._take_in(frame)

    def _take_in(self, frame: Frame) -> None:
        if self._dropping.is_set() and not self._single.is_set():
            return
        self._single.clear()
        chosen = self._last = self.cameras.choose_or_assume(frame)
        for on_frame in self.on_frame:
            on_frame(chosen)
        self.captured += 1
        self.rate.tick()
        self.frames.put(chosen)

    def _clean_up(self) -> None:
        if self.source is not None:
            self.source.close()
            memory.give_back()
