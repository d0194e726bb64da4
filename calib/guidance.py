"""Which view of the board to show next: first a fixed handful, then the one that adds most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from calib.board_shape import shaped_points_and_jacobian
from calib.boards import Board
from calib.normal_equations import project_view
from calib.poses import Appearance, appearance, board_outline_px, difference, look_at
from calib.solve import Solution
from calib.uncertainty import UncertaintyMap, focal_std
from calib.views import MIN_CORNERS
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera

__all__ = ["FOCAL_GOAL", "MAP_GOAL_PX", "VIEWS_GOAL", "Guide", "TargetPose"]

FOCAL_GOAL = 0.0015  # standard deviation of the focal length, as a part of it
MAP_GOAL_PX = 0.3
VIEWS_GOAL = 8  # fewer leave nothing to check one half of the views against the other
_TILT_RAD = np.deg2rad(35.0)
_INWARDS = 6  # halvings of the way to the middle
_MARGIN_PX = 4.0
_CLEARLY_NEW = 1.3  # no user hits an outline exactly
_SCRIPT = (
    # words, tilt about (degrees in the picture; None for no tilt), place (-1 to 1 in x and y), part of the width filled
    ("Hold the board straight in front of the camera", None, (0.0, 0.0), 0.6),
    ("Tilt its top edge away from the camera", 0.0, (0.0, 0.0), 0.6),
    ("Tilt its right edge away from the camera", 270.0, (0.0, 0.0), 0.6),
    ("Tilt its bottom edge away from the camera", 180.0, (0.0, 0.0), 0.6),
    ("Tilt its left edge away from the camera", 90.0, (0.0, 0.0), 0.6),
)
_PLACES = {(-1, -1): "top left", (0, -1): "top", (1, -1): "top right", (-1, 0): "left", (0, 0): "middle",
           (1, 0): "right", (-1, 1): "bottom left", (0, 1): "bottom", (1, 1): "bottom right"}  # fmt: skip
_EDGES = {None: "facing the camera", 0.0: "top edge tilted away", 270.0: "right edge tilted away",
          180.0: "bottom edge tilted away", 90.0: "left edge tilted away"}  # fmt: skip


@dataclass(frozen=True)
class TargetPose:
    """A pose that the user is asked for.

    Attributes:
        words: what to do.
        pose: (6,) camera_from_board.
        outline_px: (N, 2) ghost of the board's outline in the picture.
    """

    words: str
    pose: Array
    outline_px: Array


@dataclass(frozen=True)
class Guide:
    """Asks for views of one board with one camera.

    Args:
        board: to be shown.
        camera: the best estimate so far; its focal length may be a guess.
    """

    board: Board
    camera: Camera

    def next_pose(self, appearances: Sequence[Appearance], solution: Solution | None) -> TargetPose:
        """The next view to show.

        Args:
            appearances: how the board looked in the views so far.
            solution: of those views, or None while there is none.
        """
        script = [self._pose(*entry) for entry in _SCRIPT]
        for target in script:
            if not any(
                difference(appearance(self.board, target.pose, self.camera), other) < 1.6 for other in appearances
            ):
                if solution is None or len(appearances) < len(script):
                    return target
                break
        if solution is None:
            return self._candidates[len(appearances) % len(self._candidates)]
        return self.most_informative(solution, appearances)

    def most_informative(self, solution: Solution, appearances: Sequence[Appearance] = ()) -> TargetPose:
        """The candidate after which the worst uncertainty would be smallest, out of those unlike all that were seen."""
        coarse = UncertaintyMap(solution.camera, 8, 6)
        scores = []
        for candidate, gain in zip(self._candidates, self._gains(solution), strict=True):
            look = appearance(self.board, candidate.pose, self.camera)
            if any(difference(look, other) < _CLEARLY_NEW for other in appearances):
                scores.append(np.inf)
                continue
            covariance: Array = np.asarray(np.linalg.inv(solution.information + gain), dtype=np.float64)
            covariance *= solution.noise_px**2
            worst = float(np.nanmax(coarse.std_px(covariance)))
            scores.append(worst / MAP_GOAL_PX + focal_std(covariance, solution.camera) / FOCAL_GOAL)
        return self._candidates[int(np.argmin(scores))]

    def _gains(self, solution: Solution) -> list[Array]:
        """(K, K) information that each candidate would add, its own unknown pose already paid for."""
        points, by_shape = shaped_points_and_jacobian(self.board, solution.shape)
        gains = []
        for candidate in self._candidates:
            pixels, by_shared, by_pose = project_view(points, by_shape, candidate.pose, solution.shared, solution.lens)
            limit = np.array(solution.camera.size) - 1 - _MARGIN_PX
            inside = ((pixels >= _MARGIN_PX) & (pixels <= limit)).all(axis=1)
            whole = self.board.kind == "chessboard" and not inside.all()
            if inside.sum() < 2 * MIN_CORNERS or whole:
                gains.append(np.zeros((len(solution.shared), len(solution.shared))))
                continue
            a = by_shared[inside].reshape(-1, by_shared.shape[2])
            b = by_pose[inside].reshape(-1, by_pose.shape[2])
            cross = a.T @ b
            gains.append(a.T @ a - cross @ np.linalg.solve(b.T @ b, cross.T))
        return gains

    @cached_property
    def _candidates(self) -> list[TargetPose]:
        made = []
        # A chessboard must stay whole in the picture; a ChArUco board may leave it, and so fill its corners.
        reaches = (0.3,) if self.board.kind == "chessboard" else (0.55, 0.8)
        for reach, place, about, fill in product(reaches, _PLACES, (0.0, 90.0, 180.0, 270.0), (0.45, 0.65)):
            words = f"Move it to the {_PLACES[place]}, {_EDGES[about]}" + (", close" if fill > 0.5 else "")
            made.append(self._pose(words, about, (reach * place[0], reach * place[1]), fill))
        return made

    def _pose(self, words: str, about_deg: float | None, place: tuple[float, float], fill: float) -> TargetPose:
        camera = self.camera
        width_m = 1e-3 * self.board.size_mm[0]
        height_m = 1e-3 * self.board.size_mm[1]
        distance = max(
            camera.focal_px[0] * width_m / (fill * camera.width), camera.focal_px[1] * height_m / (fill * camera.height)
        )
        middle = 0.5 * (np.array(camera.size) - 1)
        aim = middle + np.array(place) * middle
        for _ in range(_INWARDS):
            if np.isfinite(camera.rays(aim)).all():
                break
            aim = 0.5 * (aim + middle)  # the lens shows nothing there
        tilt, about = (0.0, 0.0) if about_deg is None else (_TILT_RAD, np.deg2rad(about_deg))
        pose = look_at(self.board, distance, tilt, about, 0.0, (float(aim[0]), float(aim[1])), camera)
        return TargetPose(words, pose, board_outline_px(self.board, pose, camera))
