"""Errors between predicted and true hands. Metres in, millimetres out."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from handdgp_core.geometry.alignment import align_similarity
from handdgp_core.types import Array


@dataclass(frozen=True)
class Spread:
    """Mean, median and 90th percentile of an error over N hands; NaN where N is 0."""

    mean: float
    median: float
    percentile_90: float
    count: int

    @classmethod
    def of(cls, values: Array) -> Spread:
        values = np.asarray(values, dtype=np.float64)
        if values.size == 0:
            return cls(float("nan"), float("nan"), float("nan"), 0)
        return cls(float(values.mean()), float(np.median(values)), float(np.percentile(values, 90)), int(values.size))

    def as_dict(self) -> dict[str, float | int]:
        """For JSON."""
        return asdict(self)


def joint_error_mm(predicted_m: Array, true_m: Array) -> Array:
    """(N,) mean distance over the joints in camera space (CS-MJE). Both (N, J, 3)."""
    return np.linalg.norm(predicted_m - true_m, axis=-1).mean(axis=-1) * 1e3


def relative_joint_error_mm(predicted_m: Array, true_m: Array, reference: int) -> Array:
    """(N,) the same with joint `reference` of both hands at the origin."""
    return joint_error_mm(
        predicted_m - predicted_m[:, reference : reference + 1], true_m - true_m[:, reference : reference + 1]
    )


def aligned_joint_error_mm(predicted_m: Array, true_m: Array) -> Array:
    """(N,) the same after the best similarity transform of each hand (PA-MPJPE)."""
    if len(predicted_m) == 0:
        return np.zeros(0)
    return joint_error_mm(align_similarity(predicted_m, true_m).apply(predicted_m), true_m)


def depth_error_mm(predicted_m: Array, true_m: Array) -> Array:
    """(N,) absolute error of the mean depth of the joints."""
    return np.abs((predicted_m[..., 2] - true_m[..., 2]).mean(axis=-1)) * 1e3


def depth_bias_mm(predicted_m: Array, true_m: Array) -> Array:
    """(N,) signed error of the mean depth of the joints: positive is too far."""
    return (predicted_m[..., 2] - true_m[..., 2]).mean(axis=-1) * 1e3


def lateral_error_mm(predicted_m: Array, true_m: Array) -> Array:
    """(N,) error of the mean of the joints across the line of sight."""
    return np.linalg.norm((predicted_m[..., :2] - true_m[..., :2]).mean(axis=-2), axis=-1) * 1e3
