"""The thread behind the hand size wizard: board, hand, average. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from app.live.mailbox import Mailbox
from app.live.workers import Report, ResultReady, Worker
from calib.boards import Board
from calib.detection import BoardDetector, to_grey
from calib.hand_size import FRAMES_WANTED, HandOnBoard, HandSizer, HandState
from calib.sheet import Sheet, SheetDetector
from calib.views import View
from handdgp_core.arrays import Array
from handdgp_core.detection.landmarker import HandFinder
from handdgp_core.errors import CameraError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.pixels import resized_pixels
from handdgp_core.hands.measure import length_of_chain
from handdgp_core.sources.cameras import CameraFrame

__all__ = ["LANDMARK_STRETCH", "HandSizeSnapshot", "HandSizeWorker", "small_image"]

_SHOWN_WIDTH = 960
# MediaPipe puts the wrist behind its joint: chains of its landmarks are that much longer than those of the true joints
# (median of 119 stretched, face-on hands of the rendered demo, standard deviation 2.4 %).
LANDMARK_STRETCH = 1.015
# Two standard deviations that a guessed focal length adds to a length by a sheet of paper (docs/calibration.md).
_GUESSED_FOCAL_PERCENT = 2.0

_Find = Callable[[NDArray[np.uint8], Camera], View | None]


@dataclass(frozen=True)
class HandSizeSnapshot:
    """What the wizard shows.

    Attributes:
        picture: RGB, scaled for the display.
        keypoints_px: (21, 2) or (0, 2), picture pixels.
        state: what the last picture was good for.
        progress: 0 to 1.
        result: so far, its length from wrist crease to middle finger tip; or None.
        error: why nothing can be measured, or empty.
    """

    picture: NDArray[np.uint8] | None = None
    keypoints_px: Array = field(default_factory=lambda: np.zeros((0, 2)))
    state: HandState = HandState.NO_BOARD
    progress: float = 0.0
    result: HandOnBoard | None = None
    error: str = ""


class HandSizeWorker(Worker):
    """Measures until there are pictures enough.

    Args:
        frames: see `CalibrationWorker`.
        board: of its true printed size; or a sheet of paper.
        camera: the calibration in use; None to take the camera that is assumed, which a sheet allows.
        make_finder: makes what finds hands; called in the worker's thread.
        report: called in the worker's thread.
    """

    def __init__(
        self,
        frames: Callable[[], Mailbox[CameraFrame] | None],
        board: Board | Sheet,
        camera: Camera | None,
        make_finder: Callable[[], HandFinder],
        report: Report,
    ) -> None:
        super().__init__("hand size", report)
        self._frames, self._board, self._camera, self._make_finder = frames, board, camera, make_finder
        self._states: Mailbox[HandSizeSnapshot] = Mailbox()
        self._finder: HandFinder | None = None

    def take_snapshot(self) -> HandSizeSnapshot | None:
        """The newest state, once."""
        return self._states.take()

    def _run(self) -> None:
        self._finder = self._make_finder()
        find, sizer = _finder_of(self._board), None
        while not self.stopping:
            frame = self._next_frame(self._frames)
            if frame is not None:
                sizer = sizer or HandSizer(self._board, frame.used_camera)
                self._look_at(frame, find, sizer)

    def _look_at(self, frame: CameraFrame, find: _Find, sizer: HandSizer) -> None:
        height, width = frame.image.shape[:2]
        try:
            sizer.camera = frame.used_camera if self._camera is None else self._camera.scaled_to(width, height)
        except CameraError as error:
            self._publish(HandSizeSnapshot(small_image(frame.image)[0], error=error.message))
            return
        assert self._finder is not None
        view = find(frame.image, sizer.camera)
        hands = self._finder.find(frame.image)
        keypoints = hands[0].keypoints_px if hands else None
        state = HandState.DONE if len(sizer.samples) >= FRAMES_WANTED else sizer.add(view, keypoints)
        picture, scale = small_image(frame.image)
        shown = np.zeros((0, 2)) if keypoints is None else resized_pixels(keypoints, scale)
        result = _result(sizer, 0.0 if self._camera is not None else _GUESSED_FOCAL_PERCENT)
        self._publish(HandSizeSnapshot(picture, shown, state, len(sizer.samples) / FRAMES_WANTED, result))

    def _publish(self, snapshot: HandSizeSnapshot) -> None:
        self._states.put(snapshot)
        self._report(ResultReady(self))

    def _clean_up(self) -> None:
        if self._finder is not None:
            self._finder.close()


def _finder_of(board: Board | Sheet) -> _Find:
    """What finds the corners in an image taken by a camera."""
    if isinstance(board, Sheet):
        return lambda image, camera: SheetDetector(board, camera).detect(image)
    detector = BoardDetector(board)
    return lambda image, camera: detector.detect(to_grey(image), quick=True)


def _result(sizer: HandSizer, further_percent: float) -> HandOnBoard | None:
    if not sizer.samples:
        return None
    found = sizer.result()
    length_m = length_of_chain(found.length_m / LANDMARK_STRETCH)
    return HandOnBoard(length_m, float(np.hypot(found.percent, further_percent)), found.count)


def small_image(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """The picture scaled down for a dialog, and its pixels per pixel of the image."""
    scale = min(1.0, _SHOWN_WIDTH / image.shape[1])
    if scale == 1.0:
        return image, 1.0
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8), scale
