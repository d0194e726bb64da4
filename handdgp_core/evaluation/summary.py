"""From pairs of predicted and true hands to the figures of a report."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from handdgp_core.evaluation import metrics
from handdgp_core.evaluation.metrics import Spread
from handdgp_core.hands.keypoints import COUNT, WRIST
from handdgp_core.types import Array

# Edges of the distance ranges of a report, metres from the camera.
DISTANCE_EDGES_M = (0.0, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, float("inf"))
# Middle finger MCP: the wrist is defined differently in different data sets.
_REFERENCE_JOINT = 9


@dataclass
class Pairs:
    """Predicted and true hands of a data set, and what was missed.

    Attributes:
        true_m: (21, 3) of every labelled hand.
        predicted_m: (21, 3) for each of them, None where no hand was found.
        handedness_right: for each hand found, whether the side was right.
    """

    true_m: list[Array] = field(default_factory=list)
    predicted_m: list[Array | None] = field(default_factory=list)
    handedness_right: list[bool] = field(default_factory=list)

    def add(self, true_m: Array, predicted_m: Array | None, handedness_right: bool | None = None) -> None:
        """Book one labelled hand."""
        self.true_m.append(np.asarray(true_m, dtype=np.float64))
        self.predicted_m.append(predicted_m)
        if predicted_m is not None and handedness_right is not None:
            self.handedness_right.append(handedness_right)

    def found(self) -> tuple[Array, Array]:
        """(N, 21, 3) predicted and (N, 21, 3) true, of the hands that were found and placed."""
        pairs = [
            (predicted, true)
            for predicted, true in zip(self.predicted_m, self.true_m, strict=True)
            if predicted is not None and np.isfinite(predicted).all()
        ]
        predicted_m = np.array([pair[0] for pair in pairs]).reshape(-1, COUNT, 3)
        return predicted_m, np.array([pair[1] for pair in pairs]).reshape(-1, COUNT, 3)


def summarise(pairs: Pairs, left_out: tuple[int, ...] = (WRIST,)) -> dict[str, Any]:
    """Figures of one data set and one solve, ready for JSON; lengths in mm.

    Args:
        pairs: what was found.
        left_out: joints left out of every error: data sets disagree about where the wrist is.
    """
    predicted, true = pairs.found()
    joints = [joint for joint in range(COUNT) if joint not in left_out]
    reference = joints.index(_REFERENCE_JOINT)
    predicted, true = predicted[:, joints], true[:, joints]
    sides = pairs.handedness_right
    return {
        "hands": len(pairs.true_m),
        "found": len(predicted),
        "found_fraction": len(predicted) / len(pairs.true_m) if pairs.true_m else float("nan"),
        "handedness_right_fraction": float(np.mean(sides)) if sides else float("nan"),
        "joints_left_out": list(left_out),
        "camera_space_mm": Spread.of(metrics.joint_error_mm(predicted, true)).as_dict(),
        "root_relative_mm": Spread.of(metrics.relative_joint_error_mm(predicted, true, reference)).as_dict(),
        "procrustes_aligned_mm": Spread.of(metrics.aligned_joint_error_mm(predicted, true)).as_dict(),
        "depth_mm": Spread.of(metrics.depth_error_mm(predicted, true)).as_dict(),
        "depth_bias_mm": Spread.of(metrics.depth_bias_mm(predicted, true)).as_dict(),
        "lateral_mm": Spread.of(metrics.lateral_error_mm(predicted, true)).as_dict(),
        "camera_space_mm_by_distance": _by_distance(predicted, true),
    }


def _by_distance(predicted: Array, true: Array) -> dict[str, dict[str, float | int]]:
    distance = true[..., 2].mean(axis=1)
    error = metrics.joint_error_mm(predicted, true)
    ranges = {}
    for near, far in pairwise(DISTANCE_EDGES_M):
        inside = (distance >= near) & (distance < far)
        if inside.any():
            ranges[f"{near:g}-{far:g} m"] = Spread.of(error[inside]).as_dict()
    return ranges
