"""The calibration measured on simulated and rendered boards: `python -m tools.calibration.study [TRIALS]`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from calib.boards import Board
from calib.detection import BoardDetector
from calib.guidance import Guide
from calib.initial import board_pose
from calib.poses import appearance, look_at
from calib.quality import judge
from calib.solve import Solution, solve
from calib.views import View
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera
from tools.calibration.simulation import BoardRenderer, Picture, bent_onto_cylinder, simulated_view

__all__ = ["main"]

BOARD = Board()
CAMERA = Camera(
    1280, 720, np.array([[921, 0, 645.0], [0, 919, 352], [0, 0, 1]]), np.array([0.09, -0.18, 0.0008, -0.0006, 0.05])
)
_TRUE = CAMERA.matrix[[0, 1, 0, 1], [0, 1, 2, 2]]
_GUESS_FOV_DEG = 62.0
Random = np.random.Generator
Look = Callable[[Array, Random], View | None]


def corners_look(sagitta_m: float, noise_px: float = 0.08) -> Look:
    """Corners with noise, without a picture."""
    points = bent_onto_cylinder(BOARD, sagitta_m)
    return lambda pose, random: simulated_view(points, pose, CAMERA, noise_px, random)


def image_look(sagitta_m: float) -> Look:
    """Rendered pictures with random blur, smear and noise, detected."""
    renderer, detector = BoardRenderer(BOARD, CAMERA, sagitta_m), BoardDetector(BOARD)

    def look(pose: Array, random: Random) -> View | None:
        spoilt = Picture(random.uniform(0.5, 1.1), random.uniform(0, 2.5), random.uniform(2, 6))
        return detector.detect(renderer.render(pose, spoilt, random))

    return look


def guided_pose(views: list[View], solution: Solution | None, random: Random) -> Array:
    """The pose asked for, as well as a person holds it."""
    camera = solution.camera if solution else Camera.assumed(*CAMERA.size, _GUESS_FOV_DEG)
    seen = [appearance(BOARD, board_pose(BOARD.points_m, view, camera)[0], camera) for view in views]
    pose = Guide(BOARD, camera).next_pose(seen, solution).pose.copy()
    pose[:3] += random.normal(0, 0.06, 3)
    pose[3:5] += random.normal(0, 0.015, 2)
    pose[5] *= 1 + random.normal(0, 0.08)
    return pose


def random_pose(views: list[View], solution: Solution | None, random: Random, largest_tilt_deg: float = 40.0) -> Array:
    """Anywhere in the middle of the picture."""
    aim = (random.uniform(300, 980), random.uniform(200, 520))
    tilt, about = np.deg2rad(random.uniform(0, largest_tilt_deg)), random.uniform(0, 2 * np.pi)
    return look_at(BOARD, random.uniform(0.28, 0.7), tilt, about, random.uniform(-0.3, 0.3), aim, CAMERA)


def frontal_pose(views: list[View], solution: Solution | None, random: Random) -> Array:
    """Tilted by less than 4 degrees."""
    return random_pose(views, solution, random, 4.0)


def trial(seed: int, look: Look, choose: Callable[..., Array], count: int) -> Solution:
    """One calibration from `count` views."""
    random, views, solution = np.random.default_rng(seed), list[View](), None
    while len(views) < count:
        view = look(choose(views, solution, random), random)
        if view is not None:
            views.append(view)
            solution = (
                solve(BOARD, views) if len(views) >= 3 and (choose is guided_pose or len(views) == count) else None
            )
    assert solution is not None
    return solution


def row(name: str, solutions: list[Solution]) -> str:
    """Errors of fx, coverage, honesty and verdicts of some trials."""
    found = np.array([solution.shared[:4] for solution in solutions])
    z = (found - _TRUE) / np.array([np.sqrt(np.diag(solution.covariance)[:4]) for solution in solutions])
    error = 100 * np.abs(found[:, :2] / _TRUE[:2] - 1).max(axis=1)
    refused = np.mean([not judge(solution).usable for solution in solutions])
    bend = np.median([1e3 * solution.shape_m[0] for solution in solutions])
    return (
        f"{name:42s} f error % p50 {np.median(error):.3f} p95 {np.percentile(error, 95):.3f}  within 0.5 %: "
        f"{100 * np.mean(error < 0.5):.0f} %  z-rms {np.sqrt(np.mean(z**2)):.2f}  bend {bend:.2f} mm  "
        f"refused {100 * refused:.0f} %"
    )


def timings() -> str:
    """Milliseconds of the live detection and of the final solve, here and now."""
    random = np.random.default_rng(0)
    renderer, detector = BoardRenderer(BOARD, CAMERA), BoardDetector(BOARD)
    pictures: list[NDArray[np.uint8]] = [
        renderer.render(random_pose([], None, random), Picture(), random) for _ in range(10)
    ]
    began = time.perf_counter()
    for picture in pictures:
        detector.detect(picture)
    detect_ms = (time.perf_counter() - began) * 100
    views = [view for picture in pictures * 2 if (view := detector.detect(picture)) is not None]
    began = time.perf_counter()
    solve(BOARD, views)
    solve_ms = (time.perf_counter() - began) * 1e3
    return f"detection {detect_ms:.1f} ms a 1280x720 picture; solve of {len(views)} views {solve_ms:.0f} ms"


def main(trials: int = 40) -> None:
    """Print one line a set."""
    print(timings(), flush=True)
    for name, look, choose, count in (
        ("8 guided, pictures", image_look(0.0), guided_pose, 8),
        ("8 guided, pictures, board bent 2 mm", image_look(0.002), guided_pose, 8),
        ("8 guided, corners", corners_look(0.0), guided_pose, 8),
        ("8 guided, corners, board bent 2 mm", corners_look(0.002), guided_pose, 8),
        ("8 random, corners", corners_look(0.0), random_pose, 8),
        ("20 random, corners", corners_look(0.0), random_pose, 20),
        ("5 frontal, corners", corners_look(0.0), frontal_pose, 5),
        ("20 frontal, corners", corners_look(0.0), frontal_pose, 20),
    ):
        print(row(name, [trial(seed, look, choose, count) for seed in range(trials)]), flush=True)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
