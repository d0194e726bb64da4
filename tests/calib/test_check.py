"""The check of a calibration: on flexing paper, against a slow reference, and where it must not answer."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

from calib.board_shape import shaped_points
from calib.boards import Board
from calib.check import CalibrationCheck, check_calibration
from calib.normal_equations import normal_equations
from calib.poses import look_at
from calib.solve import solve
from handdgp_core.geometry.camera import Camera
from tests.calib.scenes import BOARD, CAMERA, NOISE_PX, guided_solution, random_pose
from tools.calibration.simulation import simulated_view


def camera_off_by(part, camera=CAMERA):
    matrix = camera.matrix.copy()
    matrix[:2, :2] *= 1 + part
    return replace(camera, matrix=matrix)


def off_by(part, solution):
    return replace(solution, camera=camera_off_by(part, solution.camera))


def tilted_view(tilt_deg=35, about=0.5, distance_m=0.35, seed=0, points=BOARD.points_m, noise_px=NOISE_PX):
    pose = look_at(BOARD, distance_m, np.deg2rad(tilt_deg), about)
    return simulated_view(points, pose, CAMERA, noise_px, np.random.default_rng(seed))


def paper_set(seed, count=8, flex_m=0.0003):
    """A calibration with one sheet of paper that is bent and flexes, and eight later views of it."""
    random = np.random.default_rng(seed)
    usual = random.normal(0, 0.001, 3)

    def seen(pose):
        return simulated_view(shaped_points(BOARD, usual + random.normal(0, flex_m, 3)), pose, CAMERA, 0.12, random)

    solution = solve(BOARD, [v for v in (seen(random_pose(random)) for _ in range(2 * count)) if v is not None][:count])
    tilts, abouts = np.deg2rad(random.uniform(22, 40, 8)), random.uniform(0, 2 * np.pi, 8)
    later = [seen(look_at(BOARD, random.uniform(0.3, 0.5), *angles)) for angles in zip(tilts, abouts, strict=True)]
    return solution, [view for view in later if view is not None]


def outcome(camera, solution, views):
    check = CalibrationCheck(BOARD, camera, solution)
    for view in views:
        result = check.add(view)
        if result.outcome != "cannot tell":
            break
    return result.outcome


@pytest.mark.parametrize("with_views", [True, False])
def test_honest_calibrations_hold_and_three_percent_is_called_on_flexing_paper(with_views):
    outcomes = {0.0: [], 0.03: [], -0.03: []}
    for seed in range(20):
        solution, later = paper_set(seed)
        for part, found in outcomes.items():
            wrong = off_by(part, solution)
            found.append(outcome(wrong.camera, wrong if with_views else None, later))
    assert outcomes[0.0].count("holds") >= 19
    assert (outcomes[0.03] + outcomes[-0.03]).count("wrong") >= 38


def test_the_error_is_that_of_a_slow_reference():
    """All unknowns in one least squares: the poses, the shared parameters as the calibration knows them, the factor."""
    solution = guided_solution(3, 8)
    views = [tilted_view(30, 0.4), tilted_view(35, 2.5, seed=1)]
    result = check_calibration(BOARD, solution.camera, views, solution)
    classical = solution.noise_px**2 * np.linalg.inv(solution.information)
    inflation = max(2.0, np.sqrt(np.max(np.diag(solution.covariance)[:2] / np.diag(classical)[:2])))
    noise = inflation * max(solution.noise_px, result.rms_px)
    covariance = solution.covariance + np.diag([0.0] * 9 + [(1e-6 * max(BOARD.size_mm)) ** 2] * 3 + [0.0])
    scale = np.sqrt(np.diag(covariance))
    whiten = np.linalg.inv(np.linalg.cholesky(covariance / np.outer(scale, scale)))

    def residuals(unknown):
        shared = solution.shared + unknown[:13] * scale
        shared[:2] += unknown[13] * solution.shared[:2]
        poses = unknown[14:].reshape(-1, 6)
        seen = [r.ravel() / noise for r in normal_equations(BOARD, views, shared, poses)[1]]
        return np.concatenate([*seen, whiten @ unknown[:13], [unknown[13] / 0.3]])

    poses = [look_at(BOARD, 0.35, np.deg2rad(30), 0.4), look_at(BOARD, 0.35, np.deg2rad(35), 2.5)]
    found = least_squares(residuals, np.concatenate([np.zeros(14), *poses]), xtol=1e-14, ftol=1e-14, gtol=1e-14)
    std = np.sqrt(np.linalg.inv(found.jac.T @ found.jac)[13, 13])
    np.testing.assert_allclose(result.focal_error, found.x[13], atol=0.01 * std)
    np.testing.assert_allclose(result.focal_error_std, std, rtol=0.01)


def test_a_zoom_is_wrong_and_told_in_percent():
    result = check_calibration(BOARD, camera_off_by(-0.2), tilted_view())
    assert result.outcome == "wrong"
    assert "off by +2" in result.words


def test_a_bent_board_does_not_make_a_calibration_wrong():
    bent = shaped_points(BOARD, np.array([0.0015, 0.0, 0.0]))
    views = [tilted_view(30, about, points=bent) for about in np.arange(8) * np.pi / 4]
    assert outcome(CAMERA, None, views) == "holds"


def test_views_that_cannot_tell_say_what_would():
    frontal = check_calibration(BOARD, CAMERA, tilted_view(3))
    assert frontal.outcome == "cannot tell" and "Tilt" in frontal.words
    far = check_calibration(BOARD, CAMERA, tilted_view(30, distance_m=1.6))
    assert far.outcome == "cannot tell" and "closer" in far.words
    noisy = check_calibration(BOARD, CAMERA, tilted_view(25, noise_px=0.5))
    assert noisy.outcome == "cannot tell" and "another way" in noisy.words


def test_corners_that_fit_no_focal_length_are_not_blamed_on_it():
    solution = guided_solution(3, 8)
    result = check_calibration(BOARD, solution.camera, tilted_view(noise_px=1.5), solution)
    assert result.outcome == "doubtful" and "whatever the focal length" in result.words


def test_the_same_view_again_is_no_further_evidence():
    check = CalibrationCheck(BOARD, CAMERA)
    first = check.add(tilted_view(25, noise_px=0.5))
    for seed in range(1, 12):
        assert check.add(tilted_view(25, noise_px=0.5, seed=seed)) is first


def test_a_solution_of_another_board_or_size_is_not_used():
    solution = guided_solution(3, 8)
    other = replace(solution, board=Board.parse("charuco:8x6:30:22"))
    smaller = replace(solution, camera=Camera(640, 360, CAMERA.matrix, CAMERA.distortion))
    alone = check_calibration(BOARD, CAMERA, tilted_view())
    assert check_calibration(BOARD, CAMERA, tilted_view(), other) == alone
    assert check_calibration(BOARD, CAMERA, tilted_view(), smaller) == alone
