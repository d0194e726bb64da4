"""The final solve against known cameras, a slow reference, bends, outliers, and sets that cannot be solved."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

from calib.board_shape import shaped_points, shaped_points_and_jacobian
from calib.initial import board_pose
from calib.lens_models import LENS_MODELS, PLUMB_BOB
from calib.normal_equations import Linearised, normal_equations, project_view
from calib.solve import solve
from handdgp_core.errors import CalibrationError
from tests.calib.scenes import BOARD, CAMERA, focal_error, guided_solution, random_pose, random_views
from tools.calibration.simulation import simulated_view

SHARED = PLUMB_BOB.shared


def test_jacobians_are_those_of_finite_differences():
    random = np.random.default_rng(3)
    shape, pose = np.array([0.002, -0.001, 0.0015, 0.0008]), np.array([0.3, -0.2, 0.1, -0.1, -0.05, 0.5])
    shared = np.concatenate([[900, 905, 640, 350], random.normal(0, 0.02, 5), shape])

    def pixels(shared, pose):
        points, by_shape = shaped_points_and_jacobian(BOARD, shared[9:])
        return project_view(points, by_shape, pose, shared)

    _, by_shared, by_pose = pixels(shared, pose)
    for index in range(SHARED):
        step = np.zeros(SHARED)
        step[index] = 1e-3 if index < 4 else 1e-6
        numeric = (pixels(shared + step, pose)[0] - pixels(shared - step, pose)[0]) / (2 * step[index])
        np.testing.assert_allclose(by_shared[:, :, index], numeric, rtol=2e-4, atol=2e-3)
    for index in range(6):
        step = np.zeros(6)
        step[index] = 1e-6
        numeric = (pixels(shared, pose + step)[0] - pixels(shared, pose - step)[0]) / 2e-6
        np.testing.assert_allclose(by_pose[:, :, index], numeric, rtol=2e-4, atol=2e-3)


@pytest.mark.parametrize("lens", LENS_MODELS.values(), ids=lambda lens: lens.name)
def test_all_views_at_once_give_what_each_gives_alone(lens):
    views, random = random_views(1, 7), np.random.default_rng(0)
    shared = np.concatenate([[921, 919, 645, 352], random.normal(0, 0.02, lens.count), [0.002, -0.001, 0.0015, 0.001]])
    poses = np.stack([board_pose(BOARD.points_m, view, CAMERA)[0] for view in views])
    poses[0, :3], poses[1, :3] = 0.0, 1e-6
    weights = [random.uniform(0.2, 1.0, len(view)) for view in views]
    there = Linearised(BOARD, views, shared, poses, lens)
    equations = there.equations(weights)
    points, by_shape = shaped_points_and_jacobian(BOARD, shared[lens.intrinsics :])
    for index, (view, weight) in enumerate(zip(views, weights, strict=True)):
        pixels, a, b = project_view(points[view.ids], by_shape[view.ids], poses[index], shared, lens)
        np.testing.assert_allclose(there.residuals[index], pixels - view.corners_px, atol=1e-9)
        root = np.sqrt(weight)[:, None]
        a, b, r = (a * root[..., None]).reshape(-1, lens.shared), (b * root[..., None]).reshape(-1, 6), pixels
        r = ((r - view.corners_px) * root).ravel()
        for got, wanted in ((equations.view_shared, a.T @ a), (equations.coupling, a.T @ b), (equations.pose, b.T @ b),
                            (equations.view_gradient, a.T @ r), (equations.pose_gradient, b.T @ r)):  # fmt: skip
            np.testing.assert_allclose(got[index], wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())
    np.testing.assert_allclose(equations.shared, equations.view_shared.sum(axis=0))


def test_the_fast_solve_gives_what_scipys_does():
    views = random_views(5, 6)
    ours = solve(BOARD, views, lens=PLUMB_BOB)
    start = np.concatenate([ours.shared * 1.001, ours.poses.ravel() * 1.001])

    def residuals(parameters):
        shared, poses = parameters[:SHARED], parameters[SHARED:].reshape(-1, 6)
        return np.concatenate([r.ravel() for r in normal_equations(BOARD, ours.views, shared, poses)[1]])

    scale = np.concatenate([[1e3] * 4, [0.1] * 5, [1e-3] * 4, np.full(start.size - SHARED, 0.1)])
    theirs = least_squares(residuals, start, x_scale=scale, xtol=1e-12, ftol=1e-12, gtol=1e-12)
    # The weak priors of ours move it a little.
    np.testing.assert_allclose(ours.camera.matrix[0, 0], theirs.x[0], rtol=5e-5)
    assert (
        np.sum(residuals(theirs.x) ** 2)
        <= np.sum(np.concatenate([r.ravel() for r in ours.residuals_px]) ** 2) * 1.00001
    )
    assert np.sum(np.concatenate([r.ravel() for r in ours.residuals_px]) ** 2) < 1.001 * np.sum(
        residuals(theirs.x) ** 2
    )


def test_eight_guided_views_give_the_focal_length_within_half_a_percent():
    assert max(focal_error(guided_solution(seed, 8)) for seed in range(4)) < 0.005


def test_a_board_bent_by_two_millimetres_is_measured_and_does_no_harm():
    solution = guided_solution(1, 8, sagitta_m=0.002)
    assert focal_error(solution) < 0.002
    np.testing.assert_allclose(solution.shape_m, [0.002, 0, 0], atol=0.0001)
    flat = solve(BOARD, solution.views, bent=False)
    assert focal_error(flat) > 3 * focal_error(solution)


def stretched_views(seed, count, stretch, camera=CAMERA):
    """The board held upright, as most people do, its print too long along the columns."""
    random = np.random.default_rng(seed)
    points = BOARD.points_m * (1.0, 1.0 + stretch, 1.0)
    views = []
    while len(views) < count:
        pose = random_pose(random)
        view = simulated_view(points, pose, camera, 0.08, random)
        views += [view] if view is not None else []
    return views


def test_a_stretched_print_is_measured_and_does_no_harm():
    errors, z = [], []
    for seed in range(12):
        solution = solve(BOARD, stretched_views(seed, 10, 0.01))
        errors.append(focal_error(solution))
        z.append((solution.stretch - 0.01) / solution.stretch_std)
    assert np.median(errors) < 0.0015
    assert np.sqrt(np.mean(np.square(z))) < 1.5


def test_pixels_that_are_not_square_are_kept():
    matrix = CAMERA.matrix.copy()
    matrix[1, 1] *= 1.04
    camera = replace(CAMERA, matrix=matrix)
    solution = solve(BOARD, stretched_views(1, 10, 0.0, camera))
    np.testing.assert_allclose(solution.camera.focal_px, camera.focal_px, rtol=0.003)
    assert solution.stretch == pytest.approx(0.0, abs=1e-6)


def test_standard_deviations_are_honest():
    z = []
    for seed in range(24):
        solution = solve(BOARD, random_views(100 + seed, 8))
        error = solution.camera.matrix[[0, 1, 0, 1], [0, 1, 2, 2]] - CAMERA.matrix[[0, 1, 0, 1], [0, 1, 2, 2]]
        z.append(error / solution.camera.std[:4])
    assert 0.7 < np.sqrt(np.mean(np.square(z))) < 1.5


def test_single_wrong_corners_are_dropped():
    views = random_views(7, 8)
    corners = views[2].corners_px.copy()
    corners[5] += (9.0, -4.0)
    views[2] = replace(views[2], corners_px=corners)
    solution = solve(BOARD, views)
    assert (2, int(views[2].ids[5])) in solution.dropped
    assert focal_error(solution) < 0.005


def test_bent_paper_keeps_its_length():
    points = shaped_points(BOARD, np.array([0.004, 0.0, 0.0])).reshape(6, 9, 3)
    length = np.linalg.norm(np.diff(points, axis=1), axis=2).sum(axis=1)
    np.testing.assert_allclose(length, 8 * 0.026, rtol=3e-5)


def test_sets_that_cannot_be_solved_say_what_is_wanted():
    views = random_views(1, 4)
    with pytest.raises(CalibrationError, match=r"at least 3 views.*there is one"):
        solve(BOARD, views[:1])
    with pytest.raises(CalibrationError, match="No picture shows the board"):
        solve(BOARD, [])
    with pytest.raises(CalibrationError, match=r"several picture sizes.*640x360"):
        solve(BOARD, [*views, replace(views[0], size=(640, 360))])


def test_identical_views_do_not_end_in_a_fault():
    view = random_views(1, 1)[0]
    solution = solve(BOARD, [view] * 5)
    assert solution.focal_std > 0.0025 or focal_error(solution) < 0.01
