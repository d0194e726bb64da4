"""The scoring of crops against one hand after the other, in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handdgp_core.evaluation.crop_errors import crop_errors
from handdgp_core.geometry.positioning import position_refined
from handdgp_core.hands.open_hand.open_hand import OpenHand

FOCAL_PX, CENTER_PX = 400.0, 111.5


def slow_errors(
    points_m: np.ndarray, pixels: np.ndarray, weights: np.ndarray, true_m: np.ndarray, true_px: np.ndarray
) -> dict[str, float]:
    """One hand, (21, ...) each."""

    def chain(points: np.ndarray) -> float:
        return sum(float(np.linalg.norm(points[a] - points[b])) for a, b in ((0, 9), (9, 10), (10, 11), (11, 12)))

    def root_of(points: np.ndarray, factors: np.ndarray) -> np.ndarray:
        plane = (pixels - CENTER_PX) / FOCAL_PX
        solved = position_refined(*(torch.tensor(part)[None] for part in (points, plane, factors)))
        return np.asarray(solved.root_m[0].numpy())

    def joints_mm(points: np.ndarray, root: np.ndarray) -> float:
        return 1e3 * float(np.mean([np.linalg.norm(points[k] + root - true_m[k]) for k in range(1, 21)]))

    sized = points_m * chain(true_m) / chain(points_m)
    root, even = root_of(sized, weights), root_of(sized, np.ones(21))
    return {
        "joint_mm": joints_mm(points_m, root_of(points_m, weights)),
        "sized_mm": joints_mm(sized, root),
        "uniform_mm": joints_mm(sized, even),
        "root_mm": 1e3 * float(np.linalg.norm(root - true_m[0])),
        "uniform_root_mm": 1e3 * float(np.linalg.norm(even - true_m[0])),
        "relative_mm": 1e3 * float(np.mean(np.linalg.norm(sized - (true_m - true_m[0]), axis=1))),
        "keypoints_px": float(np.mean(np.linalg.norm(pixels - true_px, axis=1))),
    }


def test_it_equals_its_reference_implementation() -> None:
    rng, count = np.random.default_rng(0), 6
    relative = OpenHand.load().keypoints - OpenHand.load().keypoints[0]
    true_m = relative + rng.normal(0, 0.003, (count, 21, 3)) + [0.0, 0.08, 0.5] + rng.normal(0, 0.03, (count, 1, 3))
    true_px = true_m[..., :2] / true_m[..., 2:] * FOCAL_PX + CENTER_PX
    points_m = rng.uniform(0.8, 1.2, (count, 1, 1)) * (true_m - true_m[:, :1] + rng.normal(0, 0.004, true_m.shape))
    points_m -= points_m[:, :1]
    pixels = true_px + rng.normal(0, 2, true_px.shape)
    weights = rng.uniform(0.1, 1, (count, 21))
    errors = crop_errors(points_m, pixels, (pixels - CENTER_PX) / FOCAL_PX, weights, true_m, true_px)
    for row in range(count):
        slow = slow_errors(points_m[row], pixels[row], weights[row], true_m[row], true_px[row])
        assert {name: values[row] for name, values in errors.items()} == pytest.approx(slow, rel=1e-6), row
    assert (errors["joint_mm"] > errors["sized_mm"]).sum() >= 4 and (
        errors["root_mm"] != errors["uniform_root_mm"]
    ).all()


def test_a_degenerate_hand_has_no_place_and_harms_no_other() -> None:
    true_m = np.repeat(OpenHand.load().keypoints[None] + [0.0, 0.08, 0.5], 2, axis=0)
    true_px = true_m[..., :2] / true_m[..., 2:] * FOCAL_PX + CENTER_PX
    weights = np.ones((2, 21))
    weights[1] = 0
    plane = (true_px - CENTER_PX) / FOCAL_PX
    errors = crop_errors(true_m - true_m[:, :1], true_px, plane, weights, true_m, true_px)
    assert np.isnan(errors["joint_mm"][1]) and errors["joint_mm"][0] == pytest.approx(0, abs=0.01)
