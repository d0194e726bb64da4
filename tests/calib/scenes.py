"""A camera, a board and views of it that the tests of calibration share."""

from __future__ import annotations

import numpy as np

from calib.board_shape import shaped_points
from calib.boards import Board
from calib.guidance import Guide
from calib.initial import board_pose
from calib.poses import appearance, look_at
from calib.solve import Solution, solve
from calib.views import View
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera
from tools.calibration.simulation import bent_onto_cylinder, simulated_view

BOARD = Board()
CAMERA = Camera(
    1280, 720, np.array([[921, 0, 645.0], [0, 919, 352], [0, 0, 1]]), np.array([0.09, -0.18, 0.0008, -0.0006, 0.05])
)
NOISE_PX = 0.08


def random_pose(random: np.random.Generator, board: Board = BOARD, largest_tilt_deg: float = 40.0) -> Array:
    """Somewhere in the middle of the picture, tilted up to so much."""
    return look_at(
        board,
        random.uniform(0.28, 0.7),
        np.deg2rad(random.uniform(0, largest_tilt_deg)),
        random.uniform(0, 2 * np.pi),
        random.uniform(-0.3, 0.3),
        (random.uniform(300, 980), random.uniform(200, 520)),
        CAMERA,
    )


def random_views(
    seed: int, count: int, *, sagitta_m: float = 0.0, largest_tilt_deg: float = 40.0, noise_px: float = NOISE_PX
) -> list[View]:
    """Views from random poses, cut off by the picture's border as they may be."""
    random = np.random.default_rng(seed)
    points = bent_onto_cylinder(BOARD, sagitta_m)
    views: list[View] = []
    while len(views) < count:
        view = simulated_view(points, random_pose(random, largest_tilt_deg=largest_tilt_deg), CAMERA, noise_px, random)
        views += [view] if view is not None else []
    return views


def flexing_views(seed: int, count: int, flex_m: float, noise_px: float = NOISE_PX) -> list[View]:
    """Views of paper that flexes by `flex_m` from view to view: corner errors that are correlated within a view."""
    random = np.random.default_rng(seed)
    usual = random.normal(0, 0.0007, 3)
    views: list[View] = []
    while len(views) < count:
        points = shaped_points(BOARD, usual + random.normal(0, flex_m, 3))
        view = simulated_view(points, random_pose(random), CAMERA, noise_px, random)
        views += [view] if view is not None else []
    return views


def guided_solution(seed: int, count: int, sagitta_m: float = 0.0, noise_px: float = NOISE_PX) -> Solution:
    """What a person who follows the outlines, but not exactly, gets from `count` views."""
    random = np.random.default_rng(seed)
    points = bent_onto_cylinder(BOARD, sagitta_m)
    views: list[View] = []
    solution, guess = None, Camera.assumed(*CAMERA.size, 62.0)
    while len(views) < count:
        camera = solution.camera if solution else guess
        seen = [appearance(BOARD, board_pose(BOARD.points_m, view, camera)[0], camera) for view in views]
        pose = Guide(BOARD, camera).next_pose(seen, solution).pose.copy()
        pose[:3] += random.normal(0, 0.06, 3)
        pose[3:5] += random.normal(0, 0.015, 2)
        pose[5] *= 1 + random.normal(0, 0.08)
        view = simulated_view(points, pose, CAMERA, noise_px, random)
        if view is None:
            continue
        views.append(view)
        solution = solve(BOARD, views) if len(views) >= 3 else None
    assert solution is not None
    return solution


def focal_error(solution: Solution) -> float:
    """The larger error of fx and fy, as a part of them."""
    return float(np.max(np.abs(np.array(solution.camera.focal_px) / CAMERA.focal_px - 1)))
