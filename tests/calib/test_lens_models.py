"""Fisheye and rational lenses: their derivatives, their solve against known cameras, and the choice between models."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from calib.board_shape import shaped_points_and_jacobian
from calib.check import check_calibration
from calib.guidance import Guide
from calib.initial import board_pose
from calib.lens_choice import LensTrial, best_trial, blind_share
from calib.lens_models import FISHEYE, LENS_MODELS, PLUMB_BOB, RADTAN, RATIONAL, lens_model_of
from calib.normal_equations import project_view
from calib.poses import look_at
from calib.quality import judge
from calib.rotation import matrix_of
from calib.solve import solve
from calib.uncertainty import UncertaintyMap
from calib.views import View
from handdgp_core.geometry.camera import Camera
from tests.calib.scenes import BOARD, CAMERA, random_views

MATRIX = np.array([[400.0, 0, 645], [0, 399.0, 352], [0, 0, 1]])
WIDE = Camera(1280, 720, MATRIX, (-0.03, 0.01, -0.008, 0.002), lens="fisheye")
RATIONAL_LENS = Camera(
    1280, 720, np.array([[600.0, 0, 645], [0, 599, 352], [0, 0, 1]]), (0.5, 0.1, 0.002, -0.0015, 0.01, 0.9, 0.3, 0.04)
)


def views_of(camera: Camera, count: int = 14, noise_px: float = 0.06, seed: int = 0) -> list[View]:
    """Whole or cut-off boards all over the picture, projected by OpenCV itself."""
    random = np.random.default_rng(seed)
    views: list[View] = []
    while len(views) < count:
        aim = random.uniform([80, 60], [1200, 660])
        pose = look_at(BOARD, random.uniform(0.15, 0.35), np.deg2rad(random.uniform(0, 40)),
                       random.uniform(0, 2 * np.pi), random.uniform(-0.5, 0.5), tuple(aim), camera)  # fmt: skip
        points = BOARD.points_m @ matrix_of(pose).T + pose[3:]
        project = cv2.fisheye.projectPoints if camera.lens == "fisheye" else cv2.projectPoints
        nothing = np.zeros(3)
        pixels = project(points[:, None], nothing, nothing, camera.matrix, camera.distortion)[0].reshape(-1, 2)
        seen = (points[:, 2] > 0.02) & ((pixels > 5) & (pixels < (1275, 715))).all(axis=1)
        seen &= np.linalg.norm(points[:, :2], axis=1) < 0.9 * min(8.0, camera.largest_radius) * points[:, 2]
        if seen.sum() >= 12:
            ids = np.flatnonzero(seen).astype(np.int32)
            views.append(
                View(ids, pixels[seen] + random.normal(0, noise_px, (len(ids), 2)), (1280, 720), str(len(views)))
            )
    return views


@pytest.mark.parametrize("lens", [PLUMB_BOB, RATIONAL, FISHEYE], ids=lambda lens: lens.name)
def test_jacobians_are_those_of_finite_differences(lens):
    random = np.random.default_rng(3)
    shape, pose = np.array([0.002, -0.001, 0.0015, 0.0008]), np.array([0.3, -0.2, 0.1, -0.1, -0.05, 0.3])
    shared = np.concatenate([[500, 505, 640, 350], random.normal(0, 0.02, lens.count), shape])

    def pixels(shared, pose):
        points, by_shape = shaped_points_and_jacobian(BOARD, shared[lens.intrinsics :])
        return project_view(points, by_shape, pose, shared, lens)

    _, by_shared, by_pose = pixels(shared, pose)
    assert by_shared.shape == (BOARD.corner_count, 2, lens.shared)
    for index in range(lens.shared):
        step = np.zeros(lens.shared)
        step[index] = 1e-3 if index < 4 else 1e-6
        numeric = (pixels(shared + step, pose)[0] - pixels(shared - step, pose)[0]) / (2 * step[index])
        np.testing.assert_allclose(by_shared[:, :, index], numeric, rtol=2e-4, atol=2e-3)
    for index in range(6):
        step = np.zeros(6)
        step[index] = 1e-6
        numeric = (pixels(shared, pose + step)[0] - pixels(shared, pose - step)[0]) / 2e-6
        np.testing.assert_allclose(by_pose[:, :, index], numeric, rtol=2e-4, atol=2e-3)


def worst_ray_error_deg(camera: Camera, truth: Camera, reach: float) -> float:
    """The largest angle between what both see at one pixel, within a part of the picture."""
    steps = np.linspace(0.5 - 0.5 * reach, 0.5 + 0.5 * reach, 15)
    pixels = np.stack(np.meshgrid(1279 * steps, 719 * steps), axis=-1).reshape(-1, 2)
    one, other = camera.rays(pixels), truth.rays(pixels)
    one, other = (rays / np.linalg.norm(rays, axis=1, keepdims=True) for rays in (one, other))
    turn, _, turned = np.linalg.svd(one.T @ other)
    fixed = one @ turn @ np.diag([1, 1, np.sign(np.linalg.det(turn @ turned))]) @ turned
    return float(np.rad2deg(np.linalg.norm(fixed - other, axis=1).max()))


@pytest.mark.parametrize(
    ("truth", "expected"), [(WIDE, "fisheye"), (RATIONAL_LENS, "rational"), (CAMERA, "plumb_bob")], ids=str
)
def test_the_model_of_the_lens_is_found_and_solved(truth, expected):
    views = random_views(1, 12) if truth is CAMERA else views_of(truth)
    solution = solve(BOARD, views)
    assert solution.lens.name == expected
    # Where nothing speaks for another lens than the usual one, no other is tried.
    assert [trial.model.name for trial in solution.trials] == ([] if truth is CAMERA else list(LENS_MODELS))
    assert lens_model_of(solution.camera) == solution.lens
    np.testing.assert_allclose(solution.camera.focal_px, truth.focal_px, rtol=4e-3)
    assert worst_ray_error_deg(solution.camera, truth, 0.6) < 0.1
    z = (solution.camera.pinhole - truth.pinhole) / solution.camera.std[:4]
    assert np.abs(z).max() < 4.5
    assert solution.camera.std.size == solution.lens.intrinsics


def test_all_that_follows_a_solve_takes_a_fisheye(tmp_path):
    solution = solve(BOARD, views_of(WIDE))
    verdict = judge(solution)
    assert verdict.usable and verdict.halves is not None
    std = UncertaintyMap(solution.camera).std_px(solution.covariance)
    assert np.nanmax(std) < 5.0
    wanted = Guide(BOARD, solution.camera).next_pose([], solution)
    assert np.isfinite(wanted.pose).all()
    views = views_of(WIDE, 6, seed=9)
    honest = check_calibration(BOARD, solution.camera, views, solution)
    wrong = check_calibration(
        BOARD, replace(solution.camera, matrix=MATRIX * [[1.05, 1, 1], [1, 1.05, 1], [1, 1, 1]]), views
    )
    assert honest.outcome == "holds" and wrong.outcome != "holds"
    solution.camera.save(tmp_path / "c.yaml")
    assert Camera.load(tmp_path / "c.yaml").lens == "fisheye"


@pytest.mark.parametrize("tangential", [(0.01, -0.01), (0.02, 0.02), (0.05, -0.03)], ids=str)
@pytest.mark.parametrize(
    "rest", [(0.5, 0.1, 0.01, 0.9, 0.3, 0.04), (5.0, 2.0, 0.1, 5.3, 3.0, 0.4)], ids=["wide", "webcam"]
)
def test_strong_tangential_terms_do_no_harm(tangential, rest):
    matrix = np.array([[650.0, 0, 645], [0, 649, 352], [0, 0, 1]])
    truth = Camera(1280, 720, matrix, (*rest[:2], *tangential, *rest[2:]))
    solution = solve(BOARD, views_of(truth))
    np.testing.assert_allclose(solution.camera.focal_px, truth.focal_px, rtol=2e-3)
    corners = np.concatenate([view.corners_px for view in solution.views])
    seen = [
        rays / np.linalg.norm(rays, axis=1)[:, None] for rays in (solution.camera.rays(corners), truth.rays(corners))
    ]
    off_deg = np.rad2deg(np.linalg.norm(seen[0] - seen[1], axis=1))
    assert np.isfinite(off_deg).mean() > 0.98
    assert np.nanpercentile(off_deg, 99) < 0.05


def test_a_lens_that_nobody_saw_in_the_corners_is_not_called_excellent():
    matrix = np.array([[700.0, 0, 645], [0, 699, 352], [0, 0, 1]])
    truth = Camera(1280, 720, matrix, (5.0, 2.0, 0.002, -0.0015, 0.1, 5.3, 3.0, 0.4))
    verdict = judge(solve(BOARD, views_of(truth)))  # fitted well, with a pole just outside of what was seen
    assert verdict.grade == "fair" and any("not known in the corners" in note for note in verdict.notes)


def test_one_view_that_a_lens_cannot_show_is_reason_enough_for_another():
    usual, other = np.full(12, 1.0), np.full(12, 1.0)
    usual[3] = 200.0  # the spread of the gain is as large as the gain
    trials = [LensTrial(PLUMB_BOB, usual, 500, 0.0), LensTrial(RATIONAL, other, 500, 0.0)]
    assert best_trial(trials) is trials[1]


@pytest.mark.parametrize("camera", [WIDE, RATIONAL_LENS, CAMERA])
def test_the_pose_of_a_board_before_a_known_camera(camera):
    pose = np.array([0.3, -0.2, 0.1, -0.1, -0.05, 0.3])
    pixels = camera.project(BOARD.points_m @ matrix_of(pose).T + pose[3:])
    view = View(np.arange(BOARD.corner_count, dtype=np.int32), pixels, camera.size)
    found, rms = board_pose(BOARD.points_m, view, camera)
    np.testing.assert_allclose(found, pose, atol=1e-6)
    assert rms < 1e-6


def test_corners_for_which_the_lens_has_no_answer_are_skipped():
    folded = Camera(1280, 720, MATRIX, (-0.3, 0.01, 0, 0, 0))
    pose = np.array([0.1, -0.2, 0.1, -0.12, -0.08, 0.25])
    pixels = folded.project(BOARD.points_m @ matrix_of(pose).T + pose[3:])
    pixels[:3] = [[0, 0], [1279, 0], [0, 719]]
    assert np.isnan(folded.rays(pixels[:3])).all() and np.isfinite(folded.rays(pixels[3:])).all()
    view = View(np.arange(BOARD.corner_count, dtype=np.int32), pixels, folded.size)
    np.testing.assert_allclose(board_pose(BOARD.points_m, view, folded)[0], pose, atol=1e-6)
    nothing = View(np.arange(3, dtype=np.int32), pixels[:3], folded.size)
    assert board_pose(BOARD.points_m, nothing, folded)[1] == np.inf


def test_a_model_can_be_asked_for():
    views = random_views(1, 8)
    for lens in (RADTAN, RATIONAL, FISHEYE):
        solution = solve(BOARD, views, lens=lens)
        assert solution.lens is lens and solution.trials is None
    np.testing.assert_allclose(solve(BOARD, views, lens=RADTAN).camera.distortion[4:], 0, atol=1e-6)


def test_another_model_needs_a_clear_gain_or_more_of_the_picture():
    random = np.random.default_rng(0)
    costs = random.uniform(0.9, 1.1, 12)
    usual = LensTrial(PLUMB_BOB, costs, 500, 0.0)
    assert best_trial([usual, LensTrial(RATIONAL, costs * 0.99, 500, 0.0)]) is usual
    assert best_trial([usual, LensTrial(RATIONAL, np.full(12, np.nan), 500, 0.0)]) is usual
    lucky = np.where(np.arange(12) == 0, 0.1, costs * 1.01)  # one view alone gains
    assert best_trial([usual, LensTrial(RATIONAL, lucky, 500, 0.0)]) is usual
    better = LensTrial(RATIONAL, costs * 0.9, 500, 0.2)
    assert best_trial([usual, better]) is usual  # a tenth is not worth a fifth of the picture
    assert best_trial([usual, replace(better, blind=0.0)]).model is RATIONAL
    better = LensTrial(RATIONAL, costs * 0.7, 500, 0.2)
    assert best_trial([usual, better]) is better
    wider = LensTrial(FISHEYE, costs * 0.8, 500, 0.0)
    assert best_trial([usual, better, wider]) is wider
    blind = replace(usual, blind=0.1)
    wider = LensTrial(FISHEYE, costs * 1.03, 500, 0.0)
    assert best_trial([blind, wider]) is wider and best_trial([usual, wider]) is usual
    far = LensTrial(FISHEYE, costs * 1.5, 500, 0.0)
    assert best_trial([blind, far]) is blind


def test_the_share_of_the_picture_without_an_answer():
    assert blind_share(CAMERA) == 0.0
    steps = np.stack(np.meshgrid(np.linspace(0, 1279, 33), np.linspace(0, 719, 25)), axis=-1)
    folded = Camera(1280, 720, MATRIX, (-0.3, 0.01, 0, 0, 0))
    assert 0 < blind_share(folded) == pytest.approx(np.isnan(folded.rays(steps)[..., 0]).mean())
