"""The length of a person's hand from pictures of it lying on the board.

Every keypoint's ray is cut at the height at which that joint lies above the board; the bare homography of the board
would see the hand 3 to 6 % too long, because joints are closer to the camera than the paper.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from calib.boards import Board
from calib.initial import board_pose
from calib.poses import appearance
from calib.rotation import matrix_of
from calib.sheet import Sheet
from calib.views import View
from handdgp_core.arrays import Array
from handdgp_core.errors import CalibrationError, ShapeError
from handdgp_core.geometry.camera import Camera

__all__ = [
    "FRAMES_WANTED",
    "JOINT_HEIGHT_M",
    "HandOnBoard",
    "HandSample",
    "HandSizer",
    "HandState",
    "LyingHand",
    "lying_hand",
    "measure_hand",
]

# Centres of the joints of a flat hand, palm down, above the table, in the order of the 21 keypoints: wrist, then thumb,
# index, middle, ring, little finger from the palm outwards. Metres, for a hand of 185 mm.
_FINGER = (0.0155, 0.011, 0.009, 0.007)
JOINT_HEIGHT_M = np.array([0.024, 0.016, 0.015, 0.011, 0.008, *_FINGER * 4])
_TYPICAL_LENGTH_M = 0.185
_CHAIN = (0, 9, 10, 11, 12)  # wrist, then the middle finger to its tip
MAX_TILT_RAD = np.deg2rad(20.0)
FRAMES_WANTED = 30
_MIN_CORNERS = 8
_MIN_STRAIGHT = 0.965  # chord over chain
_RANGE_M = (0.10, 0.26)
_MOVED_PX = 40.0  # at a width of 1280 pixels, from the median of the samples: a new start
# What averaging does not remove, two standard deviations: how thick the hand is (2 to 3 %), and above all where the
# network puts a keypoint, which is not measured for the hand at hand (3 mm at both ends are 2.3 % at one sigma).
_SYSTEMATIC_PERCENT = 4.0


class HandState(Enum):
    """What a picture was good for; the value says what to do."""

    NO_BOARD = "Show the board, face up on a table"
    NO_HAND = "Lay one hand flat on the board, back of the hand up, wrist pressed down"
    TILTED = "Look straight down: the camera is more than 20 degrees off"
    BENT = "Stretch the fingers and lay them flat"
    OUTSIDE = "Move the hand on to the board and into the picture"
    UNLIKELY = "This is no hand's size: check the size of the board"
    GOOD = "Measuring: hold still"
    DONE = "Measured"


@dataclass(frozen=True)
class HandSample:
    """One measurement: length along the chain wrist to middle finger tip, metres, and the tilt of the view."""

    length_m: float
    tilt_rad: float


@dataclass(frozen=True)
class HandOnBoard:
    """The result.

    Attributes:
        length_m: wrist to middle finger tip along the joints.
        percent: two standard deviations, in percent: spread of the pictures and what averaging cannot remove.
        count: pictures it is made of.
    """

    length_m: float
    percent: float
    count: int


@dataclass(frozen=True)
class LyingHand:
    """A hand that lies flat on the board.

    Attributes:
        points_m: (21, 3) its joints in the camera's frame, by the board: on their rays, at the height of a flat hand's.
        sample: its length and the tilt of the view.
    """

    points_m: Array
    sample: HandSample


def measure_hand(
    board: Board | Sheet, camera: Camera, view: View, keypoints_px: Array
) -> tuple[HandState, HandSample | None]:
    """The length of the hand in one picture: see `lying_hand`."""
    state, lying = lying_hand(board, camera, view, keypoints_px)
    return state, None if lying is None else lying.sample


def lying_hand(
    board: Board | Sheet, camera: Camera, view: View, keypoints_px: Array, max_tilt_rad: float = MAX_TILT_RAD
) -> tuple[HandState, LyingHand | None]:
    """The hand in one picture, and why not.

    Args:
        board: of its true printed size; or a sheet of paper.
        camera: of the picture's size.
        view: the corners that the hand leaves free.
        keypoints_px: (21, 2) pixels.
        max_tilt_rad: of the view; from 20 degrees on the length is less certain.

    Raises:
        ShapeError: keypoints of another shape.
    """
    if np.shape(keypoints_px) != (21, 2):
        raise ShapeError(f"keypoints_px must have the shape (21, 2), not {np.shape(keypoints_px)}.")
    pose, rms = board_pose(board.points_m, view, camera)
    if len(view) < min(_MIN_CORNERS, len(board.points_m)) or not rms < 2.0:
        return HandState.NO_BOARD, None
    if not ((keypoints_px >= 0) & (keypoints_px <= np.array(camera.size) - 1)).all():
        return HandState.OUTSIDE, None
    tilt = appearance(board, pose, camera).tilt_rad
    if tilt > max_tilt_rad:
        return HandState.TILTED, None
    length, straight = _chain(_on_board(pose, camera, keypoints_px, JOINT_HEIGHT_M))
    if not np.isfinite(length):
        return HandState.OUTSIDE, None
    # A larger hand is thicker, too: once more with the heights of a hand of this size.
    heights = JOINT_HEIGHT_M * float(np.clip(length / _TYPICAL_LENGTH_M, 0.6, 1.4))
    points = _on_board(pose, camera, keypoints_px, heights)
    length, straight = _chain(points)
    if not _RANGE_M[0] <= length <= _RANGE_M[1]:
        return HandState.UNLIKELY, None
    if straight < _MIN_STRAIGHT:
        return HandState.BENT, None
    if not _over(board, points[9]):
        return HandState.OUTSIDE, None
    in_camera = points @ matrix_of(pose).T + pose[3:]
    return HandState.GOOD, LyingHand(in_camera, HandSample(length, tilt))


@dataclass
class HandSizer:
    """Averages pictures of one hand that lies still.

    Attributes:
        board, camera: see `measure_hand`.
        samples: so far.
    """

    board: Board | Sheet
    camera: Camera
    samples: list[HandSample] = field(default_factory=list)
    _middles: list[Array] = field(default_factory=list)

    def add(self, view: View | None, keypoints_px: Array | None) -> HandState:
        """One picture; None where the board or a hand was not found."""
        if view is None:
            return HandState.NO_BOARD
        if keypoints_px is None:
            return HandState.NO_HAND
        state, sample = measure_hand(self.board, self.camera, view, keypoints_px)
        if sample is None:
            return state
        middle = np.asarray(keypoints_px).mean(axis=0)
        limit = _MOVED_PX * self.camera.width / 1280.0
        if self._middles and np.linalg.norm(middle - np.median(self._middles, axis=0)) > limit:
            self.samples.clear()
            self._middles.clear()
        self.samples.append(sample)
        self._middles.append(middle)
        return HandState.DONE if len(self.samples) >= FRAMES_WANTED else HandState.GOOD

    def result(self) -> HandOnBoard:
        """The measurement.

        Raises:
            CalibrationError: no picture was good.
        """
        if not self.samples:
            raise CalibrationError(
                "Could not measure the hand: no image showed one that lies flat on the board.",
                hint="Lay the hand flat on the board, fingers stretched, the camera straight above.",
            )
        lengths = np.array([sample.length_m for sample in self.samples])
        middle = float(np.median(lengths))
        # Pictures of a hand that lies still err alike: their spread, not spread over root of the count.
        spread = 2 * 1.4826 * float(np.median(np.abs(lengths - middle))) / middle * 100
        return HandOnBoard(middle, float(np.hypot(_SYSTEMATIC_PERCENT, spread)), len(lengths))


def _on_board(pose: Array, camera: Camera, keypoints_px: Array, heights_m: Array) -> Array:
    """(21, 3) joints in the board's frame: rays cut at these heights above it."""
    turn = matrix_of(pose)
    rays = camera.rays(keypoints_px) @ turn
    eye = -turn.T @ pose[3:]
    depth = (-heights_m - eye[2]) / rays[:, 2]  # z points into the board
    return np.asarray(eye + depth[:, None] * rays, dtype=np.float64)


def _chain(points_m: Array) -> tuple[float, float]:
    """Length along the chain, and the straight distance of its ends as a part of it."""
    chain = points_m[list(_CHAIN)]
    length = float(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum())
    return length, float(np.linalg.norm(chain[-1] - chain[0])) / max(length, 1e-9)


def _over(board: Board | Sheet, point_m: Array) -> bool:
    low, high = board.outline_m.min(axis=0)[:2] - 0.05, board.outline_m.max(axis=0)[:2] + 0.05
    return bool(((point_m[:2] >= low) & (point_m[:2] <= high)).all())
