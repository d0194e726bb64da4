"""Does a stored calibration still hold? One view of a tilted board tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calib.boards import Board
from calib.initial import board_pose
from calib.poses import appearance
from calib.views import View
from handdgp_core.geometry.camera import Camera

__all__ = ["MIN_CHECK_TILT_RAD", "CheckResult", "check_calibration"]

MIN_CHECK_TILT_RAD = np.deg2rad(20.0)  # a board seen squarely fits any focal length
_MIN_CORNERS = 12
_MIN_FILL = 0.35  # of the picture's width: a small, far board fits nearly any camera
_GOOD_PX, _BAD_PX = 0.2, 0.5  # rms per axis at a width of 1280 pixels


@dataclass(frozen=True)
class CheckResult:
    """What one view says of a calibration.

    Attributes:
        outcome: "holds", "doubtful", "wrong", or "cannot tell".
        words: for a person.
        rms_px: reprojection error per axis.
        tilt_rad: of the board in the view.
    """

    outcome: str
    words: str
    rms_px: float
    tilt_rad: float


def check_calibration(board: Board, camera: Camera, view: View) -> CheckResult:
    """Fit the board's pose in one view with the camera as it is, and judge the rest.

    Args:
        board: flat.
        camera: of the view's picture size.
        view: should show the board near and tilted by 20 degrees or more.
    """
    pose, rms = board_pose(board.points_m, view, camera)
    if not np.isfinite(rms):
        return CheckResult("cannot tell", "The board's place could not be found: show more of it.", rms, float("nan"))
    look = appearance(board, pose, camera)
    across = np.ptp(view.corners_px[:, 0]) / camera.width
    if look.tilt_rad < MIN_CHECK_TILT_RAD:
        words = f"Tilt the board by about 30 degrees: {np.rad2deg(look.tilt_rad):.0f} are too few to show an error."
        return CheckResult("cannot tell", words, rms, look.tilt_rad)
    if len(view) < _MIN_CORNERS or across < _MIN_FILL:
        return CheckResult("cannot tell", "Bring the board closer, whole in the picture.", rms, look.tilt_rad)
    scaled = rms * 1280.0 / camera.width
    if scaled <= _GOOD_PX:
        return CheckResult("holds", f"The calibration holds: the corners fit to {rms:.2f} px.", rms, look.tilt_rad)
    outcome = "doubtful" if scaled <= _BAD_PX else "wrong"
    words = f"The corners are {rms:.2f} px off. " + (
        "Hold a flat board still and check again; if it stays so, calibrate anew."
        if outcome == "doubtful"
        else "The calibration does not fit this camera as it is now (zoom, focus, picture mode): calibrate anew."
    )
    return CheckResult(outcome, words, rms, look.tilt_rad)
