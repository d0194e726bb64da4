"""The final solve: camera, lens and the board's own shape from all views at once, with honest standard deviations.

Levenberg-Marquardt on the reprojection error. Weak Gaussian priors hold what the views do not determine; a corner
that is off by far more than the others is weighted down first (Huber), then dropped for good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calib.board_shape import SHAPES
from calib.boards import Board
from calib.initial import board_poses, initial_estimate
from calib.jackknife import Witnesses
from calib.lens_choice import LensTrial, best_trial, blind_share
from calib.lens_models import LENS_MODELS, PLUMB_BOB, RATIONAL, LensModel, as_rational
from calib.normal_equations import Linearised, NormalEquations
from calib.poses import appearance, distinct_labels
from calib.views import MIN_CORNERS, View, common_size
from handdgp_core.arrays import Array
from handdgp_core.errors import CalibrationError
from handdgp_core.geometry.camera import Camera

__all__ = ["ENOUGH_TO_CHOOSE", "MIN_VIEWS", "Solution", "solve"]

MIN_VIEWS = 3
_MAX_STEPS = 60
_DONE = 1e-9  # of the cost
_ROUGHLY = 1e-5  # the same, where models are compared
_FIRST_STEPS = 8  # from each of several starts
_CALM = 1.2  # times the noise of the calmest model so far
_PARTS, _HELD_OUT_STEPS, _POSE_STEPS = 5, 8, 3  # of the views, to hold one out in turn
_WORTH_A_TRIAL = 0.01  # part of the cost that another lens must promise to save; half of what makes it better
_HUBER = 2.5  # in standard deviations
_OUTLIER = 5.0
_NOISE_PX = 0.1  # what the priors are weighed against
_LEAST_NOISE_PX = 0.02
# Standard deviations before any view: focal lengths and principal point as parts of the picture's width, the lens, and
# the board's shape in metres. Wide enough that eight views drown them. The lens has its own, see `calib.lens_models`.
_PRIOR_FOCAL, _PRIOR_CENTRE = 1.0, 0.1
_PRIOR_SHAPE_M = 0.005
# Pixels are square in nearly every camera, and prints stretched in many. One cannot be told from the other where the
# board is always held upright, so both are held; where the views insist on other pixels, the print is taken as exact.
_PRIOR_SQUARE, _PRIOR_STRETCH = 0.002, 0.007
_NOT_SQUARE = 0.008
# Lenses wider than this, or unknown, are also tried as fisheyes of these fields of view along the picture's width.
_WIDE_RAD = np.deg2rad(75.0)
_FISHEYE_FOVS_RAD = np.deg2rad([90.0, 125.0, 170.0])
ENOUGH_TO_CHOOSE = 6  # distinct views; with fewer another model must be clearly calmer than the usual one
_CLEARLY_CALMER = 0.5


@dataclass(frozen=True)
class Solution:
    """A solved calibration.

    Attributes:
        board: the flat board that was looked for.
        views: the views that took part, without the corners that were dropped.
        camera: with the standard deviations in `camera.std`.
        lens: the model that was fitted.
        covariance: (K, K) of the shared parameters: fx fy cx cy, the lens, bend x, bend y, twist, stretch; from how
            much each view moves them, see `calib.jackknife`.
        information: (K, K) inverse of the covariance that one pixel of independent noise would give; priors included.
        shape_m, shape_std_m: (3,) bends and twist of the board.
        stretch, stretch_std: by how much the print is too long along its columns, as a part of it.
        poses: (V, 6) rotation vector and translation, camera_from_board, metres.
        residuals_px: (N, 2) per view, projected minus seen.
        noise_px: standard deviation of a corner's coordinate, from the residuals.
        by_view: what each view contributes to the shared parameters.
        labels: (V,) a number for each distinct view, the same for views that look alike.
        dropped: (view index, corner id) of single corners that did not fit.
        trials: the lens models that were compared; empty where nothing spoke for another than the usual one, or the
            views were too few; None where a model was asked for.
    """

    board: Board
    views: tuple[View, ...]
    camera: Camera
    lens: LensModel
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
    trials: tuple[LensTrial, ...] | None = ()

    @property
    def shape(self) -> Array:
        """(4,) bends, twist and stretch of the board, metres."""
        return np.concatenate([self.shape_m, [self.stretch * self.board.half_height_m]])

    @property
    def shared(self) -> Array:
        """(K,) the shared parameters."""
        return np.concatenate([self.lens.parameters(self.camera), self.shape])

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
    board: Board,
    views: Sequence[View],
    start: Solution | None = None,
    bent: bool = True,
    lens: LensModel | None = None,
) -> Solution:
    """Solve for the camera.

    Args:
        board: what the views show.
        views: at least three.
        start: an earlier solution with the same camera to start from; its views may be others.
        bent: estimate the board's bends and twist; False takes it for flat.
        lens: the model to fit; None takes that which predicts held-out views best.

    Returns:
        A solution, whatever its quality: `calib.quality.judge` says whether it can be used.

    Raises:
        CalibrationError: too few views, several picture sizes, or no convergence.
    """
    common_size(views)
    if len(views) < MIN_VIEWS:
        there = "there is one" if len(views) == 1 else f"there are {len(views)}"
        raise CalibrationError(
            f"A calibration needs at least {MIN_VIEWS} views of the board, but {there}.",
            hint="Take eight or more, with the board tilted by about 30 degrees in several directions.",
        )
    camera, poses = initial_estimate(board, views)
    if start is not None and camera.source == "assumed" and start.camera.lens == "opencv":
        camera = start.camera
    fits = _fits(board, views, (camera, poses), bent, lens)
    if lens is not None:
        return _finished(fits[-1], bent, None)
    trials = _trials(fits)
    if trials is None:
        return _finished(_of_few_views(fits), bent, ())
    # A lens may fold only once it has settled: then the choice is made again, with what it has become.
    for _ in fits:
        best = best_trial(trials)
        fit = next(fit for fit in fits if fit.problem.lens is best.model)
        solution = _finished(fit, bent, trials)
        settled = replace(best, blind=blind_share(solution.camera))
        trials = tuple(settled if trial is best else trial for trial in trials)
        if best_trial(trials) is settled:
            break
    return replace(solution, trials=trials)


def _finished(fit: _Fit, bent: bool, trials: tuple[LensTrial, ...] | None) -> Solution:
    """The solution, single corners that are far off left out."""
    problem, shared, poses = fit.problem, fit.shared, fit.poses
    dropped = problem.drop_outliers(shared, poses)
    if abs(shared[0] / shared[1] - 1.0) > _NOT_SQUARE:
        problem.prior = _Prior.around(fit.camera, problem.board, bent, problem.lens, square=False)
        shared = np.append(shared[:-1], 0.0)
    shared, poses = problem.minimise(shared, poses, robust=False)
    return _solution(problem, shared, poses, dropped, trials)


@dataclass(frozen=True)
class _Fit:
    """One lens model after the robust fit, no corner dropped."""

    problem: _Problem
    shared: Array
    poses: Array
    residuals: list[Array]

    @property
    def noise_px(self) -> float:
        return _noise(self.residuals)

    @property
    def camera(self) -> Camera:
        return self.problem.lens.camera(self.problem.views[0].size, self.shared)


def _fits(
    board: Board, views: Sequence[View], start: tuple[Camera, Array], bent: bool, lens: LensModel | None
) -> list[_Fit]:
    """One fit where a lens is asked for or the usual one leaves nothing to be wished for; else one for each model."""
    # The rational model finds its way from the others alone.
    models = list(LENS_MODELS.values()) if lens in (None, RATIONAL) else [lens]
    fits: list[_Fit] = []
    failure: CalibrationError | None = None
    for model in models:
        if model is None:
            continue
        try:
            fits.append(_fit(board, views, start, bent, model, fits))
        except CalibrationError as error:
            failure = failure or error
        else:
            if lens is None and model is PLUMB_BOB and not _asks_for_more(fits[0], start[0]):
                return fits
    if not fits and failure is not None:
        raise failure
    return fits


def _asks_for_more(usual: _Fit, first_guess: Camera) -> bool:
    """Whether anything speaks for another lens than the usual one.

    A wide view, a part of the picture without an answer, or residuals that three more coefficients would lower: by one
    Gauss-Newton step of the rational model, of which the usual one is a special case.
    """
    camera = usual.camera
    if first_guess.source == "assumed" or camera.horizontal_fov_rad > _WIDE_RAD or blind_share(camera) > 0.0:
        return True
    wider = replace(usual.problem, lens=RATIONAL, prior=usual.problem.prior.padded(RATIONAL))
    shared = _padded(usual.shared, usual.problem.lens, RATIONAL)
    there = wider.linearised(shared, usual.poses)
    equations = wider.prior.added_to(there.equations(_huber(there.residuals)), shared)
    matrix, right = equations.reduced()
    return bool(0.5 * right @ np.linalg.solve(matrix, right) > _WORTH_A_TRIAL * equations.cost)


def _padded(shared: Array, lens: LensModel, wider: LensModel) -> Array:
    """The same camera and board with the further coefficients of a wider model, which are 0."""
    return np.insert(shared, lens.intrinsics, np.zeros(wider.count - lens.count))


def _fit(
    board: Board,
    views: Sequence[View],
    start: tuple[Camera, Array],
    bent: bool,
    model: LensModel,
    before: Sequence[_Fit],
) -> _Fit:
    """The best of a model's fits from several starts: the plain estimate, the fit of another model, wider lenses.

    Each goes a few steps; that which then lies lowest goes on. A fisheye that is as calm as the other models needs no
    other start.
    """
    tried: list[tuple[float, int, _Fit]] = []
    calm = _CALM * min((fit.noise_px for fit in before), default=0.0)
    for camera, poses in _starts(board, views, start, model, before):
        problem = _Problem(board, list(views), _Prior.around(camera, board, bent, model, square=True), model)
        shared = np.zeros(model.shared)
        shared[:4] = camera.pinhole
        if camera.lens == model.lens:
            count = min(model.count, camera.distortion.size)
            shared[4 : 4 + count] = camera.distortion[:count]
        try:
            fit = problem.fitted(shared, poses, _FIRST_STEPS)
        except CalibrationError:
            continue
        tried.append((fit.noise_px, len(tried), fit))
        if model.lens == "fisheye" and fit.noise_px <= calm:
            break
    if not tried:
        raise CalibrationError(
            "Could not calibrate the camera: the solve diverged.",
            hint="Take other views, and check that they show the board that was named.",
        )
    best = min(tried)[2]
    return best.problem.fitted(best.shared, best.poses, _MAX_STEPS)


def _starts(
    board: Board, views: Sequence[View], start: tuple[Camera, Array], model: LensModel, before: Sequence[_Fit]
) -> Iterator[tuple[Camera, Array]]:
    camera, poses = start
    if model.lens != "fisheye":
        yield from [_as_opencv(fit) for fit in before] or [start]
        return
    yield Camera(*camera.size, camera.matrix, np.zeros(4), lens="fisheye"), poses
    if camera.source == "assumed" or camera.horizontal_fov_rad > _WIDE_RAD:
        for fov in _FISHEYE_FOVS_RAD:
            focal, (width, height) = camera.width / fov, camera.size
            matrix = np.array([[focal, 0, 0.5 * (width - 1)], [0, focal, 0.5 * (height - 1)], [0, 0, 1]])
            wide = Camera(width, height, matrix, np.zeros(4), lens="fisheye")
            yield wide, board_poses(board, views, wide)


def _as_opencv(fit: _Fit) -> tuple[Camera, Array]:
    return (as_rational(fit.camera) if fit.camera.lens == "fisheye" else fit.camera), fit.poses


def _trials(fits: Sequence[_Fit]) -> tuple[LensTrial, ...] | None:
    """How each fit predicts held-out views; None where there is nothing to choose from, or too few views to tell."""
    calmest = min(fits, key=lambda fit: fit.noise_px)
    labels = distinct_labels([appearance(calmest.problem.board, pose, calmest.camera) for pose in calmest.poses])
    if len(fits) == 1 or labels.max() + 1 < ENOUGH_TO_CHOOSE:
        return None
    return tuple(
        LensTrial(
            fit.problem.lens,
            _held_out_costs(fit, labels, calmest.noise_px),
            sum(map(len, fit.residuals)),
            blind_share(fit.camera),
        )
        for fit in fits
    )


def _of_few_views(fits: Sequence[_Fit]) -> _Fit:
    """The usual model, unless another is clearly calmer."""
    calmest = min(fits, key=lambda fit: fit.noise_px)
    return calmest if calmest.noise_px < _CLEARLY_CALMER * fits[0].noise_px else fits[0]


def _held_out_costs(fit: _Fit, labels: NDArray[np.intp], noise_px: float) -> Array:
    """(W,) half the robust sum of squares of each distinct view, by the camera that the other parts' views give.

    The views are dealt out to a few parts; views that look alike are dealt together.
    """
    costs = np.zeros(int(labels.max()) + 1)
    for part in range(_PARTS):
        held = labels % _PARTS == part
        if not held.any():
            continue
        rest = fit.problem.of(~held)
        try:
            shared, _ = rest.minimise(fit.shared, fit.poses[~held], True, _HELD_OUT_STEPS, _ROUGHLY)
        except CalibrationError:
            return np.full(len(costs), np.inf)
        residuals = fit.problem.of(held).residuals_of_poses(shared, fit.poses[held], noise_px)
        for label, residual, weight in zip(labels[held], residuals, _huber(residuals, noise_px), strict=True):
            costs[label] += 0.5 * float(np.sum(weight * np.sum(residual**2, axis=1)))
    return costs


@dataclass(frozen=True)
class _Prior:
    mean: Array
    precision: Array  # (K, K) in 1 / px^2 of corner noise

    @classmethod
    def around(cls, camera: Camera, board: Board, bent: bool, lens: LensModel, square: bool) -> _Prior:
        wide = camera.width
        centre = [0.5 * (camera.width - 1), 0.5 * (camera.height - 1)]
        mean = np.concatenate([camera.focal_px, centre, np.zeros(lens.shared - 4)])
        shape = _PRIOR_SHAPE_M if bent else 1e-9
        stretch = _PRIOR_STRETCH * board.half_height_m if bent and square else 1e-9
        free = [_PRIOR_FOCAL * wide] * 2, [_PRIOR_CENTRE * wide] * 2, lens.prior, [shape] * 3, [stretch]
        precision = np.diag((_NOISE_PX / np.concatenate(free)) ** 2)
        if square:
            ratio = np.array([1.0, -1.0]) / float(np.mean(camera.focal_px))
            precision[:2, :2] += (_NOISE_PX / _PRIOR_SQUARE) ** 2 * np.outer(ratio, ratio)
            mean[:2] = mean[:2].mean()
        return cls(mean, precision)

    def padded(self, lens: LensModel) -> _Prior:
        """The same with the further coefficients of a wider lens."""
        more = lens.shared - len(self.mean)
        at = [len(self.mean) - SHAPES] * more
        precision = np.insert(np.insert(self.precision, at, 0.0, axis=0), at, 0.0, axis=1)
        new = np.arange(at[0], at[0] + more)
        precision[new, new] = (_NOISE_PX / np.array(lens.prior[-more:])) ** 2
        return _Prior(np.insert(self.mean, at, 0.0), precision)

    def added_to(self, equations: NormalEquations, shared: Array) -> NormalEquations:
        away = shared - self.mean
        return replace(
            equations,
            shared=equations.shared + self.precision,
            gradient=equations.gradient + self.precision @ away,
            cost=equations.cost + self.cost(shared),
        )

    def cost(self, shared: Array) -> float:
        away = shared - self.mean
        return 0.5 * float(away @ self.precision @ away)


@dataclass
class _Problem:
    board: Board
    views: list[View]
    prior: _Prior
    lens: LensModel

    def of(self, chosen: NDArray[np.bool_]) -> _Problem:
        """The same with some of the views (V,) alone."""
        return replace(self, views=[view for view, taken in zip(self.views, chosen, strict=True) if taken])

    def fitted(self, shared: Array, poses: Array, steps: int) -> _Fit:
        shared, poses = self.minimise(shared, poses, True, steps, _ROUGHLY)
        return _Fit(self, shared, poses, self.linearised(shared, poses).residuals)

    def residuals_of_poses(self, shared: Array, poses: Array, noise_px: float) -> list[Array]:
        """(N, 2) for each view, its pose fitted to a camera that stays."""
        for _ in range(_POSE_STEPS):
            there = self.linearised(shared, poses)
            poses = poses + there.equations(_huber(there.residuals, noise_px)).pose_steps(np.zeros_like(shared))
        return self.linearised(shared, poses).residuals

    def linearised(self, shared: Array, poses: Array) -> Linearised:
        return Linearised(self.board, self.views, shared, poses, self.lens)

    def equations(self, shared: Array, poses: Array) -> tuple[NormalEquations, list[Array]]:
        there = self.linearised(shared, poses)
        return self.prior.added_to(there.equations(), shared), there.residuals

    def minimise(
        self, shared: Array, poses: Array, robust: bool, steps: int = _MAX_STEPS, done: float = _DONE
    ) -> tuple[Array, Array]:
        """Levenberg-Marquardt; with `robust` the weights follow the residuals from step to step."""
        damping = 1e-4
        here = self.linearised(shared, poses)
        for _ in range(steps):
            weights = _huber(here.residuals) if robust else None
            equations = self.prior.added_to(here.equations(weights), shared)
            step, pose_steps = equations.step(damping)
            there = self.linearised(shared + step, poses + pose_steps)
            cost = there.cost(weights) + self.prior.cost(shared + step)
            if np.isfinite(cost) and cost <= equations.cost:
                shared, poses, here, damping = shared + step, poses + pose_steps, there, max(1e-9, damping * 0.1)
                if equations.cost - cost <= done * equations.cost:
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
        _, residuals = self.equations(shared, poses)
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
    problem: _Problem,
    shared: Array,
    poses: Array,
    dropped: tuple[tuple[int, int], ...],
    trials: tuple[LensTrial, ...] | None,
) -> Solution:
    lens = problem.lens
    equations, residuals = problem.equations(shared, poses)
    information = equations.reduced()[0]
    count = 2 * sum(len(view) for view in problem.views)
    freedom = max(1, count - lens.shared - 6 * len(problem.views))
    noise = max(_LEAST_NOISE_PX, float(np.sqrt(sum(np.sum(r**2) for r in residuals) / freedom)))
    by_view = _by_view(problem.prior, equations, shared, noise)
    camera = lens.camera(problem.views[0].size, shared)
    labels = distinct_labels([appearance(problem.board, pose, camera) for pose in poses])
    covariance = by_view.merged(labels).covariance()
    std = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    camera = replace(camera, std=std[: lens.intrinsics])
    half = problem.board.half_height_m
    return Solution(
        problem.board,
        tuple(problem.views),
        camera,
        lens,
        covariance,
        information,
        shared[lens.intrinsics : -1].copy(),
        std[lens.intrinsics : -1],
        float(shared[-1]) / half,
        float(std[-1]) / half,
        poses,
        tuple(residuals),
        noise,
        by_view,
        labels,
        dropped,
        trials,
    )


def _by_view(prior: _Prior, equations: NormalEquations, shared: Array, noise_px: float) -> Witnesses:
    pull, spread = prior.precision @ (shared - prior.mean), _NOISE_PX**2 * prior.precision
    return Witnesses(*equations.by_view(), prior.precision, pull, spread, noise_px)


def _noise(residuals: Sequence[Array]) -> float:
    """Standard deviation by the median, which outliers do not move."""
    every = np.concatenate([np.abs(r).ravel() for r in residuals])
    return max(_LEAST_NOISE_PX, 1.4826 * float(np.median(every)))


def _huber(residuals: Sequence[Array], noise_px: float | None = None) -> list[Array]:
    limit = _HUBER * (_noise(residuals) if noise_px is None else noise_px)
    return [limit / np.maximum(np.abs(r).max(axis=1), limit) for r in residuals]
