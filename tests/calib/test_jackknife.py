"""The covariance from leaving views out: against really solving without each, and against known cameras."""

from dataclasses import replace

import numpy as np
import pytest

from calib.normal_equations import normal_equations
from calib.solve import solve
from tests.calib.scenes import BOARD, CAMERA, flexing_views, random_views

MIDDLE = 0.5 * (np.array(CAMERA.size) - 1)
TRUE = CAMERA.matrix[[0, 1, 0, 1], [0, 1, 2, 2]]


def z_of_cameras(count: int, views: int, flex_m: float) -> np.ndarray:
    """Errors of fx fy cx cy over their standard deviations, (count, 4)."""
    solutions = [solve(BOARD, flexing_views(500 + seed, views, flex_m)) for seed in range(count)]
    return np.array([(s.shared[:4] - TRUE) / s.camera.std[:4] for s in solutions])


def test_one_step_goes_where_solving_without_the_view_goes():
    solution = solve(BOARD, flexing_views(7, 10, 0.00015))
    slow = []
    for dropped in range(10):
        rest = [view for index, view in enumerate(solution.views) if index != dropped]
        slow.append(solve(BOARD, rest).shared - solution.shared)
    assert solution.distinct_count == 10
    fast = solution.by_view.without_each()
    scale = np.std(slow, axis=0)
    assert np.corrcoef((fast / scale).ravel(), (slow / scale).ravel())[0, 1] > 0.97
    np.testing.assert_allclose(np.std(fast, axis=0)[:4], scale[:4], rtol=0.15)


def test_the_parts_of_the_views_add_up_to_the_whole():
    solution = solve(BOARD, random_views(3, 6))
    equations, _ = normal_equations(BOARD, solution.views, solution.shared, solution.poses)
    information, gradient = equations.by_view()
    whole, right = equations.reduced()
    np.testing.assert_allclose(information.sum(axis=0), whole, rtol=1e-6, atol=1e-6 * np.abs(whole).max())
    np.testing.assert_allclose(gradient.sum(axis=0), right, atol=1e-6 * np.abs(gradient).max())
    known = solution.by_view
    np.testing.assert_allclose(known.information.sum(axis=0) + known.prior, solution.information, rtol=1e-6)
    np.testing.assert_allclose(known.gradient.sum(axis=0), -known.prior_gradient, atol=1e-3 * np.abs(gradient).max())


def test_a_zoom_of_some_views_is_measured_with_its_standard_deviation():
    z = []
    for seed in range(20):
        views = flexing_views(100 + seed, 12, 0.0003)
        zoomed = [replace(v, corners_px=MIDDLE + 1.01 * (v.corners_px - MIDDLE)) for v in views[6:]]
        solution = solve(BOARD, [*views[:6], *zoomed])
        direction = np.zeros((len(solution.covariance), 1))
        direction[:2, 0] = solution.camera.focal_px
        first = np.arange(12) < 6
        by, covariance, costs = solution.by_view.between(first, solution.labels, direction)
        z.append(float((by[0] - 0.01) / np.sqrt(covariance[0, 0])))
        assert costs[0][first].sum() < costs[1][first].sum() and costs[1][~first].sum() < costs[0][~first].sum()
    assert 0.5 < np.sqrt(np.mean(np.square(z))) < 1.4


def test_views_shown_ten_times_are_no_surer_than_once():
    views = flexing_views(6, 5, 0.0003)
    once, often = solve(BOARD, views), solve(BOARD, views * 10)
    assert often.distinct_count == 5
    np.testing.assert_allclose(often.camera.std[:4], once.camera.std[:4], rtol=0.25)


@pytest.mark.parametrize("flex_m", [0.0, 0.0005])
def test_errors_that_views_share_are_in_the_standard_deviation(flex_m):
    z = z_of_cameras(30, 10, flex_m)
    assert 0.6 < np.sqrt(np.mean(z**2)) < 1.3


def test_three_views_give_no_silly_number():
    solutions = [solve(BOARD, random_views(40 + seed, 3)) for seed in range(30)]
    z = np.array([(s.shared[:4] - TRUE) / s.camera.std[:4] for s in solutions])
    # Neither false certainty nor doubt without bounds: the classical covariance counts, too.
    assert np.mean(np.abs(z) > 2) < 0.1
    assert np.median([s.focal_std for s in solutions]) < 0.01
    assert all(s.focal_std > 0.0005 for s in solutions)
