"""Verdicts: what is good, what is refused and why, in words."""

from dataclasses import replace

import numpy as np

from calib.board_shape import shaped_points
from calib.quality import calibrate, judge, outlier_views, tilts_rad
from calib.uncertainty import UncertaintyMap
from tests.calib.scenes import BOARD, CAMERA, guided_solution, random_pose, random_views
from tools.calibration.simulation import simulated_view


def test_a_good_set_is_told_in_percent_and_millimetres():
    verdict = judge(guided_solution(0, 12))
    assert verdict.usable
    assert verdict.halves is not None and verdict.halves.agrees
    assert f"±{verdict.depth_mm:.1f} mm of depth at 0.5 m" in verdict.headline
    np.testing.assert_allclose(verdict.depth_mm, 5 * verdict.focal_percent)


def test_frontal_views_are_refused_with_what_to_do():
    for count in (5, 20):
        _, verdict = calibrate(BOARD, random_views(3, count, largest_tilt_deg=4.0))
        assert not verdict.usable
        assert "squarely" in verdict.reasons[0]
        assert "tilted" in verdict.advice


def test_too_few_views_are_refused_with_a_number():
    verdict = judge(guided_solution(0, 3, noise_px=0.8))
    assert not verdict.usable
    assert "8 views" in verdict.advice
    assert not verdict.enough


def test_a_bent_board_is_named_with_its_bend():
    verdict = judge(guided_solution(2, 8, sagitta_m=0.002))
    assert any("not flat: bend along the rows 2.0" in note for note in verdict.notes)


def test_a_view_of_another_board_stands_out():
    views = random_views(4, 9)
    wrong = views[3].corners_px + np.random.default_rng(0).normal(0, 2.0, (len(views[3]), 2))
    views[3] = replace(views[3], corners_px=wrong, name="bad.png")
    solution, verdict = calibrate(BOARD, views)
    assert outlier_views(solution) == (3,)
    assert any("bad.png" in note for note in verdict.notes)


def test_a_board_that_changes_between_views_is_noticed():
    random = np.random.default_rng(5)
    views = []
    while len(views) < 12:  # the first half bent one way, the second the other: odd and even views alike
        shape = np.array([0.006 if len(views) % 2 else -0.006, 0.0, 0.0])
        view = simulated_view(shaped_points(BOARD, shape), random_pose(random), CAMERA, 0.08, random)
        views += [view] if view is not None else []
    _, verdict = calibrate(BOARD, views)
    said = " ".join([*verdict.reasons, *verdict.notes])
    assert "differ" in said or "says another focal length" in said or "px off" in said or not verdict.usable


def test_the_map_is_smallest_where_the_board_was():
    solution = guided_solution(0, 5)
    std = UncertaintyMap(solution.camera).std_px(solution.covariance)
    assert std.shape == (9, 16)
    assert std[4, 8] < std[0, 0]


def test_the_map_is_the_spread_of_many_calibrations():
    """Against brute force: the covariance sampled, every sample's pixels turned back as well as they can be."""
    solution = guided_solution(0, 8)
    grid = UncertaintyMap(solution.camera, 8, 5)
    random = np.random.default_rng(0)
    samples = random.multivariate_normal(np.zeros(len(solution.covariance)), solution.covariance, 2000)[:, :9]
    moved = samples @ grid._sensitivity.T
    spread = moved.reshape(2000, -1, 2).std(axis=0).max(axis=1)
    std = grid.std_px(solution.covariance).ravel()
    assert (spread <= 1.1 * std).all() and (spread >= 0.6 * std).all()


def test_tilts_are_angles_to_the_line_of_sight():
    solution = guided_solution(0, 5)
    tilts = np.rad2deg(tilts_rad(solution))
    assert tilts[0] < 15 and (tilts[1:] > 20).all()


def test_fewer_than_six_views_are_never_better_than_rough():
    assert judge(guided_solution(0, 6)).grade != "rough"
    five = judge(guided_solution(0, 5))
    assert five.grade == "rough" and five.usable
    assert "8 views" in five.advice


def test_a_focal_length_known_to_one_percent_is_rough():
    verdict = judge(guided_solution(0, 8, noise_px=0.8))
    assert 0.5 < verdict.focal_percent < 2.0
    assert verdict.grade == "rough" and verdict.headline.startswith("Rough: focal length known to ±")


def test_a_stretched_print_is_told():
    random = np.random.default_rng(3)
    points = BOARD.points_m * (1.0, 1.01, 1.0)
    views = [simulated_view(points, random_pose(random), CAMERA, 0.08, random) for _ in range(14)]
    _, verdict = calibrate(BOARD, [view for view in views if view is not None])
    assert any("stretched by +1.0 ± 0." in note or "stretched by +0.9 ± 0." in note for note in verdict.notes)
    assert not any("fx / fy" in note for note in verdict.notes)
