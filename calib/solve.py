"""The final solve: camera, lens and the board's own shape from all views at once, with honest standard deviations.

Levenberg-Marquardt on the reprojection error. Weak Gaussian priors hold what the views do not determine; a corner
that is off by far more than the others loses its say first (Huber), then is left out for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calib.boards import Board
from calib.initial import initial_estimate
from calib.normal_equations import INTRINSICS, SHARED, NormalEquations, normal_equations
from calib.views import MIN_CORNERS, View, common_size
from handdgp_core.arrays import Array
from handdgp_core.errors import CalibrationError
from handdgp_core.geometry.camera import Camera

__all__ = ["MIN_VIEWS", "Solution", "solve"]

MIN_VIEWS = 3
_MAX_STEPS = 60
_DONE = 1e-9  # of the cost
_HUBER = 2.5  # in standard deviations
_OUTLIER = 5.0
_NOISE_PX = 0.1  # what the priors are weighed against
_LEAST_NOISE_PX = 0.02
# Standard deviations before any view: focal lengths and principal point as parts of the picture's width, the lens, and
# the board's shape in metres. Wide enough that eight views drown them.
_PRIOR_FOCAL, _PRIOR_CENTRE = 1.0, 0.1
_PRIOR_LENS = np.array([1.0, 2.0, 0.02, 0.02, 2.0])
_PRIOR_SHAPE_M = 0.005


@dataclass(frozen=True)
class Solution:
    """A solved calibration.

    Attributes:
        board: the flat board that was looked for.
        views: the views that took part, without the corners that were left out.
        camera: with the standard deviations in `camera.std`.
        covariance: (12, 12) of the shared parameters: fx fy cx cy k1 k2 p1 p2 k3, bend x, bend y, twist.
        information: (12, 12) inverse of it, for one pixel of noise; priors included.
        shape_m, shape_std_m: (3,) bends and twist of the board.
        poses: (V, 6) rotation vector and translation, camera_from_board, metres.
        residuals_px: (N, 2) per view, projected minus seen.
        noise_px: standard deviation of a corner's coordinate, from the residuals.
        left_out: (view index, corner id) of single corners that did not fit.
    """

    board: Board
    views: tuple[View, ...]
    camera: Camera
    covariance: Array
    information: Array
    shape_m: Array
    shape_std_m: Array
    poses: Array
    residuals_px: tuple[Array, ...]
    noise_px: float
    left_out: tuple[tuple[int, int], ...] = ()

    @property
    def shared(self) -> Array:
        """(12,) the shared parameters."""
        lens = np.zeros(5)
        lens[: self.camera.distortion.size] = self.camera.distortion
        return np.concatenate([self.camera.matrix[[0, 1, 0, 1], [0, 1, 2, 2]], lens, self.shape_m])

    @property
    def rms_px(self) -> float:
        """Root of the mean squared distance between a corner and its projection."""
        return float(np.sqrt(np.mean(np.concatenate([np.sum(r**2, axis=1) for r in self.residuals_px]))))

    @property
    def view_rms_px(self) -> Array:
        """(V,) the same for each view."""
        return np.array([np.sqrt(np.mean(np.sum(r**2, axis=1))) for r in self.residuals_px])

    @property
    def focal_std(self) -> float:
        """Standard deviation of the focal length, as a part of it; the worse of the two."""
        return float(np.max(np.sqrt(np.diag(self.covariance)[:2]) / self.camera.focal_px))


def solve(
    board: Board, views: Sequence[View], start: Solution | None = None, bent: bool = True, k3: bool = True
) -> Solution:
    """Solve for the camera.

    Args:
        board: what the views show.
        views: at least three.
        start: an earlier solution with the same camera to start from; its views may be others.
        bent: estimate the board's bends and twist; False takes it for flat.
        k3: estimate the lens' k3; False leaves it out, for file formats that have none.

    Returns:
        A solution, whatever its quality: `calib.quality.judge` says whether it can be used.

    Raises:
        CalibrationError: too few views, several picture sizes, or no convergence.
    """
    size = common_size(views)
    if len(views) < MIN_VIEWS:
        found = "one view of it" if len(views) == 1 else f"{len(views)} views of it"
        cure = "take eight or more, with the board tilted by about 30 degrees in several directions"
        raise CalibrationError(f"at least {MIN_VIEWS} views of the board", found, cure)
    camera, poses = initial_estimate(board, views)
    if start is not None and camera.source == "assumed":
        camera = start.camera
    problem = _Problem(board, list(views), _Prior.around(camera, bent, k3))
    shared = np.concatenate([camera.matrix[[0, 1, 0, 1], [0, 1, 2, 2]], _five(camera.distortion), np.zeros(3)])
    shared, poses = problem.minimise(shared, poses, robust=True)
    left_out = problem.drop_outliers(shared, poses)
    shared, poses = problem.minimise(shared, poses, robust=False)
    return _solution(problem, shared, poses, size, left_out)


@dataclass(frozen=True)
class _Prior:
    mean: Array
    precision: Array  # in 1 / px^2 of corner noise

    @classmethod
    def around(cls, camera: Camera, bent: bool, k3: bool) -> _Prior:
        wide = camera.width
        centre = [0.5 * (camera.width - 1), 0.5 * (camera.height - 1)]
        mean = np.concatenate([camera.focal_px, centre, np.zeros(8)])
        shape = _PRIOR_SHAPE_M if bent else 1e-9
        lens = _PRIOR_LENS if k3 else np.array([*_PRIOR_LENS[:4], 1e-9])
        spread = np.concatenate([[_PRIOR_FOCAL * wide] * 2, [_PRIOR_CENTRE * wide] * 2, lens, [shape] * 3])
        return cls(mean, (_NOISE_PX / spread) ** 2)

    def added_to(self, equations: NormalEquations, shared: Array) -> NormalEquations:
        away = shared - self.mean
        return replace(
            equations,
            shared=equations.shared + np.diag(self.precision),
            gradient=equations.gradient + self.precision * away,
            cost=equations.cost + 0.5 * float(away @ (self.precision * away)),
        )


@dataclass
class _Problem:
    board: Board
    views: list[View]
    prior: _Prior

    def equations(
        self, shared: Array, poses: Array, weights: list[Array] | None
    ) -> tuple[NormalEquations, list[Array]]:
        equations, residuals = normal_equations(self.board, self.views, shared, poses, weights)
        return self.prior.added_to(equations, shared), residuals

    def minimise(self, shared: Array, poses: Array, robust: bool) -> tuple[Array, Array]:
        """Levenberg-Marquardt; with `robust` the weights follow the residuals from step to step."""
        weights: list[Array] | None = None
        damping = 1e-4
        equations, residuals = self.equations(shared, poses, weights)
        for _ in range(_MAX_STEPS):
            if robust:
                weights = _huber(residuals)
                equations, residuals = self.equations(shared, poses, weights)
            step, pose_steps = equations.step(damping)
            trial, residuals_there = self.equations(shared + step, poses + pose_steps, weights)
            if np.isfinite(trial.cost) and trial.cost <= equations.cost:
                gain = equations.cost - trial.cost
                shared, poses, residuals = shared + step, poses + pose_steps, residuals_there
                done = gain <= _DONE * equations.cost
                equations, damping = trial, max(1e-9, damping * 0.1)
                if done:
                    break
            else:
                damping *= 10.0
                if damping > 1e8:
                    break
        if not (np.isfinite(shared).all() and min(shared[:2]) > 0):
            raise CalibrationError("views that agree on one camera", "that the solve ran away", "take other views")
        return shared, poses

    def drop_outliers(self, shared: Array, poses: Array) -> tuple[tuple[int, int], ...]:
        """Leave out corners far beyond the noise, where enough others of the view stay."""
        _, residuals = self.equations(shared, poses, None)
        limit = _OUTLIER * _noise(residuals)
        left_out: list[tuple[int, int]] = []
        for index, (view, residual) in enumerate(zip(self.views, residuals, strict=True)):
            good = np.abs(residual).max(axis=1) <= limit
            # Where most corners of a view are off it is the view that is wrong: `quality` names it.
            if good.all() or good.sum() < max(MIN_CORNERS, 0.8 * len(view)):
                continue
            left_out += [(index, int(number)) for number in view.ids[~good]]
            self.views[index] = replace(view, ids=view.ids[good], corners_px=view.corners_px[good])
        return tuple(left_out)


def _solution(
    problem: _Problem, shared: Array, poses: Array, size: tuple[int, int], left_out: tuple[tuple[int, int], ...]
) -> Solution:
    equations, residuals = problem.equations(shared, poses, None)
    information = equations.reduced()[0]
    count = 2 * sum(len(view) for view in problem.views)
    freedom = max(1, count - SHARED - 6 * len(problem.views))
    noise = max(_LEAST_NOISE_PX, float(np.sqrt(sum(np.sum(r**2) for r in residuals) / freedom)))
    covariance = noise**2 * np.linalg.inv(information)
    covariance = 0.5 * (covariance + covariance.T)
    std = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    matrix = np.array([[shared[0], 0, shared[2]], [0, shared[1], shared[3]], [0, 0, 1.0]])
    camera = Camera(*size, matrix, shared[4:INTRINSICS], std=std[:INTRINSICS])
    return Solution(
        problem.board,
        tuple(problem.views),
        camera,
        covariance,
        information,
        shared[INTRINSICS:].copy(),
        std[INTRINSICS:],
        poses,
        tuple(residuals),
        noise,
        left_out,
    )


def _noise(residuals: Sequence[Array]) -> float:
    """Standard deviation by the median, which outliers do not move."""
    every = np.concatenate([np.abs(r).ravel() for r in residuals])
    return max(_LEAST_NOISE_PX, 1.4826 * float(np.median(every)))


def _huber(residuals: Sequence[Array]) -> list[Array]:
    limit = _HUBER * _noise(residuals)
    return [limit / np.maximum(np.abs(r).max(axis=1), limit) for r in residuals]


def _five(distortion: Array) -> Array:
    lens = np.zeros(5)
    lens[: min(5, distortion.size)] = distortion[:5]
    return lens
