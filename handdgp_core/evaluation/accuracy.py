"""How well a model places the hands of one person and camera, and the mean over several: the table of `evaluate`.

docs/evaluation.md defines every figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.evaluation.matching import Match, Matches
from handdgp_core.evaluation.metrics import Spread, aligned_joint_error_mm, joint_error_mm
from handdgp_core.geometry.alignment import align_rigid
from handdgp_core.hands.keypoints import COUNT, WRIST
from handdgp_core.hands.measure import hand_length_m
from handdgp_core.hands.palm import PALM, distance_std_m

__all__ = ["accuracy", "mean_over_roots"]


def accuracy(matches: Matches, excluded: Sequence[int] = (WRIST,)) -> dict[str, Any]:
    """Figures of one data set, ready for JSON; a root is one person in front of one camera.

    Args:
        matches: labelled hands and those found for them.
        excluded: joints that no figure but `error_all_joints_mm` uses.

    Returns:
        labelled, found, degenerate, placed, extra: counts of hands. Degenerate hands were found and have no place:
        errors are over the placed ones. right_side: share of found hands. error_mm, error_all_joints_mm: mean, median
        and 90th percentile in camera space. distance_rms, distance_bias: of the palm's distance, as a part of the true
        one. aligned_mm: after the best similarity transform. error_if_mm: mean error with one thing put right: "size",
        "distance", "turn", "direction". within_1_sigma, within_2_sigma: share of placed hands whose true distance lies
        inside the stated standard deviation. NaN where there is no hand to measure.
    """
    joints = [joint for joint in range(COUNT) if joint not in excluded]
    found = [match for match in matches.hands if match.hand is not None]
    placed = [match for match in found if _is_placed(match, joints)]
    predicted_m, true_m = _points(placed)
    sides = [m.hand.handedness == m.label.handedness for m in found if m.hand and m.label.handedness is not None]
    whole = np.isfinite(true_m).all(axis=(1, 2))
    error = (_distance_m(predicted_m, excluded) / _distance_m(true_m, excluded)) - 1
    sigmas = _sigmas_off(placed, predicted_m, true_m, excluded)
    return {
        "labelled": len(matches.hands),
        "found": len(found),
        "degenerate": sum(match.hand is not None and match.hand.degenerate is not None for match in found),
        "placed": len(placed),
        "extra": matches.extra,
        "right_side": _mean(np.array(sides, dtype=float)),
        "error_mm": Spread.of(joint_error_mm(predicted_m[:, joints], true_m[:, joints])).as_dict(),
        "error_all_joints_mm": Spread.of(joint_error_mm(predicted_m[whole], true_m[whole])).as_dict(),
        "distance_rms": float(np.sqrt(_mean(error**2))),
        "distance_bias": _mean(error),
        "aligned_mm": _mean(aligned_joint_error_mm(predicted_m[:, joints], true_m[:, joints])),
        "error_if_mm": _split(predicted_m, true_m, joints),
        "within_1_sigma": _mean((sigmas <= 1).astype(float)),
        "within_2_sigma": _mean((sigmas <= 2).astype(float)),
    }


def mean_over_roots(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of what `accuracy` gives for several roots, and the sums of its counts.

    Every root counts alike, however many images it has. A figure that a root does not have (NaN) is not in its mean.
    """
    joined: dict[str, Any] = {}
    for key, first in rows[0].items():
        values = [row[key] for row in rows]
        if isinstance(first, Mapping):
            joined[key] = mean_over_roots(values)
        elif isinstance(first, int):
            joined[key] = sum(values)
        else:
            known = np.array(values)[np.isfinite(values)]
            joined[key] = _mean(known)
    return joined


def _is_placed(match: Match, joints: list[int]) -> bool:
    hand, true_m = match.hand, match.label.keypoints_m[joints]
    return hand is not None and bool(np.isfinite(hand.keypoints_m).all() and np.isfinite(true_m).all())


def _points(matches: list[Match]) -> tuple[Array, Array]:
    """(N, 21, 3) predicted and true."""
    predicted = [match.hand.keypoints_m for match in matches if match.hand is not None]
    true = [match.label.keypoints_m for match in matches]
    return np.array(predicted).reshape(-1, COUNT, 3), np.array(true).reshape(-1, COUNT, 3)


def _palm_m(points_m: Array, excluded: Sequence[int]) -> Array:
    """(N, 3) middle of the palm, of those of its joints that count: what the window gives the distance of."""
    return np.asarray(points_m[:, [joint for joint in PALM if joint not in excluded]].mean(axis=1))


def _distance_m(points_m: Array, excluded: Sequence[int]) -> Array:
    return np.asarray(np.linalg.norm(_palm_m(points_m, excluded), axis=-1))


def _sigmas_off(placed: list[Match], predicted_m: Array, true_m: Array, excluded: Sequence[int]) -> Array:
    """(N,) error of the distance in standard deviations as the program states them; infinite where it states none."""
    off_m = np.abs(_distance_m(predicted_m, excluded) - _distance_m(true_m, excluded))
    sigma_m = np.array([distance_std_m(match.hand) for match in placed if match.hand is not None])
    stated = np.isfinite(sigma_m) & (sigma_m > 0)
    return np.where(stated, off_m / np.where(stated, sigma_m, 1.0), np.inf)


def _split(predicted_m: Array, true_m: Array, joints: list[int]) -> dict[str, float]:
    """Mean error in mm if one thing alone were right; the others stay as predicted.

    size: the whole answer is scaled about the camera until the hand is as long as the true one, as a measured hand
    length would do it: the hand's place in the image stays, its distance goes along. distance: the hand is shifted
    along its own line of sight to where the error is least. turn: it is turned about its centre, as it best fits.
    direction: it is shifted across the line of sight until its centre is seen where the true one is.
    """
    size = hand_length_m(true_m) / hand_length_m(predicted_m)  # the wrist counts here: it is where a length begins
    predicted, true = predicted_m[:, joints], true_m[:, joints]
    centre, true_centre = predicted.mean(axis=1, keepdims=True), true.mean(axis=1, keepdims=True)
    sight, true_sight = _unit(centre), _unit(true_centre)
    along = ((true_centre - centre) * sight).sum(axis=-1, keepdims=True)
    right = {
        "size": predicted * size[:, None, None],
        "distance": predicted + along * sight,
        "turn": _turned(predicted - centre, true - true_centre) + centre,
        "direction": predicted + np.linalg.norm(centre, axis=-1, keepdims=True) * (true_sight - sight),
    }
    return {name: _mean(joint_error_mm(points, true)) for name, points in right.items()}


def _turned(predicted: Array, true: Array) -> Array:
    return align_rigid(predicted, true).apply(predicted) if len(predicted) else predicted


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _mean(values: Array) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
