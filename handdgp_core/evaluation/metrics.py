"""Errors between predicted and true hands. Metres in, millimetres out."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.spatial import KDTree

from handdgp_core.arrays import Array
from handdgp_core.geometry.alignment import align_similarity


@dataclass(frozen=True)
class Spread:
    """Mean, median and 90th percentile of an error over N hands; NaN where N is 0.

    `standard_error` is that of the mean as if the hands were independent, which pictures of one recording are not; NaN
    below two hands.
    """

    mean: float
    median: float
    percentile_90: float
    count: int
    standard_error: float = float("nan")

    @classmethod
    def of(cls, values: Array) -> Spread:
        values = np.asarray(values, dtype=np.float64)
        if values.size == 0:
            return cls(float("nan"), float("nan"), float("nan"), 0)
        error = float(values.std(ddof=1) / np.sqrt(values.size)) if values.size > 1 else float("nan")
        median, high = np.percentile(values, (50, 90))
        return cls(float(values.mean()), float(median), float(high), int(values.size), error)

    def as_dict(self) -> dict[str, float | int]:
        """For JSON."""
        return asdict(self)


def joint_error_mm(predicted_m: Array, true_m: Array) -> Array:
    """(N,) mean distance over the joints in camera space (CS-MJE). Both (N, J, 3)."""
    return np.linalg.norm(predicted_m - true_m, axis=-1).mean(axis=-1) * 1e3


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


def aligned(predicted_m: Array, true_m: Array) -> Array:
    """(N, P, 3) predicted points after the best similarity transform of each hand; NaN where there is none."""
    if len(predicted_m) == 0:
        return predicted_m
    return align_similarity(predicted_m, true_m).apply(predicted_m)


def point_errors_mm(predicted_m: Array, true_m: Array) -> Array:
    """(N, P) distance of every point."""
    return np.asarray(np.linalg.norm(predicted_m - true_m, axis=-1) * 1e3)


def f_score(predicted_m: Array, true_m: Array, threshold_mm: float) -> float:
    """How well two point sets cover each other, 0 to 1: the harmonic mean of precision and recall, as for FreiHAND.

    Precision is the part of predicted points that have a true one nearer than the threshold; recall the reverse. Points
    need not correspond.

    Args:
        predicted_m: (P, 3).
        true_m: (Q, 3).
        threshold_mm: of a hit.
    """
    return f_scores(predicted_m, true_m, (threshold_mm,))[0]


def f_scores(predicted_m: Array, true_m: Array, thresholds_mm: tuple[float, ...]) -> list[float]:
    """The same for several thresholds, from one search. NaN for points that are not finite."""
    if not (np.isfinite(predicted_m).all() and np.isfinite(true_m).all()):
        return [float("nan")] * len(thresholds_mm)
    to_true = KDTree(true_m).query(predicted_m)[0] * 1e3
    to_predicted = KDTree(predicted_m).query(true_m)[0] * 1e3
    scores = []
    for threshold in thresholds_mm:
        precision, recall = float((to_true < threshold).mean()), float((to_predicted < threshold).mean())
        scores.append(2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0)
    return scores


def pck(errors_mm: Array, thresholds_mm: Array) -> Array:
    """(T,) part of the errors that are at most each threshold; NaN without errors."""
    errors = np.sort(np.ravel(errors_mm))
    if errors.size == 0:
        return np.full(len(thresholds_mm), np.nan)
    return np.searchsorted(errors, np.asarray(thresholds_mm), side="right") / errors.size


def pck_auc(errors_mm: Array, range_mm: tuple[float, float]) -> float:
    """Area under the PCK curve over a range of thresholds, as part of the largest possible one; exact, not sampled.

    NaN without errors. All errors 0: 1. One constant error e in a range (0, h): 1 - e / h.
    """
    errors = np.ravel(errors_mm)
    if errors.size == 0:
        return float("nan")
    low, high = range_mm
    return float(np.clip((high - errors) / (high - low), 0.0, 1.0).mean())
