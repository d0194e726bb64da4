"""The final solve: camera, lens and the board's own shape from all views at once, with honest standard deviations.

Levenberg-Marquardt on the reprojection error. Weak Gaussian priors hold what the views do not determine; a corner
that is off by far more than the others is weighted down first (Huber), then dropped for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calib.board_shape import SHAPES
from calib.boards import Board
from calib.initial import initial_estimate
from calib.jackknife import Witnesses
from calib.normal_equations import INTRINSICS, SHARED, NormalEquations, normal_equations
from calib.poses import appearance, distinct_labels
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
# Pixels are square in nearly every camera, and prints stretched in many. One cannot be told from the other where the
# board is always held upright, so both are held; where the views insist on other pixels, the print is taken as exact.
_PRIOR_SQUARE, _PRIOR_STRETCH = 0.002, 0.007
_NOT_SQUARE = 0.008


@dataclass(frozen=True)
class Solution:
    """A solved calibration.

    Attributes:
        board: the flat board that was looked for.
        views: the views that took part, without the corners that were dropped.
        camera: with the standard deviations in `camera.std`.
        covariance: (13, 13) of the shared parameters: fx fy cx cy k1 k2 p1 p2 k3, bend x, bend y, twist,
            stretch; from how much each view moves them, see `calib.jackknife`.
        information: (13, 13) inverse of the covariance that one pixel of independent noise would give; priors included.
        shape_m, shape_std_m: (3,) bends and twist of the board.
        stretch, stretch_std: by how much the print is too long along its columns, as a part of it.
        poses: (V, 6) rotation vector and translation, camera_from_board, metres.
        residuals_px: (N, 2) per view, projected minus seen.
        noise_px: standard deviation of a corner's coordinate, from the residuals.
        by_view: what each view contributes to the shared parameters.
        labels: (V,) a number for each distinct view, the same for views that look alike.
        dropped: (view index, corner id) of single corners that did not fit.
    """

    board: Board
    views: tuple[View, ...]
    camera: Camera
    covariance: Array
    information: Array
    shape_m: Array
    shape_std_m: Array
    stretch: float
    stretch_std: float
    poses: Array
    residuals_px: tuple[Array, ...]
    noise_px: float
    by_view: Witnesses
    labels: NDArray[np.intp]
    dropped: tuple[tuple[int, int], ...] = ()

    @property
    def shared(self) -> Array:
        """(13,) the shared parameters."""
        lens = np.zeros(5)
        lens[: self.camera.distortion.size] = self.camera.distortion
        half = self.board.half_height_m
        return np.concatenate([self.camera.pinhole, lens, self.shape_m, [self.stretch * half]])

    @property
    def distinct_count(self) -> int:
        """How many of the views differ enough to tell the camera different things."""
        return int(self.labels.max()) + 1

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
        there = "there is one" if len(views) == 1 else f"there are {len(views)}"
        raise CalibrationError(
            f"A calibration needs at least {MIN_VIEWS} views of the board, but {there}.",
            hint="Take eight or more, with the board tilted by about 30 degrees in several directions.",
        )
    camera, poses = initial_estimate(board, views)
    if start is not None and camera.source == "assumed":
        camera = start.camera
    problem = _Problem(board, list(views), _Prior.around(camera, board, bent, k3, square=True))
    shared = np.concatenate([camera.pinhole, _five(camera.distortion), np.zeros(SHAPES)])
    shared, poses = problem.minimise(shared, poses, robust=True)
    dropped = problem.drop_outliers(shared, poses)
    if abs(shared[0] / shared[1] - 1.0) > _NOT_SQUARE:
        problem.prior = _Prior.around(camera, board, bent, k3, square=False)
        shared[-1] = 0.0
    shared, poses = problem.minimise(shared, poses, robust=False)
    return _solution(problem, shared, poses, size, dropped)


@dataclass(frozen=True)
class _Prior:
    mean: Array
    precision: Array  # (13, 13) in 1 / px^2 of corner noise

    @classmethod
    def around(cls, camera: Camera, board: Board, bent: bool, k3: bool, square: bool) -> _Prior:
        wide = camera.width
        centre = [0.5 * (camera.width - 1), 0.5 * (camera.height - 1)]
        mean = np.concatenate([camera.focal_px, centre, np.zeros(SHARED - 4)])
        shape = _PRIOR_SHAPE_M if bent else 1e-9
        lens = _PRIOR_LENS if k3 else np.array([*_PRIOR_LENS[:4], 1e-9])
        stretch = _PRIOR_STRETCH * board.half_height_m if bent and square else 1e-9
        free = [_PRIOR_FOCAL * wide] * 2, [_PRIOR_CENTRE * wide] * 2, lens, [shape] * 3, [stretch]
        precision = np.diag((_NOISE_PX / np.concatenate(free)) ** 2)
        if square:
            ratio = np.array([1.0, -1.0]) / float(np.mean(camera.focal_px))
            precision[:2, :2] += (_NOISE_PX / _PRIOR_SQUARE) ** 2 * np.outer(ratio, ratio)
            mean[:2] = mean[:2].mean()
        return cls(mean, precision)

    def added_to(self, equations: NormalEquations, shared: Array) -> NormalEquations:
        away = shared - self.mean
        return replace(
            equations,
            shared=equations.shared + self.precision,
            gradient=equations.gradient + self.precision @ away,
            cost=equations.cost + 0.5 * float(away @ self.precision @ away),
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
            raise CalibrationError(
                "Could not calibrate the camera: the solve diverged.",
                hint="Take other views, and check that they show the board that was named.",
            )
        return shared, poses

    def drop_outliers(self, shared: Array, poses: Array) -> tuple[tuple[int, int], ...]:
        """Leave out corners far beyond the noise, where enough others of the view stay."""
        _, residuals = self.equations(shared, poses, None)
        limit = _OUTLIER * _noise(residuals)
        dropped: list[tuple[int, int]] = []
        for index, (view, residual) in enumerate(zip(self.views, residuals, strict=True)):
            good = np.abs(residual).max(axis=1) <= limit
            # Where most corners of a view are off it is the view that is wrong: `quality` names it.
            if good.all() or good.sum() < max(MIN_CORNERS, 0.8 * len(view)):
                continue
            dropped += [(index, int(number)) for number in view.ids[~good]]
            self.views[index] = replace(view, ids=view.ids[good], corners_px=view.corners_px[good])
        return tuple(dropped)


def _solution(
    problem: _Problem, shared: Array, poses: Array, size: tuple[int, int], dropped: tuple[tuple[int, int], ...]
) -> Solution:
    equations, residuals = problem.equations(shared, poses, None)
    information = equations.reduced()[0]
    count = 2 * sum(len(view) for view in problem.views)
    freedom = max(1, count - SHARED - 6 * len(problem.views))
    noise = max(_LEAST_NOISE_PX, float(np.sqrt(sum(np.sum(r**2) for r in residuals) / freedom)))
    by_view = _by_view(problem.prior, equations, shared, noise)
    camera = Camera(*size, _matrix(shared), shared[4:INTRINSICS])
    labels = distinct_labels([appearance(problem.board, pose, camera) for pose in poses])
    covariance = by_view.merged(labels).covariance()
    std = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    camera = replace(camera, std=std[:INTRINSICS])
    half = problem.board.half_height_m
    return Solution(
        problem.board,
        tuple(problem.views),
        camera,
        covariance,
        information,
        shared[INTRINSICS:-1].copy(),
        std[INTRINSICS:-1],
        float(shared[-1]) / half,
        float(std[-1]) / half,
        poses,
        tuple(residuals),
        noise,
        by_view,
        labels,
        dropped,
    )


def _by_view(prior: _Prior, equations: NormalEquations, shared: Array, noise_px: float) -> Witnesses:
    pull, spread = prior.precision @ (shared - prior.mean), _NOISE_PX**2 * prior.precision
    return Witnesses(*equations.by_view(), prior.precision, pull, spread, noise_px)


def _matrix(shared: Array) -> Array:
    return np.array([[shared[0], 0, shared[2]], [0, shared[1], shared[3]], [0, 0, 1.0]])


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
