"""Frames in, one card out: how far hands are off on this desk, with this camera and this hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.accuracy.comparison import Comparison, Rejection, compare
from app.accuracy.touch import NEW_PLACE_M, Touches
from app.notices import count_of
from calib.boards import Board
from calib.check import CalibrationCheck, CheckResult
from calib.detection import BoardDetector, to_grey
from calib.views import View
from handdgp_core.errors import CalibrationError
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Hand

__all__ = ["FEWEST_FRAMES", "HOW_TO_LIE", "HOW_TO_TOUCH", "Card", "Checker", "require_calibrated"]

HOW_TO_LIE = "Lay one hand flat on the board, its back to the camera, fingers stretched, whole in the picture."
HOW_TO_TOUCH = "Touch an outermost corner of the squares with the tip of the index finger and hold still for a second."
FEWEST_FRAMES = 10
FEWEST_PLACES = 3  # fewer say little about hands elsewhere


class Card(NamedTuple):
    """The result, over all frames used.

    Attributes:
        frames, rejected: used, and not used by reason.
        places: how many places of the hand, 4 cm apart or more.
        hands: "left", "right" or both.
        distance_m: (nearest, farthest) by the board.
        mean_mm, rms_mm: of the error of distance; mean is positive for too far.
        mean_percent, rms_percent: the same, of the distance.
        stated_percent: mean of what the estimates state, one standard deviation; NaN where they state nothing.
        inside: shares of frames whose error is within one and two stated standard deviations; NaN likewise.
        across_mm: mean offset from the line of sight, against the picture's own 2D keypoints.
        calibration: whether the board's views bear the calibration out.
        touches: by corner (`touch.CORNER_NAMES`) where fingertips were compared; None for a hand lying flat.
    """

    frames: int
    rejected: dict[Rejection, int]
    places: int
    hands: str
    distance_m: tuple[float, float]
    mean_mm: float
    rms_mm: float
    mean_percent: float
    rms_percent: float
    stated_percent: float
    inside: tuple[float, float]
    across_mm: float
    calibration: CheckResult
    touches: tuple[int, ...] | None = None


@dataclass
class Checker:
    """Compares frame by frame.

    Args:
        board: of its true printed size.
        length_m: of the hand, where it is known.
        touch: the index fingertip touches corners of the board; else the hand lies flat on it.
    """

    board: Board
    length_m: float | None = None
    touch: bool = False
    comparisons: list[Comparison] = field(default_factory=list)
    rejected: Counter[Rejection] = field(default_factory=Counter)
    camera: Camera | None = None
    _places: list[NDArray[np.float64]] = field(default_factory=list)
    _check: CalibrationCheck | None = None
    _calibration: CheckResult | None = None

    def __post_init__(self) -> None:
        self._detector = BoardDetector(self.board)
        self.touches = Touches(self.board, self.length_m) if self.touch else None

    @property
    def places(self) -> int:
        """Places of the hand so far."""
        return len(self._places)

    def add(self, image: NDArray[np.uint8], camera: Camera, hands: Sequence[Hand]) -> Comparison | Rejection:
        """One frame: (height, width, 3) uint8 RGB, otherwise as `add_view`."""
        return self.add_view(self._detector.detect(to_grey(image)), camera, hands)

    def add_view(self, view: View | None, camera: Camera, hands: Sequence[Hand]) -> Comparison | Rejection:
        """One frame whose board was looked for.

        Args:
            view: the corners found; None for none.
            camera: that the hands were solved with, of the frame's size.
            hands: as estimated.

        Raises:
            CalibrationError: the camera is not calibrated, or is another one than that of the frames before.
        """
        require_calibrated(camera)
        if self.camera is not None and camera != self.camera:
            raise CalibrationError(
                "Could not check: the frames come from more than one camera.", hint="Check one camera at a time."
            )
        self.camera = camera
        if self.touches is not None:
            found = self.touches.add(camera, view, hands)
        else:
            found = compare(self.board, camera, view, hands, self.length_m)
        if isinstance(found, Rejection):
            self.rejected[found] += 1
            return found
        self.comparisons.append(found)
        self._check = self._check or CalibrationCheck(self.board, camera)
        self._calibration = self._check.add(found.view)
        self._note_place(found)
        return found

    def undo_touch(self) -> None:
        """Take the last touch back; the views of the board that came with it are kept."""
        if self.touches is None:
            return
        frames = self.touches.undo()
        del self.comparisons[len(self.comparisons) - frames :]
        self._places.clear()
        for comparison in self.comparisons:
            self._note_place(comparison)

    def _note_place(self, found: Comparison) -> None:
        if all(np.linalg.norm(found.place_m - place) > NEW_PLACE_M for place in self._places):
            self._places.append(found.place_m)

    def card(self) -> Card:
        """The result of the frames so far.

        Raises:
            CalibrationError: too few frames could be used, or the board contradicts the calibration.
        """
        if len(self.comparisons) < FEWEST_FRAMES or self._calibration is None:
            raise CalibrationError(
                f"Could not check: {count_of(len(self.comparisons), 'frame')} could be used, {FEWEST_FRAMES} are "
                f"needed. {self.explained()}".strip(),
                hint=HOW_TO_TOUCH if self.touch else HOW_TO_LIE,
            )
        if self._calibration.outcome == "wrong":
            raise CalibrationError(
                f"Could not check: the board contradicts the camera's calibration. {self._calibration.words}",
                hint="With a wrong focal length the board's distance is as wrong as the hand's.",
            )
        return self._figures(self._calibration)

    def explained(self) -> str:
        """Why frames were not used, the most frequent reason first; empty where all were."""
        reasons = [f"{reason.value} in {count}" for reason, count in self.rejected.most_common()]
        return f"Not used: {'; '.join(reasons)}." if reasons else ""

    def _figures(self, calibration: CheckResult) -> Card:
        error, std, distance, across = np.array(
            [[c.error_m, c.std_m, c.distance_m, c.across_m] for c in self.comparisons]
        ).T
        share, stated = error / distance, std / distance
        known = bool(np.isfinite(std).all())
        inside = [float(np.mean(np.abs(error) <= sigmas * std)) if known else float("nan") for sigmas in (1, 2)]
        return Card(
            frames=len(error),
            rejected=dict(self.rejected.most_common()),
            places=self.places,
            hands=" and ".join(sorted({c.handedness for c in self.comparisons})),
            distance_m=(float(distance.min()), float(distance.max())),
            mean_mm=1e3 * float(error.mean()),
            rms_mm=1e3 * _rms(error),
            mean_percent=100 * float(share.mean()),
            rms_percent=100 * _rms(share),
            stated_percent=100 * float(stated.mean()),
            inside=(inside[0], inside[1]),
            across_mm=1e3 * float(across.mean()),
            calibration=calibration,
            touches=None if self.touches is None else self.touches.counts,
        )


def require_calibrated(camera: Camera) -> None:
    """Raises CalibrationError where the focal length is a guess: then the board's distance is one, too."""
    if camera.source == "assumed":
        raise CalibrationError(
            "Could not check: the camera is not calibrated, so the board's distance would be a guess, too.",
            hint="Calibrate it first (Camera → Calibrate…), or give --calibration FILE.",
        )


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))
