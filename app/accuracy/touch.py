"""One frame: the estimated index fingertip beside the corner of the board that it touches.

The corner's place is known, and so is that of a fingertip that touches it: the keypoint of a fingertip lies in the
middle of the finger, as high above the paper as the finger is thick to its middle, 7 mm for a hand whose joints' chain
is 185 mm long. That holds for a finger laid flat and for one set down steeply, for a fingertip is about round. Unlike a
hand that lies on the board, a touch tells how far off the keypoint is to the side, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from app.accuracy.comparison import MAX_TILT_RAD, Comparison, Rejection, only_hand
from calib.boards import Board
from calib.hand_size import JOINT_HEIGHT_M
from calib.initial import board_pose
from calib.poses import appearance
from calib.rotation import matrix_of
from calib.views import View
from handdgp_core.arrays import Array
from handdgp_core.estimation.hand_length import ADULT_HAND_M
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.keypoints import FINGERS
from handdgp_core.hands.measure import chain_of
from handdgp_core.hands.palm import distance_std_m
from handdgp_core.types import Hand

__all__ = ["CORNER_NAMES", "FRAMES_AT_REST", "FRAMES_OF_TOUCH", "Touches", "fingertips_m"]

CORNER_NAMES = ("top left", "top right", "bottom right", "bottom left")
_TIP = FINGERS["index"][-1]
_HEIGHT_FOR_CHAIN_M = 0.185
_FEWEST_CORNERS, _MOST_RMS_PX = 8, 2.0
REACH_M = 0.015  # a keypoint this far from where it should appear belongs to a finger that touches something else
FRAMES_AT_REST = 5
_REST_M = 0.004  # a finger on its way to the corner moves more from frame to frame
FRAMES_OF_TOUCH = 15  # more frames of one touch would only repeat it
_FRAMES_MISSED = 10  # without a touch: the finger is taken to have left
NEW_PLACE_M = 0.04  # a board that was moved so far under a resting finger makes a new touch


def corners_of(board: Board) -> Array:
    """(4, 3) outermost inner corners in the board's frame, as `CORNER_NAMES` says."""
    across, down = board.grid
    return np.asarray(board.points_m[[0, across - 1, across * down - 1, across * (down - 1)]])


def fingertips_m(board: Board, length_m: float | None) -> Array:
    """(4, 3) where the keypoint of a fingertip that touches each corner is, in the board's frame (z into the paper)."""
    height_m = JOINT_HEIGHT_M[_TIP] * chain_of(ADULT_HAND_M if length_m is None else length_m) / _HEIGHT_FOR_CHAIN_M
    return corners_of(board) - np.array([0.0, 0.0, height_m])


@dataclass
class Touch:
    """A fingertip that came to rest on a corner: how many frames of it are used, and where that was."""

    corner: int
    place_m: Array
    frames: int = 0


