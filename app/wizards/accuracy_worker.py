"""The thread behind the accuracy check: model, board, comparison. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.accuracy.checker import FEWEST_FRAMES, Card, Checker
from app.accuracy.comparison import Comparison, Rejection
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

__all__ = ["AccuracySnapshot", "AccuracyWorker"]


@dataclass(frozen=True)
class AccuracySnapshot:
    """What the dialog shows.

    Attributes:
        picture: RGB, scaled for the display.
        keypoints_px: (21, 2) of the hand compared, or (0, 2), picture pixels.
        words: what the last frame was good for.
        good: whether it was used.
        camera, card: of the frames so far; None while there are too few.
        error: why there is no card, or empty.
    """

    picture: NDArray[np.uint8]
    keypoints_px: Array = field(default_factory=lambda: np.zeros((0, 2)))
    words: str = ""
    good: bool = False
    camera: Camera | None = None
    card: Card | None = None
    error: str = ""


class AccuracyWorker(Worker):
    """Compares frames until it is stopped.

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
        self._checker = Checker(board, options.hand_length_m)
        self._estimator: Estimator | None = None
        self._states: Mailbox[AccuracySnapshot] = Mailbox()

    def take_snapshot(self) -> AccuracySnapshot | None:
        """The newest state, once."""
        return self._states.take()

    def _run(self) -> None:
        self._estimator = self._make()
        self._estimator.hand_length_m = self._options.hand_length_m
        self._estimator.hand_length_std = self._options.hand_length_std
        self._estimator.max_hands = self._options.max_hands
        while not self.stopping:
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
        good = isinstance(found, Comparison)
        return AccuracySnapshot(picture, shown, self._words(found), good, frame.used_camera, *self._card())

    def _card(self) -> tuple[Card | None, str]:
        """The card of the frames so far, or why there is none although there are frames enough."""
        if len(self._checker.comparisons) < FEWEST_FRAMES:
            return None, ""
        try:
            return self._checker.card(), ""
        except HandDGPError as error:
            return None, error.message

    def _words(self, found: Comparison | Rejection) -> str:
        if isinstance(found, Rejection):
            return f"Not used: {found.value}."
        used, places = count_of(len(self._checker.comparisons), "frame"), count_of(self._checker.places, "place")
        return f"{used} used in {places}. Move the board and the hand to another place."

    def _clean_up(self) -> None:
        close = getattr(self._estimator, "close", None)
        if close is not None:
            close()
