"""Errors of a model on single crops, in each crop's virtual camera: the one scoring of evaluation and training."""

from __future__ import annotations

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.geometry.positioning import position
from handdgp_core.hands.measure import hand_length_m, scaled_to_length

__all__ = ["crop_errors"]


def crop_errors(
    points_m: Array, pixels: Array, plane: Array, weights: Array, true_m: Array, true_px: Array
) -> dict[str, Array]:
    """Errors of N hands, (N,) each.

    Args:
        points_m: (N, 21, 3) predicted keypoints relative to the root, axes of the virtual camera.
        pixels: (N, 21, 2) predicted 2D keypoints, crop pixels; plane (N, 21, 2) the same at depth 1.
        weights: (N, 21) for DGP.
        true_m: (N, 21, 3) true keypoints in the virtual camera's frame; true_px (N, 21, 2) where they appear.

    Returns:
        joint_mm: 20 keypoints without the wrist in camera space. sized_mm: the same with the true hand length given;
        uniform_mm: the same with uniform weights in DGP. root_mm, uniform_root_mm: the root, true length. relative_mm:
        keypoints relative to the root, true length. keypoints_px: 2D, crop pixels. NaN where DGP is degenerate.
    """
    root_m, relative_m = true_m[:, 0], true_m - true_m[:, :1]
    sized = scaled_to_length(points_m, hand_length_m(relative_m))
    errors = {}
    for name, root_name, points, factors in (
        ("joint_mm", "", points_m, weights),
        ("sized_mm", "root_mm", sized, weights),
        ("uniform_mm", "uniform_root_mm", sized, np.ones_like(weights)),
    ):
        found_m = position(points, plane, factors).root_m
        errors[name] = 1e3 * np.linalg.norm(points + found_m[:, None] - true_m, axis=-1)[:, 1:].mean(-1)
        if root_name:
            errors[root_name] = 1e3 * np.linalg.norm(found_m - root_m, axis=-1)
    errors["relative_mm"] = 1e3 * np.linalg.norm(sized - relative_m, axis=-1).mean(-1)
    errors["keypoints_px"] = np.linalg.norm(pixels - true_px, axis=-1).mean(-1)
    return errors
