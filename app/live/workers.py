"""The threads of the program. They hold no Qt: they read, compute, leave the newest result and report what happened.

Every worker lives by one protocol: `start`, `request_stop` (which also wakes it), `join` with a limit. Whatever
its work raises becomes a `WorkerFailed` event, and its clean-up always runs. Only the controller starts and stops them.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.live.mailbox import Mailbox
from app.live.pipeline import Estimator, FrameResult, HandPipeline, PipelineOptions, preview
from handdgp_core.sources.pacing import PacedSource
from handdgp_core.sources.protocol import NoFrameYet, Source
from handdgp_core.types import Frame

log = logging.getLogger(__name__)
WAIT_S = 0.1  # how long a worker waits before it looks again whether it was asked to stop
HANDOVER_S = 5.0  # how long a worker waits for the one before it to let go


@dataclass(frozen=True)
class WorkerFailed:
    """A worker ended by an exception; `details` is its traceback."""

    worker: Worker
    error: Exception
    details: str


@dataclass(frozen=True)
class SourceOpened:
    """The capture worker has its source."""

    worker: CaptureWorker


@dataclass(frozen=True)
class SourceEnded:
    """The source gave its last frame."""

    worker: CaptureWorker


@dataclass(frozen=True)
class ModelLoaded:
    """The inference worker has its estimator and takes frames from now on."""

    worker: InferenceWorker


@dataclass(frozen=True)
class ResultReady:
    """A nudge: the result box holds something newer. At most one is under way at a time."""

    worker: Worker


@dataclass(frozen=True)
class JobDone:
    """A background job ended well; `result` is what it returned."""

    name: str
    result: Any


@dataclass(frozen=True)
class JobFailed:
    """A background job raised."""

    name: str
    error: Exception
    details: str


Event = WorkerFailed | SourceOpened | SourceEnded | ModelLoaded | ResultReady | JobDone | JobFailed
Report = Callable[[Event], None]


class RateMeter:
    """Events per second over the last two seconds. One thread ticks, any thread reads."""

    def __init__(self, span_s: float = 2.0) -> None:
        self._span_s = span_s
        self._times_s: deque[float] = deque(maxlen=600)

    def tick(self) -> None:
        """Count one event, now."""
        self._times_s.append(time.monotonic())

    @property
    def per_second(self) -> float:
        """0 where nothing happened lately."""
        now_s = time.monotonic()
        recent = [stamp for stamp in tuple(self._times_s) if now_s - stamp <= self._span_s]
        if len(recent) < 2 or recent[-1] <= recent[0]:
            return 0.0
        return (len(recent) - 1) / (recent[-1] - recent[0])


class Worker(ABC):
    """One thread with the stop protocol of this module."""

    def __init__(self, name: str, report: Report) -> None:
        self._report = report
        self._stop = threading.Event()
        # A daemon, since a driver that blocks for ever must not keep the process alive.
        self._thread = threading.Thread(target=self._guarded, name=name, daemon=True)

    @property
    def name(self) -> str:
        """Name of the thread."""
        return self._thread.name

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def request_stop(self) -> None:
        """Ask the worker to end and wake it. Returns at once."""
        self._stop.set()
        self._wake()

    def join(self, limit_s: float) -> bool:
        """Wait for the end; False if the worker still runs after `limit_s`."""
        if self._thread.ident is not None:
            self._thread.join(limit_s)
        return not self._thread.is_alive()

    @property
    def ended(self) -> bool:
        """True once a worker that was started has ended."""
        return self._thread.ident is not None and not self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """True once `request_stop` was called."""
        return self._stop.is_set()

    @abstractmethod
    def _run(self) -> None:
        """The work, until `stopping`."""

    def _wake(self) -> None:  # noqa: B027 - most workers look at `stopping` often enough
        """Interrupt whatever the worker waits for."""

    def _clean_up(self) -> None:  # noqa: B027 - most workers hold nothing
        """Give back what the worker holds; runs in its own thread."""

    def _guarded(self) -> None:
        try:
            self._run()
        except Exception as error:
            self._fail(error)
        finally:
            try:
                self._clean_up()
            except Exception:
                log.exception("clean-up of %s failed", self.name)

    def _fail(self, error: Exception) -> None:
        if self.stopping:  # a source closed under a read may well complain: nobody is waiting for it any more
            log.info("%s raised while stopping: %r", self.name, error)
            return
        log.error("%s failed", self.name, exc_info=error)
        self._report(WorkerFailed(self, error, "".join(traceback.format_exception(error))))


class CaptureWorker(Worker):
    """Opens a source, reports it, and after `begin` leaves its newest frame in a box of its own.

    Args:
        opener: makes the source; runs in the worker's thread, for opening a camera may take seconds.
        report: called in the worker's thread.
        previous: a worker that must let go of its source first (one camera cannot be opened twice).

    Attributes:
        frames: the box; it counts the frames that were replaced by a newer one.
        source: the opened source, or None.
        captured: frames read so far.
        waiting: why no frame comes at the moment, in words, or an empty text.
    """

    def __init__(self, opener: Callable[[], Source], report: Report, previous: Worker | None = None) -> None:
        super().__init__("capture", report)
        self._opener = opener
        self._previous = previous
        self.frames: Mailbox[Frame] = Mailbox()
        self.source: Source | None = None
        self.rate = RateMeter()
        self.captured = 0
        self.on_frame: Callable[[Frame], None] | None = None  # a recorder's; never blocks
        self.waiting = ""
        self._begun = threading.Event()
        # Live sources cannot wait: while this is set their frames are read and dropped, but for one a step.
        self._dropping = threading.Event()
        self._single = threading.Event()

    def begin(self) -> None:
        """Read frames from now on: whoever was told of the opened source has set what its first frame needs."""
        self._begun.set()

    def pause(self) -> None:
        """Let no frame through until `resume` or `step`."""
        if isinstance(self.source, PacedSource):
            self.source.pause()
        else:
            self._dropping.set()

    def resume(self) -> None:
        """Go on after `pause`."""
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

    @property
    def left_out(self) -> int:
        """Frames that never reached the model: replaced in the box, or skipped by a player that was late."""
        return self.frames.replaced + (self.source.dropped if isinstance(self.source, PacedSource) else 0)

    def _run(self) -> None:
        if self._previous is not None:
            self._previous.join(HANDOVER_S)
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
        on_frame = self.on_frame
        if on_frame is not None:
            on_frame(frame)
        self.captured += 1
        self.rate.tick()
        self.frames.put(frame)

    def _clean_up(self) -> None:
        if self.source is not None:
            self.source.close()


class InferenceWorker(Worker):
    """Loads an estimator, then turns the newest frame into the newest result.

    Args:
        factory: makes the estimator; runs in the worker's thread, which is the only one that ever uses it.
        options: how the first frame is treated; `configure` changes it between frames.
        report: called in the worker's thread.
        previous: a worker that must end first (two networks would share the memory of one device).

    Attributes:
        model_name: what the loaded model calls itself, empty before.
    """

    def __init__(
        self,
        factory: Callable[[], Estimator],
        options: PipelineOptions,
        report: Report,
        previous: Worker | None = None,
    ) -> None:
        super().__init__("inference", report)
        self._factory = factory
        self._options = options
        self._previous = previous
        self._frames: Mailbox[Frame] = Mailbox()
        self._results: Mailbox[FrameResult] = Mailbox()
        self._last: tuple[Mailbox[Frame], Frame] | None = None
        self._reset_wanted = threading.Event()
        self._nudged = threading.Event()
        self._loaded = threading.Event()
        self.rate = RateMeter()
        self.on_result: Callable[[FrameResult, str], None] | None = None  # a recorder's; never blocks
        self.model_name = ""

    @property
    def loaded(self) -> bool:
        """True once the estimator takes frames."""
        return bool(self.model_name)

    def configure(self, options: PipelineOptions) -> None:
        """Use `options` from the next frame on."""
        self._options = options

    def attach(self, frames: Mailbox[Frame]) -> None:
        """Take frames from this box from now on, and forget what was seen in the one before."""
        self._frames = frames
        self._results.clear()
        self._reset_wanted.set()

    def refresh(self) -> None:
        """Do the last frame once more (with newer options), unless a newer one waits."""
        if self._last is not None:
            frames, frame = self._last
            frames.offer(frame)

    def reset_tracking(self) -> None:
        """Forget tracked hands and smoothing before the next frame."""
        self._reset_wanted.set()

    def take_result(self) -> FrameResult | None:
        """The newest result, for the display; allows the next nudge."""
        self._nudged.clear()
        return self._results.take()

    def _run(self) -> None:
        previewer = threading.Thread(target=self._preview_while_loading, name="preview", daemon=True)
        previewer.start()
        try:
            if self._previous is not None:
                self._previous.join(HANDOVER_S)
                self._previous = None
            pipeline = HandPipeline(self._factory())
        finally:
            self._loaded.set()
            previewer.join()
        self.model_name = pipeline.model_name
        self._report(ModelLoaded(self))
        self.refresh()
        try:
            while not self.stopping:
                self._step(pipeline)
        finally:
            pipeline.close()

    def _step(self, pipeline: HandPipeline) -> None:
        frames = self._frames
        frame = frames.take(WAIT_S)
        if frame is None or self.stopping:
            return
        self._last = (frames, frame)
        if self._reset_wanted.is_set():
            self._reset_wanted.clear()
            pipeline.reset()
        result = pipeline.process(frame, self._options)
        on_result = self.on_result
        if on_result is not None:
            on_result(result, self.model_name)
        self.rate.tick()
        if frames is self._frames:
            self._publish(result)

    def _preview_while_loading(self) -> None:
        """Show the bare picture until the estimator is there: a person should see the camera at once."""
        while not (self._loaded.is_set() or self.stopping):
            frames = self._frames
            frame = frames.take(WAIT_S)
            if frame is not None:
                self._last = (frames, frame)
                self._publish(preview(frame, self._options))

    def _publish(self, result: FrameResult) -> None:
        self._results.put(result)
        if not self._nudged.is_set():
            self._nudged.set()
            self._report(ResultReady(self))


class JobWorker(Worker):
    """Does small jobs one after the other, losing none: writing snapshots and meshes, listing webcams."""

    def __init__(self, report: Report) -> None:
        super().__init__("jobs", report)
        self._queue: queue.Queue[tuple[str, Callable[[], Any]] | None] = queue.Queue()

    def submit(self, name: str, job: Callable[[], Any]) -> None:
        """Queue a job; its end is reported as `JobDone` or `JobFailed`."""
        self._queue.put((name, job))

    def _wake(self) -> None:
        self._queue.put(None)

    def _run(self) -> None:
        while (entry := self._queue.get()) is not None:  # what was queued before the stop is still done
            name, job = entry
            try:
                self._report(JobDone(name, job()))
            except Exception as error:
                log.warning("job %s failed", name, exc_info=error)
                self._report(JobFailed(name, error, "".join(traceback.format_exception(error))))
