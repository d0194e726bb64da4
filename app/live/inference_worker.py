"""The thread that runs the model."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from app.live.frame_result import Estimator, FrameResult, PipelineOptions
from app.live.held_frame import HeldFrame
from app.live.mailbox import Mailbox
from app.live.pipeline import HandPipeline, preview
from app.live.state import RateMeter
from app.live.workers import WAIT_S, Event, Report, ResultReady, Worker
from handdgp_core.sources.cameras import CameraFrame


@dataclass(frozen=True)
class ModelLoaded(Event):
    """The inference worker has its estimator and takes frames from now on."""

    worker: InferenceWorker


@dataclass(frozen=True)
class EngineChanged(Event):
    """Another engine runs the model from the next frame on."""

    worker: InferenceWorker


class InferenceWorker(Worker):
    """Loads an estimator, then turns the newest frame into the newest result.

    Args:
        factory: makes the estimator; runs in the worker's thread, which is the only one that ever uses it.
        options: how the first frame is treated; `configure` changes it between frames.
        report: called in the worker's thread.
        previous: a worker that must end first (two networks would share the memory of one device). The frame that it
            had last is gone on from.
        identity: of what `factory` makes, see `HandPipeline`.

    Attributes:
        model_name: what the loaded model calls itself, empty before.
        engine: what runs it, for people.
    """

    def __init__(
        self,
        factory: Callable[[], Estimator],
        options: PipelineOptions,
        report: Report,
        previous: InferenceWorker | None = None,
        identity: Hashable = None,
    ) -> None:
        super().__init__("inference", report)
        self._factory = factory
        self._options = options
        self._previous = previous
        self._identity = identity
        # The last frame that was processed, and the box it came from: that of one source.
        self._held: HeldFrame | None = None
        self._followed: Mailbox[CameraFrame] | None = None
        self._frames: Mailbox[CameraFrame] = Mailbox()
        self._results: Mailbox[FrameResult] = Mailbox()
        self._last: tuple[Mailbox[CameraFrame], CameraFrame] | None = None
        self._reset_requested = threading.Event()
        self._notified = threading.Event()
        self._loaded = threading.Event()
        self.rate = RateMeter()
        self.on_result: tuple[Callable[[FrameResult, str], None], ...] = ()  # never block
        self.model_name = ""
        self.engine = ""

    @property
    def loaded(self) -> bool:
        """True once the estimator takes frames."""
        return bool(self.model_name)

    def configure(self, options: PipelineOptions) -> None:
        """Use `options` from the next frame on."""
        self._options = options

    def attach(self, frames: Mailbox[CameraFrame]) -> None:
        """Take frames from this box from now on, and forget the results of the one before."""
        self._frames = frames
        self._results.clear()

    def refresh(self) -> None:
        """Do the last frame once more (with newer options), unless a newer one waits."""
        if self._last is not None:
            frames, frame = self._last
            frames.offer(frame)

    def reset_tracking(self) -> None:
        """Forget tracked hands and smoothing before the next frame."""
        self._reset_requested.set()

    def take_result(self) -> FrameResult | None:
        """The newest result, for the display; allows the next notification."""
        self._notified.clear()
        return self._results.take()

    def _run(self) -> None:
        previewer = threading.Thread(target=self._preview_while_loading, name="preview", daemon=True)
        previewer.start()
        try:
            self._take_over(self._previous)
            self._previous = None
            pipeline = HandPipeline(self._factory(), self._identity, self._held)
            _settle_memory()
        finally:
            self._loaded.set()
            previewer.join()
        self.model_name, self.engine = pipeline.model_name, pipeline.engine
        self._report(ModelLoaded(self))
        self.refresh()
        try:
            while not self.stopping:
                self._step(pipeline)
        finally:
            self._held = pipeline.held
            pipeline.close()

    def _take_over(self, previous: InferenceWorker | None) -> None:
        self._wait_for(previous)
        if previous is not None and previous.ended:
            self._held, self._followed = previous._held, previous._followed

    def _step(self, pipeline: HandPipeline) -> None:
        frames = self._frames
        frame = frames.take(WAIT_S)
        if frame is None or self.stopping:
            return
        self._last = (frames, frame)
        self._use_best_engine(pipeline)
        if self._reset_requested.is_set() or self._followed not in (None, frames):
            self._reset_requested.clear()
            pipeline.reset()
        self._followed = frames
        result = pipeline.process(frame, self._options)
        if not result.redrawn:
            for on_result in self.on_result:
                on_result(result, self.model_name)
            self.rate.tick()
        if frames is self._frames:
            self._publish(result)

    def _use_best_engine(self, pipeline: HandPipeline) -> None:
        """Not while results are recorded or sent: what says which engine made them is written at the start."""
        if self.on_result:
            return
        pipeline.use_best_engine()
        if pipeline.engine != self.engine:
            self.engine = pipeline.engine
            self._report(EngineChanged(self))

    def _preview_while_loading(self) -> None:
        """Show the bare picture until the estimator is there: the user should see the camera at once."""
        while not (self._loaded.is_set() or self.stopping):
            frames = self._frames
            frame = frames.take(WAIT_S)
            if frame is not None:
                self._last = (frames, frame)
                self._publish(preview(frame, self._options))

    def _publish(self, result: FrameResult) -> None:
        self._results.put(result)
        if not self._notified.is_set():
            self._notified.set()
            self._report(ResultReady(self))


def _settle_memory() -> None:
    """Keep what a model brings (modules of PyTorch above all) out of the garbage collector's rounds.

    A full round over them stops every thread, the window's too, for longer than a frame. What an earlier model left
    is looked through first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
