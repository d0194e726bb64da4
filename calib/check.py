"""Does a stored calibration still hold? One or a few views of a tilted board tell.

The views are fitted with the calibration as it is known, and with one more unknown: a common factor on its focal
lengths. The answer weighs two statements by how likely they make that factor: the calibration is as it was, or its
focal length is off by `WRONG_BY` or more. Where neither is much likelier than the other, another view is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calib.board_shape import shaped_points
from calib.boards import Board
from calib.initial import board_pose
from calib.lens_models import LensModel, lens_model_of
from calib.normal_equations import normal_equations
from calib.poses import Appearance, appearance, difference
from calib.solve import Solution
from calib.views import View
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera

__all__ = ["MIN_CHECK_TILT_RAD", "WRONG_BY", "CalibrationCheck", "CheckResult", "check_calibration"]

Outcome = Literal["holds", "doubtful", "wrong", "cannot tell"]

MIN_CHECK_TILT_RAD = np.deg2rad(10.0)  # a board seen squarely fits any focal length
WRONG_BY = 0.03  # of the focal length: an error that must be found
_EVIDENCE = 3.0  # logarithm of the likelihood ratio that decides: one wrong answer in 20
_SHARP = 0.005  # of the focal length: a check that knows it better than this needs no further views
_MOST_VIEWS = 8
_MIN_CORNERS = 12
_MIN_FILL = 0.2  # of the picture's width: corners of a smaller board are too close to each other
_BAD_FIT = 4.0  # times the noise of the calibration: then it is not the focal length that is off
_LEAST_BAD_PX = 0.5  # at a width of 1280 pixels
_STEPS = 12
# What is taken for granted of a calibration that came without its views.
_ASSUMED_FOCAL_STD = 0.005
_ASSUMED_STRETCH = 0.005
_ASSUMED_BEND = 0.004  # standard deviation of the board's bends, of its width
_ASSUMED_INFLATION, _LEAST_INFLATION = (
    3.0,
    2.0,
)  # of the noise, because a view's corners err together: usual on real boards
_FLEX = 0.001  # standard deviation of how the board's bends change from day to day, of its width
_LEAST_NOISE_PX = 0.05
_ASSUMED_FREEDOM = 9  # as of eight views
_PRIOR_FACTOR = 0.3  # standard deviation of the factor on the focal lengths


@dataclass(frozen=True)
class CheckResult:
    """The result of a check.

    Attributes:
        outcome: "holds", "doubtful", "wrong", or "cannot tell".
        words: for the user.
        rms_px: reprojection error per axis with the focal length free.
        tilt_rad: of the board in the last view.
        focal_error: by which the focal length should grow, as a part of it; NaN where it could not be estimated.
        focal_error_std: its standard deviation, that of the calibration included.
    """

    outcome: Outcome
    words: str
    rms_px: float
    tilt_rad: float
    focal_error: float = float("nan")
    focal_error_std: float = float("nan")


@dataclass(frozen=True)
class _Known:
    """What is known of a camera and a board before the check.

    Attributes:
        lens: the model that the parameters are for.
        shared: (K,) shared parameters, see `calib.normal_equations`.
        root: (K, K) whose product with its transpose is their covariance.
        noise_px: standard deviation of a corner's coordinate.
        inflation: factor on it, for the errors that the corners of a view share.
        freedom: degrees of freedom of Student's distribution, which errors have whose size few views tell.
    """

    lens: LensModel
    shared: Array
    root: Array
    noise_px: float
    inflation: float
    freedom: int

    @classmethod
    def of_solution(cls, solution: Solution) -> _Known:
        """From the solution that the calibration came from: its covariance, its board's bend, its noise."""
        classical = solution.noise_px**2 * np.linalg.inv(solution.information)
        ratio = float(np.max(np.diag(solution.covariance)[:2] / np.diag(classical)[:2]))
        inflation = max(_LEAST_INFLATION, float(np.sqrt(ratio)))
        covariance = solution.covariance.copy()
        flex = (_FLEX * 1e-3 * max(solution.board.size_mm)) ** 2
        bends = np.arange(solution.lens.intrinsics, solution.lens.shared - 1)
        covariance[bends, bends] += flex
        scale = np.sqrt(np.diag(covariance))  # the parameters' units differ by many powers of ten
        root = scale[:, None] * np.linalg.cholesky(covariance / np.outer(scale, scale) + 1e-12 * np.eye(len(scale)))
        return cls(
            solution.lens, solution.shared, root, solution.noise_px, inflation, max(4, solution.distinct_count + 1)
        )

    @classmethod
    def of_camera(cls, board: Board, camera: Camera) -> _Known:
        """From the camera alone: its stated focal length and a sheet of paper that may be bent."""
        lens = lens_model_of(camera)
        shared = np.zeros(lens.shared)
        shared[: lens.intrinsics] = lens.parameters(camera)
        root = np.zeros((lens.shared, lens.shared))
        stated = _ASSUMED_FOCAL_STD if camera.std is None else float(np.max(camera.std[:2] / camera.focal_px))
        root[:2, 0] = stated * np.array(camera.focal_px)
        for index in range(lens.intrinsics, lens.shared - 1):
            root[index, index] = _ASSUMED_BEND * 1e-3 * max(board.size_mm)
        root[-1, -1] = _ASSUMED_STRETCH * board.half_height_m
        return cls(lens, shared, root, _LEAST_NOISE_PX, _ASSUMED_INFLATION, _ASSUMED_FREEDOM)


