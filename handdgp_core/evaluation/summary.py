"""From pairs of predicted and true hands to the figures of a report."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.evaluation import metrics
from handdgp_core.evaluation.metrics import Spread
from handdgp_core.hands.keypoints import COUNT, WRIST
from handdgp_core.hands.palm import palm_angle_rad

# Edges of the distance ranges of a report, metres from the camera.
DISTANCE_EDGES_M = (0.0, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, float("inf"))
# Edges of the ranges of the angle between palm normal and line of sight: 0 is face-on, 90 edge-on.
VIEW_EDGES_DEG = (0.0, 30.0, 60.0, 90.0)
# Range of thresholds of PCK curves and of the area under them.
PCK_RANGE_MM = (0.0, 50.0)
PCK_STEPS = 101
F_THRESHOLDS_MM = (5.0, 15.0)
# Middle finger MCP, where the root is skipped: the wrist is defined differently in different data sets.
_REFERENCE_JOINT = 9


@dataclass
class Pairs:
    """Predicted and true hands of a data set, and what was missed.

    Attributes:
        true_m: (K, 3) of every labelled hand; NaN for joints that the data set does not tell.
        predicted_m: (K, 3) for each of them, None where no hand was found.
        handedness_right: for each hand found, whether the side was right.
        keypoint_count: K; 21 for hands.
        true_vertices_m, predicted_vertices_m: (V, 3) or None, in the order of the two above.
        names: of the samples, empty where they have none.
    """

    true_m: list[Array] = field(default_factory=list)
    predicted_m: list[Array | None] = field(default_factory=list)
    handedness_right: list[bool] = field(default_factory=list)
    keypoint_count: int = COUNT
    true_vertices_m: list[Array | None] = field(default_factory=list)
    predicted_vertices_m: list[Array | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def add(
        self,
        true_m: Array,
        predicted_m: Array | None,
        handedness_right: bool | None = None,
        true_vertices_m: Array | None = None,
        predicted_vertices_m: Array | None = None,
        name: str = "",
    ) -> None:
        """Add one labelled hand."""
        self.true_m.append(np.asarray(true_m, dtype=np.float64))
        self.predicted_m.append(predicted_m)
        self.true_vertices_m.append(true_vertices_m)
        self.predicted_vertices_m.append(predicted_vertices_m)
        self.names.append(name)
        if predicted_m is not None and handedness_right is not None:
            self.handedness_right.append(handedness_right)

    def found(self) -> tuple[Array, Array]:
        """(N, K, 3) predicted and (N, K, 3) true, of the hands that were found and placed and are wholly labelled."""
        return self._stacked(
            [
                (predicted, true)
                for predicted, true in zip(self.predicted_m, self.true_m, strict=True)
                if predicted is not None and np.isfinite(predicted).all() and np.isfinite(true).all()
            ],
            self.keypoint_count,
        )

    def found_roots(self) -> tuple[Array, Array]:
        """(N, 3) predicted and (N, 3) true roots, also of hands of which the root alone is labelled."""
        predicted, true = self._stacked(
            [
                (predicted[WRIST : WRIST + 1], true[WRIST : WRIST + 1])
                for predicted, true in zip(self.predicted_m, self.true_m, strict=True)
                if predicted is not None and np.isfinite(predicted).all() and np.isfinite(true[WRIST]).all()
            ],
            1,
        )
        return predicted[:, 0], true[:, 0]

    def found_meshes(self) -> tuple[Array, Array, Array]:
        """(N, V, 3) predicted and (N, V, 3) true vertices, and (N, 2, 3) the predicted and the true root of each."""
        rows = zip(self.predicted_vertices_m, self.true_vertices_m, self.predicted_m, self.true_m, strict=True)
        kept = [
            (predicted, true, np.stack([joints[WRIST], true_joints[WRIST]]))
            for predicted, true, joints, true_joints in rows
            if predicted is not None and true is not None and joints is not None and np.isfinite(predicted).all()
        ]
        if not kept:
            return np.zeros((0, 1, 3)), np.zeros((0, 1, 3)), np.zeros((0, 2, 3))
        return (
            np.stack([row[0] for row in kept]),
            np.stack([row[1] for row in kept]),
            np.stack([row[2] for row in kept]),
        )

    @staticmethod
    def _stacked(pairs: list[tuple[Array, Array]], count: int) -> tuple[Array, Array]:
        predicted_m = np.array([pair[0] for pair in pairs]).reshape(-1, count, 3)
        return predicted_m, np.array([pair[1] for pair in pairs]).reshape(-1, count, 3)


def summarise(pairs: Pairs, excluded: tuple[int, ...] = (WRIST,)) -> dict[str, Any]:
    """Figures of one data set and one solve, ready for JSON; lengths in mm.

    All errors are over hands that were found and placed; `found_fraction` is their share.

    Args:
        pairs: what was found.
        excluded: joints skipped in every joint error: data sets disagree about where the wrist is. Without it
            there is no root error either, and a hand's "root-relative" is relative to the middle finger's MCP.
    """
    predicted, true = pairs.found()
    joints = [joint for joint in range(pairs.keypoint_count) if joint not in excluded]
    is_hand = pairs.keypoint_count == COUNT
    reference = _REFERENCE_JOINT if is_hand and WRIST in excluded else WRIST
    origins = predicted[:, reference, None], true[:, reference, None]
    angles = palm_angle_rad(true) if is_hand else np.full(len(true), np.nan)
    predicted, true = predicted[:, joints], true[:, joints]
    relative = predicted - origins[0], true - origins[1]
    roots = pairs.found_roots()
    sides = pairs.handedness_right
    placed = sum(joint is not None and bool(np.isfinite(joint).all()) for joint in pairs.predicted_m)
    figures: dict[str, Any] = {
        "hands": len(pairs.true_m),
        "found": placed,
        "found_fraction": placed / len(pairs.true_m) if pairs.true_m else float("nan"),
        "handedness_right_fraction": float(np.mean(sides)) if sides else float("nan"),
        "joints_excluded": list(excluded),
        "reference_joint": reference,
        "camera_space_mm": Spread.of(metrics.joint_error_mm(predicted, true)).as_dict(),
        "root_relative_mm": Spread.of(metrics.joint_error_mm(*relative)).as_dict(),
        "procrustes_aligned_mm": Spread.of(metrics.aligned_joint_error_mm(predicted, true)).as_dict(),
        "depth_mm": Spread.of(metrics.depth_error_mm(predicted, true)).as_dict(),
        "depth_bias_mm": Spread.of(metrics.depth_bias_mm(predicted, true)).as_dict(),
        "lateral_mm": Spread.of(metrics.lateral_error_mm(predicted, true)).as_dict(),
    }
    if WRIST not in excluded:
        figures["root_mm"] = Spread.of(np.linalg.norm(roots[0] - roots[1], axis=-1) * 1e3).as_dict()
        figures["root_depth_mm"] = Spread.of(np.abs(roots[0][:, 2] - roots[1][:, 2]) * 1e3).as_dict()
    figures["camera_space_mm_by_distance"] = _by_distance(predicted, true)
    figures["camera_space_mm_by_view"] = _by_view(predicted, true, angles)
    figures["pck"] = _pck(predicted, true, relative)
    return figures | _of_meshes(pairs)


def _by_distance(predicted: Array, true: Array) -> dict[str, dict[str, float | int]]:
    return _in_ranges(true[..., 2].mean(axis=1), DISTANCE_EDGES_M, "m", metrics.joint_error_mm(predicted, true))


def _by_view(predicted: Array, true: Array, angles_rad: Array) -> dict[str, dict[str, float | int]]:
    errors = metrics.joint_error_mm(predicted, true)
    # An angle of exactly 90 degrees belongs to the last range.
    degrees = np.minimum(np.degrees(angles_rad), np.nextafter(VIEW_EDGES_DEG[-1], 0))
    return _in_ranges(degrees, VIEW_EDGES_DEG, "deg", errors)


def _in_ranges(values: Array, edges: tuple[float, ...], unit: str, errors: Array) -> dict[str, dict[str, float | int]]:
    ranges = {}
    for low, high in pairwise(edges):
        inside = (values >= low) & (values < high)
        if inside.any():
            ranges[f"{low:g}-{high:g} {unit}"] = Spread.of(errors[inside]).as_dict()
    return ranges


def _pck(predicted: Array, true: Array, relative: tuple[Array, Array]) -> dict[str, Any]:
    """Curves over joints of found hands, and the areas under them."""
    thresholds = np.linspace(*PCK_RANGE_MM, PCK_STEPS)
    kinds = {
        "camera_space": metrics.point_errors_mm(predicted, true),
        "root_relative": metrics.point_errors_mm(*relative),
        "procrustes_aligned": metrics.point_errors_mm(metrics.aligned(predicted, true), true),
    }
    return {
        "range_mm": list(PCK_RANGE_MM),
        "thresholds_mm": thresholds.tolist(),
        "curves": {kind: metrics.pck(errors, thresholds).tolist() for kind, errors in kinds.items()},
        "auc": {kind: metrics.pck_auc(errors, PCK_RANGE_MM) for kind, errors in kinds.items()},
    }


def _of_meshes(pairs: Pairs) -> dict[str, Any]:
    """Vertex errors and F-scores where the data set has meshes of the model's topology; else nothing."""
    predicted, true, roots = pairs.found_meshes()
    if len(predicted) == 0:
        return {}
    relative = metrics.joint_error_mm(predicted - roots[:, :1], true - roots[:, 1:])
    aligned = metrics.aligned(predicted, true)
    return {
        "vertices_camera_space_mm": Spread.of(metrics.joint_error_mm(predicted, true)).as_dict(),
        "vertices_root_relative_mm": Spread.of(relative).as_dict(),
        "vertices_procrustes_aligned_mm": Spread.of(metrics.joint_error_mm(aligned, true)).as_dict(),
        "f_score": {"raw": _mean_f_scores(predicted, true), "aligned": _mean_f_scores(aligned, true)},
    }


def _mean_f_scores(predicted: Array, true: Array) -> dict[str, float]:
    scores = np.array([metrics.f_scores(p, t, F_THRESHOLDS_MM) for p, t in zip(predicted, true, strict=True)])
    return {
        f"{threshold:g} mm": float(value) for threshold, value in zip(F_THRESHOLDS_MM, scores.mean(axis=0), strict=True)
    }


def without_nan(value: Any) -> Any:
    """NaN is no JSON: null stands for figures that there are none of."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
