"""Other models on the frames that the window shows, in a thread of their own: the newest frame wins. No Qt."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.live.frame_result import Estimator, FrameResult, PipelineOptions
from app.live.mailbox import Mailbox
from app.live.readout import pick_hand
from app.live.replay_view import ReplayMode
from app.live.workers import WAIT_S, Event, Report, Worker
from handdgp_core.evaluation.differences import MEASURES, Difference, differences
from handdgp_core.evaluation.side_by_side import short_names
from handdgp_core.types import Hand

if TYPE_CHECKING:
    from handdgp_core.drawing.comparison import MethodHand

__all__ = ["BesideShown", "BesideWorker", "Comparison"]

PUBLISH_EVERY_S = 0.25  # figures that change more often cannot be read
_REMEMBERED = 30
_LEAST_TILE_PX = 60


@dataclass(frozen=True)
class Comparison:
    """One model's hand of one side beside the first model's: medians over the last frames, millimetres, NaN for none.

    Attributes:
        model, side: which.
        frames: how many the medians are over.
        values: by the names of MEASURES; other minus first for the depth.
    """

    model: str
    side: str
    frames: int
    values: dict[str, float]


@dataclass(frozen=True)
class BesideShown(Event):
    """Something to show. No more than one in `PUBLISH_EVERY_S`.

    Attributes:
        worker: whose.
        models: the names, the first model's first.
        inference_ms: of every model but the first, for the newest frame.
        rows: what differs.
        picture: (height, width, 3) uint8 RGB; None where no model has a hand.
    """

    worker: BesideWorker
    models: tuple[str, ...]
    inference_ms: dict[str, float]
    rows: list[Comparison]
    picture: NDArray[np.uint8] | None


class BesideWorker(Worker):
    """Loads the models, then runs them on what it is offered.

    Args:
        models: names or files.
        make: loads one; called in this thread.
        options: what the settings are at the moment; called in this thread.
        report: gets `BesideShown`, and `WorkerFailed` where a model cannot be loaded or run.
    """

    def __init__(
        self,
        models: Sequence[str],
        make: Callable[[str], Estimator],
        options: Callable[[], PipelineOptions],
        report: Report,
    ) -> None:
        super().__init__("beside", report)
        self._models, self._make, self._options = list(models), make, options
        self._offered: Mailbox[tuple[FrameResult, str]] = Mailbox()
        self._reset_requested = threading.Event()
        self._estimators: dict[str, Estimator] = {}
        self._history: dict[tuple[str, str], deque[Difference]] = {}
        self._last_ns = 0
        self._size = (0, 0)
        self._first = ""
        self._published_s = -PUBLISH_EVERY_S
        self.width_px = 320
        self.shows_inputs = False

    def offer(self, result: FrameResult, model: str) -> None:
        """A frame and what the first model found in it. Never blocks; called in any thread."""
        if not (result.preview or result.frames_ago):
            self._offered.put((result, model))

    def reset(self) -> None:
        """The next frame does not follow the last one."""
        self._reset_requested.set()

    def _wake(self) -> None:
        self._offered.close()

    def _run(self) -> None:
        for name, model in zip(short_names(self._models), self._models, strict=True):
            if self.stopping:
                return
            self._estimators[name] = self._make(model)
        waiting: tuple[FrameResult, str, dict[str, list[Hand]], dict[str, float]] | None = None
        while not self.stopping:
            offered = self._offered.take(WAIT_S)
            if offered is not None:
                waiting = (*offered, *self._estimate(*offered))
            if waiting is not None and time.monotonic() - self._published_s >= PUBLISH_EVERY_S:
                self._publish(*waiting)
                waiting = None

    def _clean_up(self) -> None:
        for estimator in self._estimators.values():
            estimator.close()

    def _estimate(self, result: FrameResult, first: str) -> tuple[dict[str, list[Hand]], dict[str, float]]:
        self._follow(result, first)
        options, frame = self._options(), result.frame
        found, spent_ms = {}, {}
        for name, estimator in self._estimators.items():
            options.configure(estimator)
            began_s = time.perf_counter()
            found[name] = estimator.estimate(frame, frame.used_camera)
            spent_ms[name] = (time.perf_counter() - began_s) * 1e3
            for entry in differences(result.raw_hands, found[name]):
                self._history.setdefault((name, entry.side), deque(maxlen=_REMEMBERED)).append(entry)
        return found, spent_ms

    def _follow(self, result: FrameResult, first: str) -> None:
        """Forget what is of another source, of another model, or later than this frame."""
        frame = result.frame
        size = frame.image.shape[:2]
        if self._reset_requested.is_set() or frame.stamp_ns < self._last_ns or size != self._size or frame.name:
            self._reset_requested.clear()
            for estimator in self._estimators.values():
                estimator.reset()
            self._history.clear()
        if first != self._first:
            self._history.clear()
        self._last_ns, self._size, self._first = frame.stamp_ns, size, first

    def _publish(
        self, result: FrameResult, first: str, found: dict[str, list[Hand]], spent_ms: dict[str, float]
    ) -> None:
        self._published_s = time.monotonic()
        replay = self._options().replay
        name = "recorded" if replay is not None and replay.mode is ReplayMode.RECORDED else short_names([first])[0]
        rows = [_comparison(model, side, list(entries)) for (model, side), entries in sorted(self._history.items())]
        picture = self._picture(result, {name: result.raw_hands} | found)
        self._report(BesideShown(self, (name, *found), spent_ms, rows, picture))

    def _picture(self, result: FrameResult, hands: dict[str, list[Hand]]) -> NDArray[np.uint8] | None:
        from handdgp_core.drawing.comparison import MethodHand, Sample, draw_side_by_side
        from handdgp_core.drawing.tiles import GAP_PX

        index = pick_hand(result.raw_hands, "auto")
        if index is None:
            index, of = next(((pick_hand(own, "auto"), own) for own in hands.values() if own), (None, []))
            side = None if index is None else of[index].handedness
        else:
            side = result.raw_hands[index].handedness
        if side is None:
            return None
        methods: list[MethodHand] = []
        for name, own in hands.items():
            hand, estimator = _of_side(own, side), self._estimators.get(name)
            crop = None
            if self.shows_inputs and hand is not None and estimator is not None:
                crop = estimator.rectified(result.frame, result.camera, hand)
            methods.append(MethodHand(name, hand, crop))
        size = max(_LEAST_TILE_PX, (self.width_px - GAP_PX) // 2)
        return draw_side_by_side(Sample(result.frame.image, result.camera, methods), size)


def _of_side(hands: list[Hand], side: str) -> Hand | None:
    return next((hand for hand in hands if hand.handedness == side), None)


def _comparison(model: str, side: str, entries: list[Difference]) -> Comparison:
    values = {}
    for measure in MEASURES:
        known = np.array([getattr(entry, measure) for entry in entries])
        known = known[np.isfinite(known)]
        values[measure] = float(np.median(known)) if len(known) else float("nan")
    return Comparison(model, side, len(entries), values)