class CalibrationCheck:
    """Checks a calibration with views as they come, as many as it takes.

    Args:
        board, solution: see `check_calibration`.
        camera: the calibration; it is scaled to the size of the views.
    """

    def __init__(self, board: Board, camera: Camera, solution: Solution | None = None) -> None:
        self._board, self._camera, self._solution = board, camera, solution
        self._views: list[View] = []
        self._looks: list[Appearance] = []
        self._result: CheckResult | None = None

    def add(self, view: View) -> CheckResult:
        """The result of this view and those before it; one that looks like an earlier one adds nothing.

        Raises:
            CameraError: the picture has another shape than that of the calibration.
        """
        camera = self._camera.scaled_to(*view.size)
        look = appearance(self._board, board_pose(self._board.points_m, view, camera)[0], camera)
        if self._result is not None and any(difference(look, other) < 1.0 for other in self._looks):
            return self._result
        alone = check_calibration(self._board, camera, view, self._solution)
        if not np.isfinite(alone.focal_error) or len(self._views) >= _MOST_VIEWS:
            return alone if self._result is None or self._result.outcome == "cannot tell" else self._result
        self._views.append(view)
        self._looks.append(look)
        self._result = check_calibration(self._board, camera, self._views, self._solution)
        return self._result


def check_calibration(
    board: Board, camera: Camera, views: View | Sequence[View], solution: Solution | None = None
) -> CheckResult:
    """Judge a calibration by new views.

    Args:
        board: flat.
        camera: the calibration, of the views' picture size.
        views: one or more that show the board near and tilted by 10 degrees or more; others are not used.
        solution: that the calibration came from; without it, or where it is of another board or picture size, more is
            left open and more views are needed.
    """
    if solution is not None and (solution.board.spec != board.spec or solution.camera.size != camera.size):
        solution = None
    given = [views] if isinstance(views, View) else list(views)
    known = _Known.of_camera(board, camera) if solution is None else _Known.of_solution(solution)
    points = shaped_points(board, known.shared[known.lens.intrinsics :])
    useful, poses, tilt, complaint = [], [], float("nan"), "Show the board to the camera."
    for view in given:
        pose, rms = board_pose(points, view, camera)
        if not np.isfinite(rms):
            complaint = "The board's place could not be found: show more of it."
            continue
        look = appearance(board, pose, camera)
        tilt, complaint = look.tilt_rad, _complaint(view, look, camera)
        if not complaint:
            useful.append(view)
            poses.append(pose)
    if not useful:
        return CheckResult("cannot tell", complaint, float("nan"), tilt)
    error, std, rms = _focal_error(board, useful, np.array(poses), known)
    outcome, words = _judged(error, std, rms, len(useful), known, camera)
    return CheckResult(outcome, complaint if outcome == "cannot tell" and complaint else words, rms, tilt, error, std)