@dataclass
class Touches:
    """Follows the fingertip from frame to frame: only one that rests on a corner touches it.

    A touch lasts until the finger leaves the corner, and its first `FRAMES_OF_TOUCH` frames at rest count.

    Args:
        board: of its true printed size.
        length_m: of the hand, where it is known.

    Attributes:
        taken: touches so far, in order.
        seen_px: (4, 2) where a touching fingertip would appear in the last frame; NaN where the board was not found.
    """

    board: Board
    length_m: float | None = None
    taken: list[Touch] = field(default_factory=list)
    seen_px: Array = field(default_factory=lambda: np.full((4, 2), np.nan))
    _resting: deque[Array] = field(default_factory=lambda: deque(maxlen=FRAMES_AT_REST))
    _corner: int = -1
    _missed: int = 0  # frames since the finger was last seen on its corner
    _undone: bool = False  # the touch under way, so that its finger must leave first

    @property
    def counts(self) -> tuple[int, ...]:
        """(4,) touches of each corner."""
        corners = [touch.corner for touch in self.taken]
        return tuple(corners.count(corner) for corner in range(len(CORNER_NAMES)))

    @property
    def progress(self) -> float:
        """Of the touch under way, 0 to 1; 0 where there is none, 1 where the finger may leave."""
        if self._undone or not self.taken or self._gone:
            return 0.0
        return self.taken[-1].frames / FRAMES_OF_TOUCH

    @property
    def wanted(self) -> int:
        """The corner to touch next: the one that is under way, else the one that was touched least."""
        under_way = 0.0 < self.progress < 1.0
        return self.taken[-1].corner if under_way else int(np.argmin(self.counts))

    def undo(self) -> int:
        """Take the last touch back; returns how many frames it had. A finger still there must leave before the next."""
        if not self.taken:
            return 0
        self._undone = not self._gone
        self._resting.clear()
        return self.taken.pop().frames

    @property
    def _gone(self) -> bool:
        return self._missed >= _FRAMES_MISSED

    def add(self, camera: Camera, view: View | None, hands: Sequence[Hand]) -> Comparison | Rejection:
        """One frame, in order: as `comparison.compare`."""
        found = self._compared(camera, view, hands)
        if isinstance(found, Rejection):
            self._resting.clear()
            self._missed = _FRAMES_MISSED if found is Rejection.ELSEWHERE else self._missed + 1
            self._undone &= not self._gone
            return found
        corner, offset_m, comparison = found
        if corner != self._corner:
            self._resting.clear()
            self._missed, self._undone = _FRAMES_MISSED, False
        self._corner = corner
        self._resting.append(offset_m)
        places = np.array(self._resting)
        if len(places) < FRAMES_AT_REST or np.linalg.norm(places - places.mean(axis=0), axis=1).max() > _REST_M:
            return Rejection.MOVING
        if self._undone:
            return Rejection.TAKEN
        if not self.taken or self._gone or np.linalg.norm(comparison.place_m - self.taken[-1].place_m) > NEW_PLACE_M:
            self.taken.append(Touch(corner, comparison.place_m))
        self._missed = 0
        if self.taken[-1].frames >= FRAMES_OF_TOUCH:
            return Rejection.TAKEN
        self.taken[-1].frames += 1
        return comparison

    def _compared(
        self, camera: Camera, view: View | None, hands: Sequence[Hand]
    ) -> tuple[int, Array, Comparison] | Rejection:
        """The corner, the fingertip's (2,) offset from it in the picture as metres at its distance, and the errors."""
        self.seen_px = np.full((4, 2), np.nan)
        if view is None:
            return Rejection.NO_BOARD
        pose, rms = board_pose(self.board.points_m, view, camera)
        if len(view) < _FEWEST_CORNERS or not rms < _MOST_RMS_PX:
            return Rejection.NO_BOARD
        tips_m = fingertips_m(self.board, self.length_m) @ matrix_of(pose).T + pose[3:]
        self.seen_px = camera.project(tips_m)
        if appearance(self.board, pose, camera).tilt_rad > MAX_TILT_RAD:
            return Rejection.TILTED
        hand = only_hand(hands)
        if isinstance(hand, Rejection):
            return hand
        metres_per_px = tips_m[:, 2] / float(np.mean(camera.focal_px))
        offsets_m = (hand.keypoints_px[_TIP] - self.seen_px) * metres_per_px[:, None]
        off = np.linalg.norm(np.where(np.isfinite(offsets_m), offsets_m, np.inf), axis=1)
        corner = int(np.argmin(off))
        if not off[corner] <= REACH_M:
            return Rejection.ELSEWHERE
        place, estimated = tips_m[corner], hand.keypoints_m[_TIP]
        distance = float(np.linalg.norm(place))
        along = float(estimated @ place) / distance
        across = float(np.linalg.norm(estimated - along * place / distance))
        std_m = distance_std_m(hand, estimated)
        return corner, offsets_m[corner], Comparison(view, hand.handedness, place, along - distance, std_m, across)
