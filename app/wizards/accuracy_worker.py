"""The thread behind the accuracy check: model, board, comparison. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.accuracy.checker import FEWEST_FRAMES, Card, Checker
from app.accuracy.comparison import Comparison, Rejection
from app.accuracy.touch import Touches
from app.live.frame_result import Estimator, PipelineOptions
from app.live.mailbox import Mailbox
from app.live.workers import Report, ResultReady, Worker
from app.notices import count_of
from app.wizards.hand_size_worker import small_image
from calib.boards import Board
from handdgp_core.arrays import Array
from handdgp_core.errors import HandDGPError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.pixels import resized_pixels
from handdgp_core.sources.cameras import CameraFrame

__all__ = ["AccuracySnapshot", "AccuracyWorker", "TouchGuide"]

_TOUCH = "Touch the ringed corner with the tip of the index finger and hold still for a second."
_ROUND = "All four corners are touched. Move or tilt the board, then touch the ringed corner."


@dataclass(frozen=True)
class TouchGuide:
    """Which corner to touch.

    Attributes:
        corners_px: (4, 2) where a touching fingertip would appear, picture pixels; NaN where the board was not found.
        wanted: index of the corner to touch.
        progress: of the touch under way, 0 to 1.
        taken: touches so far.
    """

    corners_px: Array
    wanted: int
    progress: float
    taken: int


@dataclass(frozen=True)
class AccuracySnapshot:
    """What the dialog shows.

    Attributes:
        picture: RGB, scaled for the display.
        keypoints_px: (21, 2) of the hand compared, or (0, 2), picture pixels.
        words: what the last frame was good for.
        good: whether it was used.
        guide: where corners are to be touched.
        camera, cards: of the frames so far, a flat hand's first; none while there are too few.
        error: why there is no card, or empty.
    """

    picture: NDArray[np.uint8]
    keypoints_px: Array = field(default_factory=lambda: np.zeros((0, 2)))
    words: str = ""
    good: bool = False
    guide: TouchGuide | None = None
    camera: Camera | None = None
    cards: tuple[Card, ...] = ()
    error: str = ""


class AccuracyWorker(Worker):
    """Compares frames until it is stopped: a hand lying flat or a fingertip on corners, one card of each.

    Args:
        frames: see `CalibrationWorker`.
        board: of its true printed size.
        options: hand length and how certain it is.
        make_estimator: loads the model; called in the worker's thread.
        report: called in the worker's thread.
    """

    def __init__(
        self,
        frames: Callable[[], Mailbox[CameraFrame] | None],
        board: Board,
        options: PipelineOptions,
        make_estimator: Callable[[], Estimator],
        report: Report,
    ) -> None:
        super().__init__("accuracy", report)
        self._frames, self._options, self._make = frames, options, make_estimator
        self._flat, self._touching = (Checker(board, options.hand_length_m, touch) for touch in (False, True))
        self._checker = self._flat
        self._estimator: Estimator | None = None
        self._states: Mailbox[AccuracySnapshot] = Mailbox()

    def take_snapshot(self) -> AccuracySnapshot | None:
        """The newest state, once."""
        return self._states.take()

    def compare_touches(self, on: bool) -> None:
        """Look for a fingertip on corners from now on, or for a hand that lies flat; the other's frames are kept."""
        self._ask(lambda: setattr(self, "_checker", self._touching if on else self._flat))

    def undo_touch(self) -> None:
        """Take the last touch back."""
        self._ask(self._touching.undo_touch)

    def _run(self) -> None:
        self._estimator = self._make()
        self._estimator.hand_length_m = self._options.hand_length_m
        self._estimator.hand_length_std = self._options.hand_length_std
        self._estimator.max_hands = self._options.max_hands
        while not self.stopping:
            self._obey()
            frame = self._next_frame(self._frames)
            if frame is not None:
                self._states.put(self._compared(self._estimator, frame))
                self._report(ResultReady(self))

    def _compared(self, estimator: Estimator, frame: CameraFrame) -> AccuracySnapshot:
        picture, scale = small_image(frame.image)
        try:
            hands = estimator.estimate(frame, frame.used_camera)
            found = self._checker.add(frame.image, frame.used_camera, hands)
        except HandDGPError as error:
            return AccuracySnapshot(picture, error=error.message)
        shown = resized_pixels(hands[0].keypoints_px, scale) if len(hands) == 1 else np.zeros((0, 2))
        good, touches = isinstance(found, Comparison), self._checker.touches
        cards, why_none = self._cards()
        return AccuracySnapshot(
            picture,
            shown,
            self._words(found) if touches is None else _touch_words(found, touches),
            good or found is Rejection.TAKEN,
            None if touches is None else _guide(touches, scale),
            frame.used_camera,
            cards,
            why_none,
        )

    def _cards(self) -> tuple[tuple[Card, ...], str]:
        """The cards of the frames so far; and why there is none of what is compared now although frames are enough."""
        cards, why_none = [], ""
        for checker in (self._flat, self._touching):
            if len(checker.comparisons) < FEWEST_FRAMES:
                continue
            try:
                cards.append(checker.card())
            except HandDGPError as refused:
                why_none = refused.message if checker is self._checker else why_none
        return tuple(cards), why_none

    def _words(self, found: Comparison | Rejection) -> str:
        if isinstance(found, Rejection):
            return f"Not used: {found.value}."
        used, places = count_of(len(self._checker.comparisons), "frame"), count_of(self._checker.places, "place")
        return f"{used} used in {places}. Move the board and the hand to another place."

    def _clean_up(self) -> None:
        if self._estimator is not None:
            self._estimator.close()


def _guide(touches: Touches, scale: float) -> TouchGuide:
    corners_px = resized_pixels(touches.seen_px, scale)
    return TouchGuide(corners_px, touches.wanted, touches.progress, len(touches.taken))


def _touch_words(found: Comparison | Rejection, touches: Touches) -> str:
    """What to do next."""
    taken = f"Touches taken: {len(touches.taken)}. " if touches.taken else ""
    if isinstance(found, Comparison) and touches.progress < 1.0:
        return "Hold still on the corner."
    if found is Rejection.MOVING:
        return "Rest the fingertip on the corner and hold still."
    if isinstance(found, Comparison) or found in (Rejection.TAKEN, Rejection.ELSEWHERE):
        all_round = touches.taken and len(set(touches.counts)) == 1
        return taken + (_ROUND if all_round else _TOUCH)
    return f"Not used: {found.value}. {_TOUCH}"