def _complaint(view: View, look: Appearance, camera: Camera) -> str:
    """Why a view is of no use, or nothing."""
    if look.tilt_rad < MIN_CHECK_TILT_RAD:
        return f"Tilt the board by about 30 degrees: {np.rad2deg(look.tilt_rad):.0f} are too few to show an error."
    if len(view) < _MIN_CORNERS or np.ptp(view.corners_px[:, 0]) / camera.width < _MIN_FILL:
        return "Bring the board closer, whole in the picture."
    return ""


def _judged(error: float, std: float, rms_px: float, count: int, known: _Known, camera: Camera) -> tuple[Outcome, str]:
    measured = f"focal length off by {100 * error:+.1f} ± {200 * std:.1f} %"
    if rms_px > max(_BAD_FIT * known.noise_px, _LEAST_BAD_PX * camera.width / 1280.0):
        return "doubtful", (
            f"The corners are {rms_px:.2f} px off whatever the focal length: hold a flat board still and check again; "
            "if it stays so, recalibrate."
        )
    # "Off by 3 %" is "by 3 % or more": an error that is larger still is no likelier without one.
    short = max(0.0, WRONG_BY - abs(error))
    evidence = _log_density(error, std, known.freedom) - _log_density(short, std, known.freedom)
    if evidence >= _EVIDENCE:
        return "holds", f"The calibration holds: {measured}."
    if evidence <= -_EVIDENCE:
        return "wrong", (
            f"The calibration does not fit this camera as it is now (zoom, focus, video mode): {measured}. Recalibrate."
        )
    if std < _SHARP or count >= _MOST_VIEWS:
        return "doubtful", f"Neither clearly right nor clearly wrong: {measured}. Recalibrate to be sure."
    return "cannot tell", f"Show the board tilted another way, too: so far {measured}."


def _log_density(error: float, std: float, freedom: int) -> float:
    """Of Student's distribution with a standard deviation, but for a constant."""
    return -0.5 * (freedom + 1) * float(np.log1p((error / std) ** 2 / (freedom - 2)))


def _focal_error(board: Board, views: Sequence[View], poses: Array, known: _Known) -> tuple[float, float, float]:
    """The factor less one by which the focal lengths differ, its standard deviation, and the rms of the fit in px.

    Gauss-Newton in the factor and in the shared parameters, which their covariance holds.
    """
    count = known.lens.shared
    grow = np.zeros(count)
    grow[:2] = known.shared[:2]
    basis = np.column_stack([known.root, grow])  # (K, K + 1): what each unknown does to the shared parameters
    held = np.diag([*np.ones(count), 1.0 / _PRIOR_FACTOR**2])
    unknown, rms = np.zeros(count + 1), float("inf")
    for _ in range(_STEPS):
        equations, residuals = normal_equations(board, views, known.shared + basis @ unknown, poses, lens=known.lens)
        rms = float(np.sqrt(np.mean(np.concatenate(residuals) ** 2)))
        matrix, right = equations.reduced()
        precision = 1.0 / (known.inflation * max(known.noise_px, rms)) ** 2
        normal = precision * basis.T @ matrix @ basis + held
        step = -np.linalg.solve(normal, precision * basis.T @ right + held @ unknown)
        unknown = unknown + step
        poses = poses + equations.pose_steps(basis @ step)
    return float(unknown[-1]), float(np.sqrt(np.linalg.inv(normal)[-1, -1])), rms
